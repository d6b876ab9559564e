// Runs the real `account` in a folder of the test and keeps what it said.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/json.h"
#include "support/matchers.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace account::cli {

struct Said {
  int code;
  std::string out, err;

  Json json() const {
    auto document = Json::parse(out, 1 << 20);
    EXPECT_THAT(document, testing::IsOk()) << out;
    return document.ok() ? *document : Json();
  }
  std::string text(std::string_view member) const {
    auto value = json().get_string(member);
    EXPECT_THAT(value, testing::IsOk()) << out;
    return value.ok() ? *value : "";
  }
};

class CliTest : public ::testing::Test {
 protected:
  Said account(std::vector<std::string> words) {
    words.insert(words.begin(), ACCOUNT_CLI);
    return spawn(words);
  }
  Said spawn(const std::vector<std::string>& words) {
    const std::string output = dir_ / ("said-" + std::to_string(++calls_));
    testing::Process process(words, {{"ACCOUNT_DIR", dir_ / "account"}}, output);
    const int code = process.wait();
    return {code, process.out(), process.err()};
  }

  // Every failure is one line on stderr that names the command.
  static void expect_one_line(const Said& said, const std::string& what) {
    EXPECT_EQ(std::count(said.err.begin(), said.err.end(), '\n'), 1) << what << ": " << said.err;
    EXPECT_TRUE(said.err.starts_with("account: ")) << what << ": " << said.err;
  }

  testing::TempDir dir_;

 private:
  int calls_ = 0;
};

}  // namespace account::cli
