// A proof as a file: the verdict of `account prove`, signed. libaccount/doc/proof_format.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "account/status.h"
#include "base/json.h"
#include "cli/words.h"
#include "sign/sign.h"

namespace account::cli {

// The signed statement, one line. `proof` is what `prove --json` says, less what names places.
std::string write_proof(const Json& proof, const SigningKey& key);

bool is_proof(const std::string& path);

struct CheckedProof {
  Json proof;
  std::string signer, key_id;
  bool trusted = false;  // by one of the keys given
};
// corrupt or unverified where the signature is not by the key that it names; unverified where keys
// are given and it is by none of them.
Result<CheckedProof> check_proof(const std::string& path, const std::vector<std::string>& keys);

}  // namespace account::cli
