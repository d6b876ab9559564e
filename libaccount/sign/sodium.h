// libsodium, initialised. Only sign/ includes this; the library is linked statically.
#pragma once

#include <sodium.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace account::sign {

// Chooses the fastest implementations for this CPU; safe to call often and from any thread.
// It cannot fail here: Linux always has getrandom(2) or /dev/urandom.
inline void use_sodium() {
  static const int initialised = sodium_init();
  (void)initialised;
}

inline const unsigned char* octets(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* octets(std::string& bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace account::sign
