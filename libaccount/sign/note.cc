// C2SP signed notes with one Ed25519 signature, checkpoints as their text, and witnesses'
// cosignatures of these. libaccount/doc/checkpoint_format.md, anchor_format.md.
#include <algorithm>
#include <charconv>

#include "sign/sign.h"

namespace account::sign {
namespace {

constexpr std::string_view kSignaturePrefix = "\u2014 ";  // em dash, space
constexpr char kEd25519 = '\x01';                         // C2SP signed-note: signature type
constexpr char kCosignature = '\x04';                     // C2SP tlog-cosignature, Ed25519
constexpr size_t kKeyHashBytes = 4;
constexpr size_t kNameCapBytes = 256;

// C2SP signed-note: SHA-256(name || 0x0A || type || public key)[:4].
std::string key_hash(std::string_view name, const PublicKey& key, char type = kEd25519) {
  std::string named(name);
  named.append("\n").append(1, type).append(key.bytes());
  return std::string(as_bytes(sha256(named)).substr(0, kKeyHashBytes));
}

struct SignatureLine {
  std::string_view name;
  std::string blob;  // key hash and what the type of signature has
};

// "— name base64" without its line feed.
Result<SignatureLine> parse_signature_line(std::string_view line) {
  if (!line.starts_with(kSignaturePrefix)) {
    return Status(Code::corrupt, "a signature line of a note begins with an em dash");
  }
  line.remove_prefix(kSignaturePrefix.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) {
    return Status(Code::corrupt, "the note's signature line has no signature");
  }
  SignatureLine parsed{line.substr(0, space), ""};
  ACCOUNT_RETURN_IF_ERROR(check_signer_name(parsed.name));
  ACCOUNT_ASSIGN_OR_RETURN(parsed.blob, from_base64(line.substr(space + 1)));
  return parsed;
}

struct NoteParts {
  std::string_view text;  // with its last '\n'
  std::string_view name;
  std::string blob;  // key hash and signature
};

Result<NoteParts> split_note(std::string_view note) {
  const size_t gap = note.rfind("\n\n");
  if (gap == std::string_view::npos || gap == 0) {
    return Status(Code::corrupt, "a signed note is a text, an empty line and a signature line");
  }
  const std::string_view line = note.substr(gap + 2);
  if (line.find('\n') != line.size() - 1 || line.empty()) {
    return Status(Code::corrupt, "a note ends with exactly one signature line");
  }
  ACCOUNT_ASSIGN_OR_RETURN(SignatureLine signature,
                           parse_signature_line(line.substr(0, line.size() - 1)));
  return NoteParts{note.substr(0, gap + 1), signature.name, std::move(signature.blob)};
}

// Takes the next line (without its '\n') off the front of `text`.
Result<std::string_view> take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) {
    return Status(Code::corrupt, "a checkpoint has three lines: origin, size and root");
  }
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

Result<uint64_t> parse_size(std::string_view digits) {
  uint64_t size = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  // Re-encoded and compared: no sign, no leading zero, nothing behind.
  if (fault != std::errc() || std::to_string(size) != digits) {
    return Status(Code::corrupt, "the checkpoint's size is no decimal number");
  }
  return size;
}

Result<Checkpoint> parse_checkpoint_text(std::string_view text) {
  Checkpoint checkpoint;
  ACCOUNT_ASSIGN_OR_RETURN(const std::string_view origin, take_line(text));
  ACCOUNT_RETURN_IF_ERROR(check_signer_name(origin));
  checkpoint.origin = origin;
  ACCOUNT_ASSIGN_OR_RETURN(const std::string_view size, take_line(text));
  ACCOUNT_ASSIGN_OR_RETURN(checkpoint.size, parse_size(size));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string_view root, take_line(text));
  ACCOUNT_ASSIGN_OR_RETURN(const Bytes raw, from_base64(root));
  ACCOUNT_ASSIGN_OR_RETURN(checkpoint.root, digest_from_bytes(raw));
  // C2SP allows extension lines; ours has none, so that all of a checkpoint is what is checked.
  if (!text.empty()) return Status(Code::corrupt, "the checkpoint has lines behind its root");
  return checkpoint;
}

}  // namespace

Status check_signer_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kNameCapBytes &&
                    std::all_of(name.begin(), name.end(),
                                [](char c) { return c > 0x20 && c < 0x7f && c != '+'; });
  if (fits) return Status();
  return Status(Code::corrupt,
                "a note's signer has a name of 1 to 256 printable ASCII characters without '+'");
}

Result<std::string> sign_note(std::string_view text, std::string_view name, const SecretKey& key) {
  ACCOUNT_RETURN_IF_ERROR(check_signer_name(name));
  if (text.empty() || text.back() != '\n') {
    return Status(Code::invalid_argument, "a note's text ends with a line feed");
  }
  std::string note(text);
  note.append("\n").append(kSignaturePrefix).append(name).append(" ");
  note.append(to_base64(key_hash(name, key.public_key()) + key.sign(text))).append("\n");
  return note;
}

Result<std::string> verify_note(std::string_view note, std::string_view name,
                                const PublicKey& key) {
  ACCOUNT_ASSIGN_OR_RETURN(const NoteParts parts, split_note(note));
  if (parts.name != name) {
    return Status(Code::unverified, "the note is signed by '" + std::string(parts.name) +
                                        "', not by '" + std::string(name) + "'");
  }
  if (!parts.blob.starts_with(key_hash(name, key))) {
    return Status(Code::unverified,
                  "the note names another key than " + std::string(short_id(key.id())));
  }
  const std::string_view signature = std::string_view(parts.blob).substr(kKeyHashBytes);
  ACCOUNT_RETURN_IF_ERROR(key.verify(parts.text, signature));
  return std::string(parts.text);
}

Result<std::string> write_checkpoint(const Checkpoint& checkpoint, const SecretKey& key) {
  const std::string text = checkpoint.origin + "\n" + std::to_string(checkpoint.size) + "\n" +
                           to_base64(as_bytes(checkpoint.root)) + "\n";
  return sign_note(text, checkpoint.origin, key);
}

Result<Checkpoint> verify_checkpoint(std::string_view note, const PublicKey& key) {
  ACCOUNT_ASSIGN_OR_RETURN(Checkpoint checkpoint, parse_checkpoint(note));
  ACCOUNT_RETURN_IF_ERROR(verify_note(note, checkpoint.origin, key).status());
  return checkpoint;
}

Result<Checkpoint> parse_checkpoint(std::string_view note) {
  ACCOUNT_ASSIGN_OR_RETURN(const NoteParts parts, split_note(note));
  return parse_checkpoint_text(parts.text);
}

// ---- cosignatures ----------------------------------------------------------------------------

namespace {

constexpr size_t kTimeBytes = 8, kSignatureBytes = 64;

// C2SP tlog-cosignature: what a witness signs.
std::string cosigned_message(std::string_view text, int64_t unix_s) {
  return "cosignature/v1\ntime " + std::to_string(unix_s) + "\n" + std::string(text);
}

std::string_view text_of(std::string_view note) { return note.substr(0, note.rfind("\n\n") + 1); }

std::string big_endian(int64_t value) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift & 0xff));
  }
  return bytes;
}

int64_t from_big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return static_cast<int64_t>(value);
}

}  // namespace

Result<std::string> cosign_checkpoint(std::string_view note, std::string_view name, int64_t unix_s,
                                      const SecretKey& key) {
  ACCOUNT_RETURN_IF_ERROR(check_signer_name(name));
  ACCOUNT_RETURN_IF_ERROR(parse_checkpoint(note).status());
  if (unix_s < 0) return Status(Code::invalid_argument, "a cosignature's time is before 1970");
  const std::string blob = key_hash(name, key.public_key(), kCosignature) + big_endian(unix_s) +
                           key.sign(cosigned_message(text_of(note), unix_s));
  std::string cosigned(note);
  cosigned.append(kSignaturePrefix).append(name).append(" ").append(to_base64(blob)).append("\n");
  return cosigned;
}

Result<CosignedCheckpoint> parse_cosigned(std::string_view bytes) {
  const size_t end = bytes.size() < 2 ? 0 : bytes.rfind('\n', bytes.size() - 2);
  if (bytes.empty() || bytes.back() != '\n' || end == 0 || end == std::string_view::npos) {
    return Status(Code::corrupt, "a cosigned checkpoint ends with two signature lines");
  }
  CosignedCheckpoint cosigned;
  cosigned.note = bytes.substr(0, end + 1);
  ACCOUNT_ASSIGN_OR_RETURN(cosigned.checkpoint, parse_checkpoint(cosigned.note));
  ACCOUNT_ASSIGN_OR_RETURN(const SignatureLine line,
                           parse_signature_line(bytes.substr(end + 1, bytes.size() - end - 2)));
  if (line.blob.size() != kKeyHashBytes + kTimeBytes + kSignatureBytes) {
    return Status(Code::corrupt, "its cosignature is not one of Ed25519 with a time");
  }
  cosigned.witness = line.name;
  cosigned.key_hash = line.blob.substr(0, kKeyHashBytes);
  cosigned.unix_s = from_big_endian(line.blob.substr(kKeyHashBytes, kTimeBytes));
  cosigned.signature = line.blob.substr(kKeyHashBytes + kTimeBytes);
  if (cosigned.unix_s < 0) return Status(Code::corrupt, "its cosignature has no time of this era");
  return cosigned;
}

bool is_cosigned_by(const CosignedCheckpoint& cosigned, const PublicKey& key) {
  return cosigned.key_hash == key_hash(cosigned.witness, key, kCosignature);
}

Status verify_cosignature(const CosignedCheckpoint& cosigned, const PublicKey& key) {
  if (!is_cosigned_by(cosigned, key)) {
    return {Code::unverified,
            "the cosignature names another key than " + std::string(short_id(key.id()))};
  }
  return key.verify(cosigned_message(text_of(cosigned.note), cosigned.unix_s), cosigned.signature);
}

}  // namespace account::sign
