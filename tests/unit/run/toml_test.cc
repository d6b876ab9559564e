// What is read as TOML, and what is not.
#include "run/toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/matchers.h"

namespace account {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <typename T>
T value_of(std::string_view text) {
  const auto entries = parse_toml(text);
  EXPECT_THAT(entries.status(), testing::IsOk()) << text;
  if (!entries.ok() || entries->size() != 1) return {};
  const T* value = std::get_if<T>(&entries->front().value);
  EXPECT_NE(value, nullptr) << text;
  return value == nullptr ? T{} : *value;
}

std::string fault(std::string_view text) {
  const auto entries = parse_toml(text);
  EXPECT_EQ(entries.status().code(), Code::invalid_argument) << text;
  return entries.status().to_string();
}

TEST(TomlTest, ReadsStringsListsNumbersAndTruth) {
  EXPECT_EQ(value_of<std::string>("a = \"x \\\"y\\\" \\u00e9\\t\""), "x \"y\" \u00e9\t");
  EXPECT_EQ(value_of<std::string>("a='C:\\\"x\"'"), "C:\\\"x\"");
  EXPECT_EQ(value_of<std::string>("a = \"\u2764\ufe0f\ufdbf # no comment\""),
            "\u2764\ufe0f\ufdbf # no comment");
  EXPECT_EQ(value_of<std::string>("a = ''"), "");
  EXPECT_THAT(value_of<std::vector<std::string>>("a = ['x', \"y\",]"), ElementsAre("x", "y"));
  EXPECT_THAT(value_of<std::vector<std::string>>("a = [ # first\n 'x',\n\n 'y' # last\n]\n"),
              ElementsAre("x", "y"));
  EXPECT_THAT(value_of<std::vector<std::string>>("a = []"), IsEmpty());
  EXPECT_EQ(value_of<double>("a = 0.5"), 0.5);
  EXPECT_EQ(value_of<double>("a = 60 # seconds"), 60);
  EXPECT_TRUE(value_of<bool>("a = true"));
}

TEST(TomlTest, CommentsEmptyLinesAndLineEndsSayNothing) {
  const auto entries =
      parse_toml("\r\n# mod\u00e8le \"\n\n  a = 'x' # it's\r\n\t\nb-2_c = 'y'\r\n# end");
  ASSERT_THAT(entries.status(), testing::IsOk());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].line, 4);
  EXPECT_EQ((*entries)[1].key, "b-2_c");
  EXPECT_EQ((*entries)[1].line, 6);
  EXPECT_THAT(*parse_toml(""), IsEmpty());
}

TEST(TomlTest, WhatItDoesNotReadIsNamedWithItsLine) {
  EXPECT_THAT(fault("\n[table]\na = 1"), HasSubstr("line 2: here is no key"));
  EXPECT_THAT(fault("a.b = 1"), HasSubstr("line 1: here is no key"));
  EXPECT_THAT(fault("\"a\" = 1"), HasSubstr("here is no key"));
  EXPECT_THAT(fault("mod\u00e8le = 'm'"), HasSubstr("behind 'mod' is no '='"));
  EXPECT_THAT(fault("a"), HasSubstr("behind 'a' is no '='"));
  EXPECT_THAT(fault("a = 1\na = 2"), HasSubstr("line 2: 'a' stands there twice"));
  EXPECT_THAT(fault("a ="), HasSubstr("'a' has no value"));
  for (const char* word : {"yes", "1x", "2026-11-29", "nan", "inf", "1e999", "_1", "--1"}) {
    EXPECT_THAT(fault(std::string("a = ") + word), HasSubstr("'a' has no value")) << word;
  }
  EXPECT_THAT(fault("a = 'x"), HasSubstr("a string has no end"));
  EXPECT_THAT(fault("a = \"x\\"), HasSubstr("a string has no end"));
  EXPECT_THAT(fault("a = \"x\ny\""), HasSubstr("line 1: a string has no end"));
  EXPECT_THAT(fault("a = \"\"\"x\"\"\""), HasSubstr("there is more behind the value of 'a'"));
  EXPECT_THAT(fault("a = \"\\q\""), HasSubstr("a string holds what no string can"));
  EXPECT_THAT(fault("a = '\xff'"), HasSubstr("a string holds what no string can"));
  EXPECT_THAT(fault("a = ['x' 'y']"), HasSubstr("a list has no end"));
  EXPECT_THAT(fault("a = ['x', 7]"), HasSubstr("a list has no end"));
  EXPECT_THAT(fault("a = ['x'"), HasSubstr("a list has no end"));
  EXPECT_THAT(fault("a = 'x' b = 'y'"), HasSubstr("there is more behind the value of 'a'"));
}

}  // namespace
}  // namespace account
