// Endorsements: a developer's signature over the heads of a run's ledgers.
// libaccount/doc/endorsement_format.md. Must not know lines or counters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "account/op_count.h"
#include "account/status.h"
#include "base/files.h"
#include "ledger/ledger.h"
#include "sign/sign.h"

namespace account::ledger {

struct Endorsement {
  std::string run;
  std::vector<Head> heads;  // by node, each once
  OpCount operations;
  int64_t unix_ns = 0;
  std::string name;  // of the signer, for people
  sign::PublicKey key;
};

// "endorsements/<first 16 hex digits of the key's id>.json"
std::string endorsement_path(const std::string& run_folder, const sign::PublicKey& key);

std::string write_endorsement(const Endorsement& endorsement, const sign::SecretKey& key);

// Checks shape and signature by the key that the payload names: that proves integrity, and trust
// only where the reader knows the key.
Result<Endorsement> parse_endorsement(std::string_view bytes);

}  // namespace account::ledger
