// The three facts that name a place, and the folders that follow from them.
#include "keeper/place.h"

#include <unistd.h>

#include <array>
#include <fstream>

#include "base/files.h"
#include "gate/recovery.h"
#include "ledger/format.h"
#include "ledger/ledger.h"
#include "sign/sign.h"
#include "tally/tally.h"

namespace account::keeper {
namespace {

std::string this_machine() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::string machine;
  std::ifstream("/etc/machine-id") >>
      machine;  // absent in some containers: the host name has to do
  return std::string(host.data()) + '\n' + machine;
}

}  // namespace

std::string Place::run_folder() const { return join_path(dir, run); }

std::vector<std::string> Place::page_folders() const { return tally::page_folders(dir, run, node); }

std::string node_id(std::string_view node_name) {
  const std::string name = node_name.empty() ? this_machine() : std::string(node_name);
  return sign::to_hex(sign::sha256("account-node\n" + name)).substr(0, 8);
}

Result<Place> make_place(std::string_view dir, std::string_view run, std::string_view node_name) {
  if (dir.empty()) {
    return Status(Code::invalid_argument, "the directory for runs has an empty name",
                  "give one with --dir or ACCOUNT_DIR");
  }
  ACCOUNT_RETURN_IF_ERROR(ledger::check_run_id(run));
  return Place{absolute_path(dir), std::string(run), node_id(node_name)};
}

std::string answer_path(std::string_view page, std::string_view save) {
  return std::string(page) + "." + std::string(save) + ".saved";
}

std::string stop_path(const Place& place) {
  return join_path(join_path(place.run_folder(), ledger::node_folder_name(place.node)),
                   "stop.json");
}

std::string recovery_path(const Place& place) {
  return join_path(join_path(place.run_folder(), ledger::node_folder_name(place.node)),
                   gate::kRecoveryName);
}

}  // namespace account::keeper
