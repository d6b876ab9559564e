#include "cli/passphrase.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "base/files.h"
#include "cli/output.h"

namespace account::cli {
namespace {

constexpr const char* kTerminal = "/dev/tty";
constexpr char kInterrupt = 3, kEndOfText = 4;
constexpr int kTries = 3;

// The terminal while it shows nothing of what is typed. Ctrl-C is a character like others
// meanwhile, so that nobody's shell is left silent.
class SilentTerminal {
 public:
  SilentTerminal() : terminal_(::open(kTerminal, O_RDWR | O_CLOEXEC)) {
    if (terminal_ < 0 || tcgetattr(terminal_, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
    silent_ = tcsetattr(terminal_, TCSAFLUSH, &silent) == 0;
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;
  ~SilentTerminal() {
    if (silent_) {
      (void)tcsetattr(terminal_, TCSAFLUSH, &before_);
      write("\n");
    }
    if (terminal_ >= 0) ::close(terminal_);
  }

  bool ok() const { return silent_; }
  void write(std::string_view text) const {
    // What cannot be shown is not waited for: the line is read all the same.
    [[maybe_unused]] const ssize_t shown = ::write(terminal_, text.data(), text.size());
  }
  // Up to the end of the line; nothing where it was given up.
  std::optional<std::string> line() const {
    std::string line;
    line.reserve(sign::kMaxPassphraseBytes + 1);  // it never moves and leaves no copy behind
    char c = 0;
    while (line.size() <= sign::kMaxPassphraseBytes) {
      if (::read(terminal_, &c, 1) != 1 || c == kInterrupt || c == kEndOfText) break;
      if (c == '\n') return line;
      line.push_back(c);
    }
    sign::wipe(line);
    return std::nullopt;
  }

 private:
  int terminal_;
  termios before_{};
  bool silent_ = false;
};

Result<std::string> ask(const std::string& path, std::string_view what) {
  const SilentTerminal terminal;
  if (!terminal.ok()) {
    return Status(Code::unavailable, fmt::format("{}: there is no terminal to ask at", path),
                  "write the passphrase into a file of yours and name it in "
                  "ACCOUNT_PASSPHRASE_FILE");
  }
  terminal.write(fmt::format("{} of {}: ", what, path));
  auto line = terminal.line();
  if (!line) return Status(Code::invalid_argument, "no passphrase was given");
  return *std::move(line);
}

std::optional<std::string> named_file() {
  const char* const path = std::getenv("ACCOUNT_PASSPHRASE_FILE");
  if (path == nullptr || *path == '\0') return std::nullopt;
  return path;
}

}  // namespace

Result<std::string> read_passphrase(const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(std::string bytes,
                           FileSystem::real().read(path, sign::kMaxPassphraseBytes + 2));
  const sign::Wiped wiped(bytes);
  std::string line = bytes.substr(0, bytes.find_first_of("\r\n"));
  if (line.empty()) {
    return Status(Code::invalid_argument, fmt::format("{}: its first line is empty", path),
                  "a passphrase has from 1 to 1024 bytes");
  }
  return line;
}

Result<std::string> new_passphrase(const std::string& path) {
  if (const auto file = named_file()) return read_passphrase(*file);
  ACCOUNT_ASSIGN_OR_RETURN(std::string first, ask(path, "New passphrase"));
  auto second = ask(path, "The same again,");
  if (!second.ok()) return second.status();
  const sign::Wiped wiped(*second);
  if (first == *second) return first;
  sign::wipe(first);
  return Status(Code::invalid_argument, "the two passphrases differ", "try again");
}

Result<sign::NamedSecretKey> open_with_passphrase(const std::string& path, std::string_view bytes) {
  ACCOUNT_RETURN_IF_ERROR(sign::parse_protected_key_file(bytes).status().with_context(path));
  const auto file = named_file();
  for (int tries = file ? 1 : kTries;; --tries) {
    auto passphrase = file ? read_passphrase(*file) : ask(path, "Passphrase");
    if (!passphrase.ok()) return passphrase.status();
    const sign::Wiped wiped(*passphrase);
    auto key = sign::open_protected_key_file(bytes, *passphrase);
    if (key.ok()) return key;
    if (key.status().code() != Code::unverified || tries == 1) {
      return key.status().with_context(path);
    }
    say(fmt::format("account: {}: {}", path, key.status().fault()));
  }
}

}  // namespace account::cli
