// A policy of a test's own.
#pragma once

#include <fstream>
#include <string>

#include "account/op_count.h"

namespace account::testing {

// `folder`/own.json: one rule, more than so many operations of training, forward. Its path.
inline std::string write_policy(const std::string& folder, OpCount operations) {
  const std::string path = folder + "/own.json";
  std::ofstream(path) << R"({"format":"account-policy-1","id":"own","title":"Own limit",
    "jurisdiction":"here","status":"in_force","effective_from":"1970-01-01",
    "citation":"the tests","grade":"primary","deadlines":[],"notes":[],
    "rules":[{"name":"all","applies_to":"every run","operator":">","operations":")"
                      << operations.to_decimal() << R"(","cumulative":false,
    "counts":{"categories":["train"],"phases":["forward"]}}]})";
  return path;
}

}  // namespace account::testing
