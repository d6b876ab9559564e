// libsodium's two slow questions, remembered: the crash enumeration asks them about the same bytes
// a million times, and two thirds of its time went into asking again. Both are pure functions; what
// is remembered is keyed by all of their input. Linked by --wrap into that one test.
#include <cstdint>
#include <string>
#include <unordered_map>

extern "C" {
int __real_crypto_sign_verify_detached(const unsigned char* signature, const unsigned char* message,
                                       unsigned long long bytes, const unsigned char* key);
int __wrap_crypto_sign_verify_detached(const unsigned char* signature, const unsigned char* message,
                                       unsigned long long bytes, const unsigned char* key);
int __real_crypto_core_ed25519_is_valid_point(const unsigned char* point);
int __wrap_crypto_core_ed25519_is_valid_point(const unsigned char* point);
}

namespace {

constexpr size_t kSignatureBytes = 64, kKeyBytes = 32, kMostRemembered = 10'000;
using Answers = std::unordered_map<std::string, int>;

void append(std::string& text, const unsigned char* bytes, size_t count) {
  text.append(reinterpret_cast<const char*>(bytes), count);
}

template <typename Ask>
int remembered(Answers& answers, const std::string& question, Ask ask) {
  if (answers.size() > kMostRemembered) answers.clear();
  const auto found = answers.find(question);
  if (found != answers.end()) return found->second;
  return answers[question] = ask();
}

}  // namespace

int __wrap_crypto_sign_verify_detached(const unsigned char* signature, const unsigned char* message,
                                       unsigned long long bytes, const unsigned char* key) {
  thread_local Answers answers;
  std::string question;
  append(question, signature, kSignatureBytes);
  append(question, key, kKeyBytes);
  append(question, message, bytes);
  return remembered(answers, question, [&] {
    return __real_crypto_sign_verify_detached(signature, message, bytes, key);
  });
}

int __wrap_crypto_core_ed25519_is_valid_point(const unsigned char* point) {
  thread_local Answers answers;
  std::string question;
  append(question, point, kKeyBytes);
  return remembered(answers, question,
                    [&] { return __real_crypto_core_ed25519_is_valid_point(point); });
}
