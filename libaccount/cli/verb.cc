#include "cli/verb.h"

#include <CLI/CLI.hpp>

namespace account::cli {

Verb Verb::verb(const std::string& name, const std::string& about) const {
  return {*app_.add_subcommand(name, about), chosen_};
}

void Verb::needs(const std::string& name, std::string& value, const std::string& help) const {
  app_.add_option(name, value, help)->required();
}

void Verb::takes(const std::string& name, std::string& value, const std::string& help) const {
  app_.add_option(name, value, help);
}

void Verb::takes(const std::string& name, std::optional<std::string>& value,
                 const std::string& help) const {
  app_.add_option(name, value, help);
}

void Verb::takes_many(const std::string& name, std::vector<std::string>& values,
                      const std::string& help) const {
  // One value each time: a list would swallow the word that follows.
  app_.add_option(name, values, help)->expected(1)->take_all();
}

void Verb::takes_words(const std::string& name, std::vector<std::string>& values,
                       const std::string& help) const {
  app_.add_option(name, values, help);
}

void Verb::flag(const std::string& name, bool& value, const std::string& help) const {
  app_.add_flag(name, value, help);
}

void Verb::footer(const std::string& text) const { app_.footer(text); }

void Verb::hide() const { app_.group(""); }

void Verb::does(Act act) const {
  app_.callback([&chosen = chosen_, act = std::move(act)] { chosen = act; });
}

}  // namespace account::cli
