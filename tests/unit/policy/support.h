// What the policy tests share: facts in one line, and a small policy file to bend.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "policy/policy.h"

namespace account::policy {

inline OpCount ops(std::string_view text) {
  auto count = OpCount::from_text(text);
  EXPECT_TRUE(count.ok()) << count.status().to_string();
  return count.ok() ? *count : OpCount();
}

inline Policy built_in(std::string_view id) {
  auto policy = load(id);
  EXPECT_TRUE(policy.ok()) << policy.status().to_string();
  return policy.ok() ? *policy : Policy();
}

// One total that was given without category or phase.
inline Facts total(std::string_view operations, std::string_view date = "2026-06-01") {
  Facts facts;
  facts.operations[{Category::unassigned, Phase::forward}] = ops(operations);
  facts.date = date;
  return facts;
}

inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// A valid file: more than 1000 operations, of the categories train and generate.
inline std::string small_file() {
  return R"({"format":"account-policy-1","id":"small","title":"Small","jurisdiction":"XX",)"
         R"("status":"in_force","effective_from":"2026-01-01","effective_to":"2026-12-31",)"
         R"("rules":[{"name":"only","applies_to":"models","operator":">","operations":"1000",)"
         R"("cumulative":false,"counts":{"categories":["train","generate"],)"
         R"("phases":["forward","backward","optimizer"]}}],)"
         R"("deadlines":[{"duty":"tell","hours":72}],"citation":"none","grade":"memory",)"
         R"("notes":["a note"]})";
}

inline Policy parsed(const std::string& file) {
  auto policy = parse(file);
  EXPECT_TRUE(policy.ok()) << policy.status().to_string();
  return policy.ok() ? *policy : Policy();
}

}  // namespace account::policy
