// The `account` command. docs/cli.md is its reference.
#include "cli/parse.h"

int main(int argc, char** argv) { return account::cli::main_program(argc, argv); }
