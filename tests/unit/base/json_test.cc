// What the strict reader takes, what it refuses and where it points, and the writer's exact bytes.
#include "base/json.h"

#include "support/matchers.h"

namespace account {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::StatusIs;

constexpr uint64_t kCap = 4096;

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonTest, ReadsEveryKindAndKeepsTheOrderOfMembers) {
  const std::string text =
      R"({"b":[1,-2,0,9007199254740991,-9007199254740991],"a":null,"t":true,"f":false,)"
      R"("s":"\u00e9\ud83d\ude00\n\"\\","o":{}})";
  const auto document = Json::parse(text, kCap);
  ASSERT_THAT(document, IsOk());
  EXPECT_EQ(document->members()[0].first, "b");
  EXPECT_EQ(document->members()[1].first, "a");
  EXPECT_EQ(document->find("b")->items()[3].as_integer(), 9'007'199'254'740'991);
  EXPECT_EQ(document->find("b")->items()[4].as_integer(), -9'007'199'254'740'991);
  EXPECT_TRUE(document->find("a")->is_null());
  EXPECT_THAT(document->get_bool("t"), IsOkAndHolds(true));
  EXPECT_THAT(document->get_bool("f"), IsOkAndHolds(false));
  EXPECT_THAT(document->get_string("s"), IsOkAndHolds(std::string("\u00e9\U0001F600\n\"\\")));
  EXPECT_EQ(document->find("o")->kind(), Json::Kind::object);
  EXPECT_EQ(document->find("absent"), nullptr);
}

struct Refusal {
  std::string text;
  const char* fault;
};

class JsonRefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(JsonRefusalTest, IsCorruptAndSaysWhere) {
  EXPECT_THAT(Json::parse(GetParam().text, kCap),
              StatusIs(Code::corrupt, HasSubstr(GetParam().fault)));
}

INSTANTIATE_TEST_SUITE_P(
    Numbers, JsonRefusalTest,
    ::testing::Values(Refusal{"9007199254740992", "beyond 2^53 - 1"},
                      Refusal{"-9007199254740992", "beyond -(2^53 - 1)"},
                      Refusal{"18446744073709551615", "beyond 2^53 - 1"},
                      Refusal{"18446744073709551616", "18446744073709551616 is no whole"},
                      Refusal{"-9223372036854775809", "-9223372036854775809 is no whole"},
                      Refusal{"1.0", "1.0 is no whole number"},
                      Refusal{"1e5", "1e5 is no whole number"}, Refusal{"1E400", "no valid JSON"},
                      Refusal{"-0", "-0 is no whole number"},
                      Refusal{"-0.0", "-0.0 is no whole number"}, Refusal{"01", "at byte 2"},
                      Refusal{"+1", "at byte 1"}, Refusal{"NaN", "at byte 1"},
                      Refusal{"0x10", "at byte 2"},
                      Refusal{R"({"a":{"b":[7,1.5]}})", "at a.b[1]: 1.5 is no whole"}));

INSTANTIATE_TEST_SUITE_P(
    Keys, JsonRefusalTest,
    ::testing::Values(Refusal{R"({"a":1,"a":1})", "duplicate key 'a'"},
                      Refusal{R"({"a":1,"\u0061":2})", "duplicate key 'a'"},
                      Refusal{R"({"o":{"x":1,"y":2,"x":3}})", "at o: duplicate key 'x'"},
                      Refusal{R"({a:1})", "at byte 2"}, Refusal{R"({1:1})", "at byte 2"}));

INSTANTIATE_TEST_SUITE_P(
    Shape, JsonRefusalTest,
    ::testing::Values(Refusal{"", "no valid JSON"}, Refusal{" ", "no valid JSON"},
                      Refusal{"{", "at byte 2"}, Refusal{"[1,]", "at byte 4"},
                      Refusal{R"({"a":1,})", "at byte 8"}, Refusal{"{} {}", "at byte 4"},
                      Refusal{"{}x", "at byte 3"}, Refusal{"/**/{}", "at byte 1"},
                      Refusal{"'a'", "at byte 1"}, Refusal{"tru", "no valid JSON"},
                      Refusal{nested(17), "nested deeper than 16"},
                      Refusal{nested(2000), "nested deeper than 16"},
                      Refusal{std::string("{}\0{}", 5), "at byte 2"},
                      Refusal{"\xEF\xBB\xBF{}", "at byte 0"}));

INSTANTIATE_TEST_SUITE_P(
    Strings, JsonRefusalTest,
    ::testing::Values(Refusal{"\"\x80\"", "at byte 2"}, Refusal{"\"\xC0\xAF\"", "at byte"},
                      Refusal{"\"\xED\xA0\x80\"", "at byte"},      // a surrogate as UTF-8
                      Refusal{"\"\xF4\x90\x80\x80\"", "at byte"},  // beyond U+10FFFF
                      Refusal{"\"\xE2\x82\"", "at byte"},          // cut short
                      Refusal{R"("\ud83d")", "at byte"}, Refusal{R"("\ude00")", "at byte"},
                      Refusal{"\"a\nb\"", "at byte 3"}, Refusal{R"("\x41")", "at byte"},
                      Refusal{"\"open", "at byte"}));

TEST(JsonTest, TakesSixteenLevelsAndNoMore) {
  EXPECT_THAT(Json::parse(nested(16), kCap), IsOk());
  EXPECT_THAT(Json::parse(nested(17), kCap), StatusIs(Code::corrupt));
}

TEST(JsonTest, RefusesMoreBytesThanTheCallerAllows) {
  EXPECT_THAT(Json::parse("[1]", 3), IsOk());
  EXPECT_THAT(Json::parse("[1] ", 3), StatusIs(Code::corrupt, HasSubstr("more than the 3")));
}

TEST(JsonTest, EveryCutOfADocumentIsRefused) {
  const std::string text = R"({"a":[1,{"b":"\u00e9"}],"c":null})";
  ASSERT_THAT(Json::parse(text, kCap), IsOk());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_THAT(Json::parse(text.substr(0, size), kCap), StatusIs(Code::corrupt)) << size;
  }
}

TEST(JsonTest, TypedGettersNameTheMember) {
  const Json document = Json::parse(R"({"s":"x","i":1,"n":"12","bad":"1e3"})", kCap).value();
  EXPECT_THAT(document.get_string("gone"), StatusIs(Code::corrupt, "member 'gone' is missing"));
  EXPECT_THAT(document.get_string("i"), StatusIs(Code::corrupt, "member 'i' is no string"));
  EXPECT_THAT(document.get_integer("s"), StatusIs(Code::corrupt, "member 's' is no integer"));
  EXPECT_THAT(document.get_bool("i"), StatusIs(Code::corrupt, "member 'i' is no boolean"));
  EXPECT_THAT(document.get_array("i"), StatusIs(Code::corrupt, "member 'i' is no array"));
  EXPECT_THAT(document.get_object("i"), StatusIs(Code::corrupt, "member 'i' is no object"));
  EXPECT_THAT(document.get_op_count("n"), IsOkAndHolds(OpCount(12)));
  EXPECT_THAT(document.get_op_count("bad"), StatusIs(Code::corrupt, HasSubstr("member 'bad'")));
  EXPECT_THAT(document.get_op_count("i"), StatusIs(Code::corrupt, "member 'i' is no string"));
}

TEST(JsonTest, OnlyMembersNamesTheStranger) {
  const Json document = Json::object({{"a", 1}, {"zz", 2}});
  EXPECT_THAT(document.only_members({"zz", "a", "b"}), IsOk());
  EXPECT_THAT(document.only_members({"a"}), StatusIs(Code::corrupt, "member 'zz' is unknown"));
}

TEST(JsonTest, WritesTheSameCompactBytesEachTime) {
  Json document = Json::object({{"z", 1}, {"a", Json::array({true, nullptr, "x"})}});
  document.set("n", OpCount::max()).set("z", -5).set("empty", Json::array());
  const std::string bytes =
      R"({"z":-5,"a":[true,null,"x"],"n":"340282366920938463463374607431768211455","empty":[]})";
  EXPECT_EQ(document.dump(), bytes);
  EXPECT_EQ(Json::parse(bytes, kCap).value().dump(), bytes);
}

TEST(JsonTest, EscapesControlCharactersAndLeavesOtherTextAlone) {
  const std::string text("\"\\\n\r\t\x01\x1F\0\x7F\u00e9/", 12);
  const std::string bytes = Json(text).dump();
  EXPECT_EQ(bytes, "\"\\\"\\\\\\n\\r\\t\\u0001\\u001f\\u0000\x7F\u00e9/\"");
  EXPECT_EQ(Json::parse(bytes, kCap).value().as_string(), text);
}

TEST(JsonTest, PrettyFormHasTwoSpacesALevel) {
  Json document;
  document.set("a", Json::array({1, Json::object({{"b", "c"}})})).set("e", Json::object());
  EXPECT_EQ(document.dump_pretty(),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"c\"\n    }\n  ],\n  \"e\": {}\n}");
}

}  // namespace
}  // namespace account
