// Verb: how a verb describes its words, its help and what it does. Hides CLI11, whose header costs
// ten seconds of compile time a file: only verb.cc and parse.cc include it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace account::cli {

using Act = std::function<int()>;  // does the verb; returns the exit code

// A view of one verb, or of a group of verbs, in the program that is being described. The variables
// that words are parsed into must live until the verb was done: keep them in what does() captures.
class Verb {
 public:
  // `chosen` receives what the chosen verb does.
  Verb(CLI::App& app, Act& chosen) : app_(app), chosen_(chosen) {}

  // A verb below this one.
  Verb verb(const std::string& name, const std::string& about) const;

  // "NAME" is a positional word, "--name" an option.
  void needs(const std::string& name, std::string& value, const std::string& help) const;
  void takes(const std::string& name, std::string& value, const std::string& help) const;
  void takes(const std::string& name, std::optional<std::string>& value,
             const std::string& help) const;
  void takes_many(const std::string& name, std::vector<std::string>& values,
                  const std::string& help) const;
  // A positional word that may be there several times.
  void takes_words(const std::string& name, std::vector<std::string>& values,
                   const std::string& help) const;
  void flag(const std::string& name, bool& value, const std::string& help) const;

  // Printed at the end of --help.
  void footer(const std::string& text) const;
  void hide() const;  // from the list of verbs; --help of the verb itself stays
  void does(Act act) const;

 private:
  CLI::App& app_;
  Act& chosen_;
};

}  // namespace account::cli
