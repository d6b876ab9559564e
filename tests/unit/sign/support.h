// What the tests of sign/ share: fixed keys, and files of published vectors.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "base/bytes.h"
#include "base/json.h"
#include "sign/sign.h"

namespace account::sign {

inline std::string unhex(std::string_view hex) { return from_hex(hex).value(); }

// A key that is the same in every run: its seed is 32 times `byte`.
inline SecretKey fixed_key(char byte) {
  return SecretKey::from_seed(std::string(32, byte), SecretAccess::i_know_what_i_am_doing())
      .value();
}

inline Json read_vectors(const std::string& name) {
  const std::string path = std::string(ACCOUNT_TESTS_DIR) + "/vectors/" + name;
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  auto document = Json::parse(bytes, 1 << 20);
  EXPECT_TRUE(document.ok()) << path << ": " << document.status().to_string();
  return document.ok() ? std::move(document).value() : Json();
}

}  // namespace account::sign
