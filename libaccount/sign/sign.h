// Keys, signatures and trees. The only user of libsodium; no cryptography of our own.
//
// Verification returns a Status, never a bool. A secret lives in SecretKey, which zeroes itself and
// whose bytes only a SecretAccess token can read. Formats: libaccount/doc/key_format.md,
// envelope_format.md, checkpoint_format.md. Everything here is thread-safe by having no state.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "account/status.h"
#include "base/bytes.h"

namespace account::sign {

using Digest = std::array<uint8_t, 32>;
Digest sha256(std::string_view bytes);
std::string_view as_bytes(const Digest& digest);  // a view of its 32 bytes
std::string to_hex(const Digest& digest);
// How digests and ids of keys are named where people read them, and in names of files.
inline std::string_view short_id(std::string_view hex) { return hex.substr(0, 16); }
Result<Digest> digest_from_hex(std::string_view hex);
Result<Digest> digest_from_bytes(std::string_view raw32);

// An incremental SHA-256 for large files.
class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  Digest finish();

 private:
  std::array<uint64_t, 16> state_;  // libcrypto's, whose header no other file needs
};

// ---- Ed25519 keys --------------------------------------------------------------------------

// A point that passed the entry checks: canonical, not of small order, and in the prime-order
// group, so that no two correct verifiers can disagree about its signatures.
class PublicKey {
 public:
  static Result<PublicKey> from_bytes(std::string_view raw32);
  const std::string& bytes() const { return raw_; }  // 32 bytes
  // Lower-case hex of SHA-256("ed25519" || 0x00 || key bytes): names the key everywhere.
  const std::string& id() const { return id_; }
  // The first 64 bits of the id as four words that can be said aloud ("lusab-babad-gutih-tugad").
  std::string spoken_id() const;
  // Strict: 64 bytes, S < L, libsodium's rules. unverified on any mismatch.
  Status verify(std::string_view message, std::string_view signature) const;
  friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.raw_ == b.raw_; }

 private:
  PublicKey(std::string raw, std::string id) : raw_(std::move(raw)), id_(std::move(id)) {}
  std::string raw_, id_;
};

// Passing one is the visible act of reading secret bytes; search for it to audit.
class SecretAccess {
 public:
  static SecretAccess i_know_what_i_am_doing() { return SecretAccess(); }

 private:
  SecretAccess() = default;
};

// An Ed25519 secret in memory that is locked, guarded, read-only and zeroed at the end. A
// moved-from key can only be destroyed or assigned to.
class SecretKey {
 public:
  static SecretKey generate();
  static Result<SecretKey> from_seed(std::string_view seed32, SecretAccess);
  SecretKey(SecretKey&&) noexcept;
  SecretKey& operator=(SecretKey&&) noexcept;
  ~SecretKey();  // zeroes

  const PublicKey& public_key() const;
  std::string sign(std::string_view message) const;  // 64 bytes
  std::string seed(SecretAccess) const;

 private:
  struct State;
  explicit SecretKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Overwrites text that held a secret, in a way that the compiler keeps.
void wipe(std::string& secret);

// Does so when its scope ends.
class Wiped {
 public:
  explicit Wiped(std::string& text) : text_(text) {}
  ~Wiped() { wipe(text_); }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;

 private:
  std::string& text_;
};

// ---- secrets for somebody, and streams -------------------------------------------------------

// To the X25519 key that belongs to an Ed25519 one; only who holds that one's secret opens it
// (libsodium: crypto_sign_ed25519_pk_to_curve25519, crypto_box_seal).
std::string seal_to(const PublicKey& key, std::string_view secret);
Result<std::string> open_sealed(const SecretKey& key, std::string_view sealed);  // unverified

inline constexpr size_t kStreamKeyBytes = 32, kStreamHeaderBytes = 24, kStreamOverhead = 17;

// Pieces that can only be read whole, in order and to the last (libsodium's secretstream,
// XChaCha20-Poly1305). `bound` is what a piece is bound to: read with other bytes it does not open.
class SealingStream {
 public:
  explicit SealingStream(std::string_view key32);
  SealingStream(SealingStream&&) noexcept;
  ~SealingStream();
  const std::string& header() const { return header_; }  // kStreamHeaderBytes, to be kept
  std::string seal(std::string_view piece, std::string_view bound, bool last);

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string header_;
};

class OpeningStream {
 public:
  OpeningStream(std::string_view key32, std::string_view header24);
  OpeningStream(OpeningStream&&) noexcept;
  ~OpeningStream();
  struct Piece {
    std::string bytes;
    bool last = false;
  };
  Result<Piece> open(std::string_view sealed, std::string_view bound);  // unverified

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---- key files -----------------------------------------------------------------------------

// One line of JSON each; libaccount/doc/key_format.md. A name is at most 128 bytes of UTF-8 without
// control characters.
inline constexpr uint64_t kKeyFileCapBytes = 4096;

struct NamedPublicKey {
  std::string name;  // for people; no authority
  PublicKey key;
};
Status check_key_name(std::string_view name);
std::string public_key_file(const NamedPublicKey& key);
std::string secret_key_file(std::string_view name, const SecretKey& key);
Result<NamedPublicKey> parse_public_key_file(std::string_view bytes);
struct NamedSecretKey {
  std::string name;
  SecretKey key;
};
Result<NamedSecretKey> parse_secret_key_file(std::string_view bytes);

// A secret key that opens with a passphrase only: Argon2id (RFC 9106) makes the key of an
// XChaCha20-Poly1305 box. `Effort` is what each guess costs; a file states its own.
struct Effort {
  int64_t passes = 3;
  int64_t memory_kib = int64_t{256} << 10;
};
inline constexpr size_t kMaxPassphraseBytes = 1024;
// Fails on an empty or oversize passphrase, and with Code::unavailable without that much memory.
Result<std::string> protected_key_file(std::string_view name, const SecretKey& key,
                                       std::string_view passphrase, Effort effort = {});
// By what the file says it is; it may be damaged otherwise.
bool is_protected_key_file(std::string_view bytes);
// Its public half, which needs no passphrase. corrupt where it is no such file.
Result<NamedPublicKey> parse_protected_key_file(std::string_view bytes);
// unverified where the passphrase is not the one.
Result<NamedSecretKey> open_protected_key_file(std::string_view bytes, std::string_view passphrase);

// ---- DSSE in our profile -------------------------------------------------------------------

std::string pre_authentication_encoding(std::string_view payload_type, std::string_view payload);

struct EnvelopeSignature {
  std::string key_id;     // empty: the envelope has none
  std::string signature;  // 64 bytes
};
struct Envelope {
  std::string payload_type;
  std::string payload;
  std::vector<EnvelopeSignature> signatures;
};
// Exactly payload, payloadType, signatures[sig, optional keyid]; canonical base64; at least one and
// at most 16 signatures. corrupt otherwise.
Result<Envelope> parse_envelope(std::string_view bytes, uint64_t cap_bytes);
// The same of one with exactly one signature, spelled as write_envelope spells it: no byte of such
// a file is without meaning.
Result<Envelope> parse_lone_envelope(std::string_view bytes, uint64_t cap_bytes);
std::string write_envelope(const Envelope& envelope);  // one line, ends with '\n'
void add_signature(Envelope& envelope, const SecretKey& key);

// The distinct keys of `keys` that signed the envelope, which must be of `payload_type`; a keyid
// that is present must equal the verifying key's. unverified when fewer than `threshold` did.
Result<std::vector<PublicKey>> verify_envelope(const Envelope& envelope,
                                               std::string_view payload_type,
                                               const std::vector<PublicKey>& keys, int threshold);

// ---- RFC 6962 Merkle tree ------------------------------------------------------------------

Digest leaf_hash(std::string_view entry);
// The tree as it grows; keeps O(log n) digests.
class MerkleTree {
 public:
  void append(std::string_view entry);
  uint64_t size() const { return size_; }
  Digest root() const;  // of the empty tree: SHA-256 of nothing

 private:
  uint64_t size_ = 0;
  std::vector<Digest> peaks_;  // of the full subtrees, largest first
};

// ---- C2SP signed notes, and checkpoints as their text ----------------------------------------

// 1 to 256 characters of printable ASCII without space and '+'; corrupt otherwise.
Status check_signer_name(std::string_view name);
// `text` ends with '\n'; `name` is the signer's: printable ASCII without space and '+'. The note is
// the text, an empty line and one signature line.
Result<std::string> sign_note(std::string_view text, std::string_view name, const SecretKey& key);
// The text of a note whose one signature is by `key` under `name`. corrupt or unverified otherwise.
Result<std::string> verify_note(std::string_view note, std::string_view name, const PublicKey& key);

struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  Digest root{};
};
// Fails only where the origin cannot be a signer's name.
Result<std::string> write_checkpoint(const Checkpoint& checkpoint, const SecretKey& key);
// Checks shape, canonical base64, and that the note's one signature is by `key` under the name
// `checkpoint.origin`. corrupt or unverified otherwise.
Result<Checkpoint> verify_checkpoint(std::string_view note, const PublicKey& key);
// Without checking the signature; only for quoting and for messages.
Result<Checkpoint> parse_checkpoint(std::string_view note);

// ---- C2SP cosignatures: a witness's word that it saw a checkpoint, and when ------------------

// The checkpoint's note (not verified here) with a cosignature line of `name` behind its own.
Result<std::string> cosign_checkpoint(std::string_view note, std::string_view name, int64_t unix_s,
                                      const SecretKey& key);
struct CosignedCheckpoint {
  Checkpoint checkpoint;
  std::string note;     // as the ledger's keeper signed it
  std::string witness;  // a name, for people
  int64_t unix_s = 0;   // by the witness's clock
  std::string key_hash, signature;
};
// Shape only.
Result<CosignedCheckpoint> parse_cosigned(std::string_view bytes);
// Whether the cosignature says that it is by this key.
bool is_cosigned_by(const CosignedCheckpoint& cosigned, const PublicKey& key);
Status verify_cosignature(const CosignedCheckpoint& cosigned, const PublicKey& key);

}  // namespace account::sign
