// C2SP signed notes with one Ed25519 signature, and checkpoints as their text.
// libaccount/doc/checkpoint_format.md.
#include <algorithm>
#include <charconv>

#include "sign/sign.h"

namespace account::sign {
namespace {

constexpr std::string_view kSignaturePrefix = "\u2014 ";  // em dash, space
constexpr char kEd25519 = '\x01';                         // C2SP signed-note: signature type
constexpr size_t kKeyHashBytes = 4;
constexpr size_t kNameCapBytes = 256;

Status check_signer_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kNameCapBytes &&
                    std::all_of(name.begin(), name.end(),
                                [](char c) { return c > 0x20 && c < 0x7f && c != '+'; });
  if (fits) return Status();
  return Status(Code::corrupt,
                "a note's signer has a name of 1 to 256 printable ASCII characters without '+'");
}

// C2SP signed-note: SHA-256(name || 0x0A || type || public key)[:4].
std::string key_hash(std::string_view name, const PublicKey& key) {
  std::string named(name);
  named.append("\n").append(1, kEd25519).append(key.bytes());
  return std::string(as_bytes(sha256(named)).substr(0, kKeyHashBytes));
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
  NoteParts parts;
  parts.text = note.substr(0, gap + 1);
  std::string_view line = note.substr(gap + 2);
  if (!line.starts_with(kSignaturePrefix) || line.find('\n') != line.size() - 1) {
    return Status(Code::corrupt, "a note ends with exactly one signature line");
  }
  line = line.substr(kSignaturePrefix.size(), line.size() - kSignaturePrefix.size() - 1);
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) {
    return Status(Code::corrupt, "the note's signature line has no signature");
  }
  parts.name = line.substr(0, space);
  ACCOUNT_RETURN_IF_ERROR(check_signer_name(parts.name));
  ACCOUNT_ASSIGN_OR_RETURN(parts.blob, from_base64(line.substr(space + 1)));
  return parts;
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
    return Status(Code::unverified, "the note names another key than " + key.id().substr(0, 16));
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

}  // namespace account::sign
