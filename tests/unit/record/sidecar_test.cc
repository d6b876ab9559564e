#include "record/sidecar.h"

#include <gtest/gtest.h>

#include "support/matchers.h"

namespace account::record {
namespace {

using testing::IsOk;
using testing::StatusIs;

Sidecar sample() {
  Sidecar sidecar;
  sidecar.run = "run-1";
  sidecar.cut = {"1f00ba5e", 12, std::string(64, 'a'), "ckpt-10", 10};
  sidecar.save = "00c0ffee";
  return sidecar;
}

TEST(SidecarTest, ReadsWhatItWrites) {
  const auto read = parse_sidecar(write_sidecar(sample()));
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(write_sidecar(*read), write_sidecar(sample()));
  EXPECT_EQ(sidecar_path("a/ckpt-10//"), "a/ckpt-10.account.json");
}

TEST(SidecarTest, RefusesWhatIsNone) {
  const std::string good = write_sidecar(sample());
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"sidecar/1", "sidecar/2"},
                                 {"\"size\":12", "\"size\":0"},
                                 {"1f00ba5e", "../../aa"},
                                 {"run-1", "../run"},
                                 {"\"step\":10", "\"step\":-1"},
                                 {"\"save\"", "\"saved\""}}) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    EXPECT_THAT(parse_sidecar(bad), StatusIs(Code::corrupt)) << bad;
  }
}

}  // namespace
}  // namespace account::record
