// Hex and base64: RFC 4648 vectors, and one text only for each value.
#include "base/bytes.h"

#include "support/matchers.h"

namespace account {
namespace {

using testing::IsOkAndHolds;
using testing::StatusIs;

TEST(BytesTest, Base64AgreesWithTheVectorsOfRfc4648Section10) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_THAT(from_base64(text), IsOkAndHolds(std::string(bytes)));
  }
}

TEST(BytesTest, Base64HasOneTextForEachValue) {
  for (const char* text : {"Zh==", "Zm9=",          // spare bits that are not zero
                           "Zg", "Zg=", "Zg===",    // wrong padding
                           "=Zg=", "Z===", "====",  // padding out of place
                           "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm9_", "Zm-v", "Zm\x80v"}) {
    EXPECT_THAT(from_base64(text), StatusIs(Code::corrupt)) << text;
  }
}

TEST(BytesTest, EveryByteSurvivesBothCodings) {
  std::string bytes;
  for (int value = 0; value < 256; ++value) bytes.push_back(static_cast<char>(value));
  EXPECT_THAT(from_base64(to_base64(bytes)), IsOkAndHolds(bytes));
  EXPECT_THAT(from_hex(to_hex(bytes)), IsOkAndHolds(bytes));
  EXPECT_EQ(to_hex(std::string("\x00\x0f\xff", 3)), "000fff");
}

TEST(BytesTest, HexIsLowerCaseAndEven) {
  EXPECT_THAT(from_hex(""), IsOkAndHolds(std::string()));
  for (const char* text : {"0", "0G", "0F", "0x10", " 0", "\xff\xff"}) {
    EXPECT_THAT(from_hex(text), StatusIs(Code::corrupt)) << text;
  }
}

}  // namespace
}  // namespace account
