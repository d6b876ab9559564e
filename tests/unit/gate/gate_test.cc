// The gate of this process: open by default, shut by the keeper's word or for the process.
#include "gate/gate.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "support/matchers.h"
#include "tally/tally.h"

namespace account::gate {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

tally::Control& control() {
  if (tally::active_page() == nullptr) tally::activate(tally::Page::create_in_memory({}));
  return tally::active_page()->layout().control;
}

TEST(GateTest, IsOpenUntilAKeeperShutsItAndNamesWayTargetAndReason) {
  control().gate.store(0);
  EXPECT_FALSE(shut());
  EXPECT_THAT(may_leave("torch.save", "model.pt"), IsOk());
  std::strcpy(control().reason, "order 1f00 of acme");
  control().gate.store(1);
  EXPECT_TRUE(shut());
  EXPECT_THAT(may_leave("torch.save", "model.pt"),
              StatusIs(Code::shutdown_ordered,
                       AllOf(HasSubstr("torch.save"), HasSubstr("model.pt"), HasSubstr("1f00"))));
  control().gate.store(0);
  EXPECT_THAT(may_leave("torch.save", "model.pt"), IsOk());
}

TEST(GateTest, NotesARefusedExportForTheLedger) {
  control().gate.store(1);
  const uint64_t before = tally::active_page()->layout().events.head.load();
  EXPECT_FALSE(may_leave("safetensors", "w.safetensors").ok());
  EXPECT_GT(tally::active_page()->layout().events.head.load(), before);
  control().gate.store(0);
}

TEST(GateTest, StaysShutForAThreadThatSavesItsStateAndIsKnownByItAlone) {
  control().gate.store(1);
  {
    const SavingState saving;
    EXPECT_TRUE(saving_state());
    EXPECT_TRUE(shut());
    EXPECT_FALSE(may_leave("torch.save", "model.pt").ok());
    bool elsewhere = true;
    std::thread([&] { elsewhere = saving_state(); }).join();
    EXPECT_FALSE(elsewhere);
  }
  EXPECT_FALSE(saving_state());
  control().gate.store(0);
}

TEST(GateTest, ShutForTheProcessItStaysShut) {
  control().gate.store(0);
  shut_here("a stop of acme stands");
  EXPECT_THAT(may_leave("torch.save", "a buffer"),
              StatusIs(Code::shutdown_ordered, HasSubstr("a stop of acme stands")));
}

}  // namespace
}  // namespace account::gate
