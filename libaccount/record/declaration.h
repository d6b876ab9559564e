// Declarations: somebody's signed word for operations of a run that no ledger holds (data generated
// by an API, an evaluation farm). libaccount/doc/declaration_format.md. Must not know ledgers'
// lines.
#pragma once

#include <string>
#include <vector>

#include "account/status.h"
#include "base/clock.h"
#include "base/files.h"
#include "record/record.h"
#include "sign/sign.h"

namespace account::record {

inline constexpr std::string_view kDeclarationFolder = "declarations";

struct Declaration {
  std::string run;
  Claim claim;
  int64_t made_unix_ns = 0;
  std::string signer;
};

// <run folder>/declarations/<16 hex of its payload's digest>.json; returns the path.
Result<std::string> declare(FileSystem& files, const std::string& run_folder,
                            const Declaration& declaration, const sign::SecretKey& key);

// All of a run, in the order of their names. corrupt, naming the file, where one does not verify by
// the key that it names or is of another run.
Result<std::vector<Declaration>> read_declarations(FileSystem& files, const std::string& run_folder,
                                                   std::string_view run);

}  // namespace account::record
