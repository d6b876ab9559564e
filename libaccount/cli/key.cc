// `account key new|show|passphrase`: keys of people, which need never be on the cluster.
#include <fmt/format.h>

#include <memory>

#include "base/files.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "sign/sign.h"

namespace account::cli {
namespace {

constexpr int kSecretMode = 0600, kPublicMode = 0644;

struct NewWords {
  std::string name, dir = ".";
  bool passphrase = false, json = false;
};

Status check_file_name(const std::string& name) {
  ACCOUNT_RETURN_IF_ERROR(sign::check_key_name(name));
  if (name.empty() || name.find('/') != std::string::npos || name.starts_with('.') ||
      name.starts_with('-')) {
    return {Code::invalid_argument, fmt::format("'{}' cannot name a file", name),
            "use letters and digits; --dir says where the files go"};
  }
  return {};
}

Status refuse_to_overwrite(FileSystem& files, const std::string& path) {
  if (!files.exists(path)) return {};
  return {Code::invalid_argument, fmt::format("{} exists and is not overwritten", path),
          "choose another name or folder"};
}

Result<std::string> protected_bytes(const sign::NamedSecretKey& key,
                                    Result<std::string> passphrase) {
  if (!passphrase.ok()) return passphrase.status();
  const sign::Wiped wiped(*passphrase);
  return sign::protected_key_file(key.name, key.key, *passphrase);
}

// The secret one first: a public file without its secret would look like a key.
Status write_key_files(const NewWords& words, const sign::NamedSecretKey& key,
                       const std::string& secret_path, const std::string& public_path) {
  FileSystem& files = FileSystem::real();
  ACCOUNT_RETURN_IF_ERROR(refuse_to_overwrite(files, secret_path));
  ACCOUNT_RETURN_IF_ERROR(refuse_to_overwrite(files, public_path));
  ACCOUNT_ASSIGN_OR_RETURN(std::string secret,
                           words.passphrase ? protected_bytes(key, new_passphrase(secret_path))
                                            : sign::secret_key_file(key.name, key.key));
  const sign::Wiped wiped(secret);
  ACCOUNT_RETURN_IF_ERROR(files.write_atomically(secret_path, secret, kSecretMode));
  return files.write_atomically(
      public_path, sign::public_key_file({key.name, key.key.public_key()}), kPublicMode);
}

int create(const NewWords& words) {
  if (const Status named = check_file_name(words.name); !named.ok()) return fail("key new", named);
  const std::string secret_path = join_path(words.dir, words.name + ".key");
  const std::string public_path = join_path(words.dir, words.name + ".pub");
  const sign::NamedSecretKey key{words.name, sign::SecretKey::generate()};
  const Status written = write_key_files(words, key, secret_path, public_path);
  if (!written.ok()) return fail("key new", written);
  const sign::PublicKey& half = key.key.public_key();
  if (words.json) {
    put_json(Json::object({{"name", words.name},
                           {"id", half.id()},
                           {"spoken", half.spoken_id()},
                           {"secret", secret_path},
                           {"public", public_path}}));
    return kYes;
  }
  put_line(fmt::format("key {}", half.id()));
  put_line(fmt::format("say {}", half.spoken_id()));
  put_line(fmt::format("{}  the secret: keep it off the cluster, and backed up", secret_path));
  put_line(fmt::format("{}  hand this one to whoever verifies", public_path));
  return kYes;
}

struct ShownKey {
  std::string_view kind;
  sign::NamedPublicKey key;
};

// By what the file says it is, whatever its name.
Result<ShownKey> read_either(const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(std::string bytes,
                           FileSystem::real().read(path, sign::kKeyFileCapBytes));
  const sign::Wiped wiped(bytes);
  if (sign::is_protected_key_file(bytes)) {
    ACCOUNT_ASSIGN_OR_RETURN(auto half, sign::parse_protected_key_file(bytes));
    return ShownKey{"protected secret", std::move(half)};
  }
  const auto secret = sign::parse_secret_key_file(bytes);
  if (secret.ok()) return ShownKey{"secret", {secret->name, secret->key.public_key()}};
  ACCOUNT_ASSIGN_OR_RETURN(auto half, sign::parse_public_key_file(bytes));
  return ShownKey{"public", std::move(half)};
}

int show(const std::string& path, bool json) {
  const auto shown = read_either(path);
  if (!shown.ok()) return fail(path, shown.status());
  const sign::PublicKey& key = shown->key.key;
  if (json) {
    put_json(Json::object({{"kind", shown->kind},
                           {"name", shown->key.name},
                           {"id", key.id()},
                           {"spoken", key.spoken_id()}}));
  } else {
    put_line(fmt::format("{} key '{}'", shown->kind, shown->key.name));
    put_line("id " + key.id());
    put_line("say " + key.spoken_id());
  }
  return kYes;
}

struct PassphraseWords {
  std::string file, to;
  bool remove = false;
};

// In place and at once: the secret is never in two files, nor in none.
Status change_passphrase(const PassphraseWords& words) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::NamedSecretKey key, read_secret_key(words.file));
  ACCOUNT_ASSIGN_OR_RETURN(
      std::string bytes, words.remove
                             ? sign::secret_key_file(key.name, key.key)
                             : protected_bytes(key, words.to.empty() ? new_passphrase(words.file)
                                                                     : read_passphrase(words.to)));
  const sign::Wiped wiped(bytes);
  ACCOUNT_RETURN_IF_ERROR(FileSystem::real().write_atomically(words.file, bytes, kSecretMode));
  say(fmt::format(
      "{}: {}", words.file,
      words.remove ? "no passphrase is needed any more" : "opens with the new passphrase only"));
  return {};
}

}  // namespace

void add_key(const Verb& program) {
  const Verb group = program.verb("key", "Make and look at signing keys");
  group.footer("Example:\n  account key new alice");

  const Verb new_verb = group.verb("new", "Writes NAME.key (0600) and NAME.pub");
  auto words = std::make_shared<NewWords>();
  new_verb.needs("NAME", words->name, "For people; names the files");
  new_verb.takes("--dir", words->dir, "Where the files go (default: here)");
  new_verb.flag("--passphrase", words->passphrase, "The secret opens with a passphrase only");
  new_verb.flag("--json", words->json, "As JSON");
  new_verb.footer("Example:\n  account key new alice --dir ~/keys");
  new_verb.does([words] { return create(*words); });

  const Verb show_verb = group.verb("show", "Kind, name and id of a key file");
  auto path = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  show_verb.needs("FILE", *path, "A .key or .pub file");
  show_verb.flag("--json", *json, "As JSON; never holds secret bytes");
  show_verb.footer("Example:\n  account key show alice.pub");
  show_verb.does([path, json] { return show(*path, *json); });

  const Verb passphrase = group.verb("passphrase", "Gives a .key file a passphrase, or a new one");
  auto change = std::make_shared<PassphraseWords>();
  passphrase.needs("FILE", change->file, "A .key file");
  passphrase.takes("--to", change->to,
                   "A file whose first line is the new one (default: asked for)");
  passphrase.flag("--remove", change->remove, "Takes it away");
  passphrase.footer("Example:\n  account key passphrase alice.key");
  passphrase.does([change] { return end_with("key passphrase", change_passphrase(*change)); });
}

}  // namespace account::cli
