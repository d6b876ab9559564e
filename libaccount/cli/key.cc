// `account key new|show`: the developer's key, which need never be on the cluster.
#include <fmt/format.h>

#include <memory>

#include "base/files.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "sign/sign.h"

namespace account::cli {
namespace {

constexpr int kSecretMode = 0600, kPublicMode = 0644;

struct NewWords {
  std::string name, dir = ".";
  bool json = false;
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

// The secret one first: a public file without its secret would look like a key.
Status write_key_files(const NewWords& words, const sign::SecretKey& key,
                       const std::string& secret_path, const std::string& public_path) {
  FileSystem& files = FileSystem::real();
  ACCOUNT_RETURN_IF_ERROR(refuse_to_overwrite(files, secret_path));
  ACCOUNT_RETURN_IF_ERROR(refuse_to_overwrite(files, public_path));
  std::string secret = sign::secret_key_file(words.name, key);
  const Status written = files.write_atomically(secret_path, secret, kSecretMode);
  sign::wipe(secret);
  ACCOUNT_RETURN_IF_ERROR(written);
  return files.write_atomically(public_path, sign::public_key_file({words.name, key.public_key()}),
                                kPublicMode);
}

int create(const NewWords& words) {
  if (const Status named = check_file_name(words.name); !named.ok()) return fail("key new", named);
  const std::string secret_path = join_path(words.dir, words.name + ".key");
  const std::string public_path = join_path(words.dir, words.name + ".pub");
  const sign::SecretKey key = sign::SecretKey::generate();
  const Status written = write_key_files(words, key, secret_path, public_path);
  if (!written.ok()) return fail("key new", written);
  if (words.json) {
    put_json(Json::object({{"name", words.name},
                           {"id", key.public_key().id()},
                           {"secret", secret_path},
                           {"public", public_path}}));
    return kYes;
  }
  put_line(fmt::format("key {}", key.public_key().id()));
  put_line(fmt::format("{}  the secret: keep it off the cluster, and backed up", secret_path));
  put_line(fmt::format("{}  hand this one to whoever verifies", public_path));
  return kYes;
}

struct ShownKey {
  std::string kind, name, id;
};

// By what the file says it is, whatever its name.
Result<ShownKey> read_either(const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(std::string bytes,
                           FileSystem::real().read(path, sign::kKeyFileCapBytes));
  auto secret = sign::parse_secret_key_file(bytes);
  auto opened = sign::parse_public_key_file(bytes);
  sign::wipe(bytes);
  if (secret.ok()) return ShownKey{"secret", secret->name, secret->key.public_key().id()};
  if (!opened.ok()) return opened.status();
  return ShownKey{"public", opened->name, opened->key.id()};
}

int show(const std::string& path, bool json) {
  const auto key = read_either(path);
  if (!key.ok()) return fail(path, key.status());
  if (json) {
    put_json(Json::object({{"kind", key->kind}, {"name", key->name}, {"id", key->id}}));
  } else {
    put_line(fmt::format("{} key '{}'", key->kind, key->name));
    put_line("id " + key->id);
  }
  return kYes;
}

}  // namespace

void add_key(const Verb& program) {
  const Verb group = program.verb("key", "Make and look at signing keys");
  group.footer("Example:\n  account key new alice");

  const Verb new_verb = group.verb("new", "Writes NAME.key (0600) and NAME.pub");
  auto words = std::make_shared<NewWords>();
  new_verb.needs("NAME", words->name, "For people; names the files");
  new_verb.takes("--dir", words->dir, "Where the files go (default: here)");
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
}

}  // namespace account::cli
