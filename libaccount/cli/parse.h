// From argv to the chosen verb. All that is wrong with the words is one line on stderr and exit
// code 1. Must not know what verbs do.
#pragma once

namespace account::cli {

// The whole program; returns the exit code.
int main_program(int argc, char** argv);

}  // namespace account::cli
