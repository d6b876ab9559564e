// Pieces that several signed files of this folder hold. Internal to record/.
#pragma once

#include "account/status.h"
#include "base/json.h"
#include "record/record.h"

namespace account::record {

Json claim_json(const Claim& claim);
Result<Claim> parse_claim(const Json& json);

}  // namespace account::record
