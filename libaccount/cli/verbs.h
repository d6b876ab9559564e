// The verbs of `account`, one file each. A verb adds its words to the program; the parser
// (parse.cc) sets `act` to the one that was chosen. CLI11 stays inside the .cc files.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace account::cli {

using Act = std::function<int()>;  // does the verb; returns the exit code

// `command` is what stands behind "--" and belongs to `run` alone.
void add_run(CLI::App& program, Act& act, const std::vector<std::string>& command);
void add_keeper(CLI::App& program, Act& act);
void add_status(CLI::App& program, Act& act);
void add_verify(CLI::App& program, Act& act);
void add_prove(CLI::App& program, Act& act);
void add_sign(CLI::App& program, Act& act);
void add_key(CLI::App& program, Act& act);
void add_policy(CLI::App& program, Act& act);

}  // namespace account::cli
