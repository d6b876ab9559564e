// Secrets for the holder of a key, and streams under a key.
#include "sign/sign.h"
#include "sign/sodium.h"

namespace account::sign {
namespace {

using Curve = std::array<unsigned char, crypto_box_PUBLICKEYBYTES>;

Curve curve_of(const PublicKey& key) {
  use_sodium();
  Curve curve{};
  // Cannot fail: a PublicKey is a point of prime order.
  [[maybe_unused]] const int failed =
      crypto_sign_ed25519_pk_to_curve25519(curve.data(), octets(key.bytes()));
  return curve;
}

Status not_opened(std::string what) { return {Code::unverified, std::move(what)}; }

}  // namespace

std::string seal_to(const PublicKey& key, std::string_view secret) {
  const Curve curve = curve_of(key);
  std::string sealed(secret.size() + crypto_box_SEALBYTES, '\0');
  (void)crypto_box_seal(octets(sealed), octets(secret), secret.size(), curve.data());
  return sealed;
}

Result<std::string> open_sealed(const SecretKey& key, std::string_view sealed) {
  if (sealed.size() < crypto_box_SEALBYTES) return not_opened("a sealed secret is cut short");
  const Curve curve = curve_of(key.public_key());
  std::string seed = key.seed(SecretAccess::i_know_what_i_am_doing());
  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> open{};
  std::array<unsigned char, crypto_sign_SECRETKEYBYTES> whole{};
  std::array<unsigned char, crypto_box_SECRETKEYBYTES> secret{};
  (void)crypto_sign_seed_keypair(open.data(), whole.data(), octets(seed));
  (void)crypto_sign_ed25519_sk_to_curve25519(secret.data(), whole.data());
  std::string bytes(sealed.size() - crypto_box_SEALBYTES, '\0');
  const int failed = crypto_box_seal_open(octets(bytes), octets(sealed), sealed.size(),
                                          curve.data(), secret.data());
  wipe(seed);
  sodium_memzero(whole.data(), whole.size());
  sodium_memzero(secret.data(), secret.size());
  if (failed != 0) {
    return not_opened("the secret is not sealed to key " +
                      std::string(short_id(key.public_key().id())));
  }
  return bytes;
}

struct SealingStream::State {
  crypto_secretstream_xchacha20poly1305_state stream;
  ~State() { sodium_memzero(&stream, sizeof(stream)); }
};
struct OpeningStream::State {
  crypto_secretstream_xchacha20poly1305_state stream;
  bool readable = false;
  ~State() { sodium_memzero(&stream, sizeof(stream)); }
};
static_assert(kStreamKeyBytes == crypto_secretstream_xchacha20poly1305_KEYBYTES);
static_assert(kStreamHeaderBytes == crypto_secretstream_xchacha20poly1305_HEADERBYTES);
static_assert(kStreamOverhead == crypto_secretstream_xchacha20poly1305_ABYTES);

SealingStream::SealingStream(std::string_view key32)
    : state_(std::make_unique<State>()), header_(kStreamHeaderBytes, '\0') {
  use_sodium();
  (void)crypto_secretstream_xchacha20poly1305_init_push(&state_->stream, octets(header_),
                                                        octets(key32));
}
SealingStream::SealingStream(SealingStream&&) noexcept = default;
SealingStream::~SealingStream() = default;

std::string SealingStream::seal(std::string_view piece, std::string_view bound, bool last) {
  std::string sealed(piece.size() + kStreamOverhead, '\0');
  const unsigned char tag = last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                                 : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
  (void)crypto_secretstream_xchacha20poly1305_push(&state_->stream, octets(sealed), nullptr,
                                                   octets(piece), piece.size(), octets(bound),
                                                   bound.size(), tag);
  return sealed;
}

OpeningStream::OpeningStream(std::string_view key32, std::string_view header24)
    : state_(std::make_unique<State>()) {
  use_sodium();
  state_->readable = key32.size() == kStreamKeyBytes && header24.size() == kStreamHeaderBytes &&
                     crypto_secretstream_xchacha20poly1305_init_pull(
                         &state_->stream, octets(header24), octets(key32)) == 0;
}
OpeningStream::OpeningStream(OpeningStream&&) noexcept = default;
OpeningStream::~OpeningStream() = default;

Result<OpeningStream::Piece> OpeningStream::open(std::string_view sealed, std::string_view bound) {
  if (!state_->readable || sealed.size() < kStreamOverhead) {
    return not_opened("a sealed piece is cut short");
  }
  Piece piece;
  piece.bytes.resize(sealed.size() - kStreamOverhead);
  unsigned char tag = 0;
  if (crypto_secretstream_xchacha20poly1305_pull(&state_->stream, octets(piece.bytes), nullptr,
                                                 &tag, octets(sealed), sealed.size(), octets(bound),
                                                 bound.size()) != 0) {
    return not_opened("a sealed piece does not open: changed, out of order, or of another key");
  }
  piece.last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
  return piece;
}

}  // namespace account::sign
