// `account order unlock`: whoever holds a recovery key opens what a stop let ranks save.
#include "cli/order_unlock.h"

#include <fmt/format.h>

#include <memory>
#include <vector>

#include "base/files.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "gate/locked.h"

namespace account::cli {
namespace {

constexpr int kMaxDepth = 4;

// Locked files below, in the order of their names.
void collect(const std::string& path, int depth, std::vector<std::string>& found) {
  const auto names = FileSystem::real().list(path);
  if (!names.ok() || depth > kMaxDepth) return;
  for (const std::string& name : *names) {
    const std::string below = join_path(path, name);
    if (name.ends_with(gate::kLockedSuffix)) {
      found.push_back(below);
    } else {
      collect(below, depth + 1, found);
    }
  }
}

Result<std::vector<std::string>> files_at(const UnlockWords& words) {
  if (!FileSystem::real().exists(words.path)) {
    return Status(Code::not_found, fmt::format("there is no file or folder {}", words.path));
  }
  std::vector<std::string> found;
  if (FileSystem::real().list(words.path).ok()) {
    collect(words.path, 0, found);
  } else {
    found.push_back(words.path);
  }
  if (found.empty()) {
    return Status(Code::not_found, fmt::format("{} holds no locked file", words.path),
                  "a stop's are in the run's folder, under locked/");
  }
  if (words.out && found.size() > 1) {
    return Status(Code::invalid_argument,
                  fmt::format("{} holds {} locked files", words.path, found.size()),
                  "--out takes the bytes of one: name it");
  }
  return found;
}

// Under another name until it is whole: what does not open leaves nothing behind.
Status write_plain(const std::string& path, std::string_view key, const std::string& out) {
  FileSystem& files = FileSystem::real();
  if (files.exists(out)) {
    return {Code::invalid_argument, fmt::format("{} exists and is not overwritten", out)};
  }
  const std::string partial = out + std::string(gate::kPartialSuffix);
  if (files.exists(partial)) ACCOUNT_RETURN_IF_ERROR(files.remove(partial));
  const Status written = [&]() -> Status {
    ACCOUNT_ASSIGN_OR_RETURN(const auto file, files.open_append(partial));
    ACCOUNT_RETURN_IF_ERROR(
        gate::read_locked(path, key, [&](std::string_view bytes) { return file->append(bytes); }));
    ACCOUNT_RETURN_IF_ERROR(file->sync());
    return put_in_place(partial, out);
  }();
  if (!written.ok()) (void)files.remove(partial).ok();
  return written;
}

Status open_one(const std::string& path, const sign::SecretKey& recovery, const UnlockWords& words,
                gate::LockedHeader& header) {
  ACCOUNT_ASSIGN_OR_RETURN(header, gate::read_locked_header(path));
  auto key = gate::unseal_key(header, recovery);
  if (!key.ok()) return key.status().with_context(path);
  const Status opened =
      words.out ? write_plain(path, *key, *words.out) : gate::write_opened_key(path, header, *key);
  sign::wipe(*key);
  return opened;
}

void tell(const UnlockWords& words, const std::vector<std::string>& paths,
          const std::vector<gate::LockedHeader>& headers) {
  if (words.quiet) return;
  Json rows = Json::array();
  for (size_t i = 0; i < paths.size(); ++i) {
    const gate::LockedHeader& header = headers[i];
    if (!words.json) {
      put_line(fmt::format("{}  open: rank {} of run {} at step {}", paths[i], header.rank,
                           header.run, header.step));
    }
    rows.push(Json::object({{"path", paths[i]},
                            {"run", header.run},
                            {"rank", header.rank},
                            {"step", header.step},
                            {"order", sign::to_hex(header.order)},
                            {"out", words.out.value_or("")}}));
  }
  if (words.json) put_json(Json::object({{"opened", std::move(rows)}}));
}

}  // namespace

int unlock_files(const UnlockWords& words) {
  const auto keys = read_secret_keys({words.recovery});
  if (!keys.ok()) return fail("order unlock", keys.status());
  const auto paths = files_at(words);
  if (!paths.ok()) return fail("order unlock", paths.status());
  std::vector<gate::LockedHeader> headers;
  for (const std::string& path : *paths) {
    const Status opened = open_one(path, keys->front().key, words, headers.emplace_back());
    if (!opened.ok()) return fail("order unlock", opened);
  }
  tell(words, *paths, headers);
  return kYes;
}

void add_order_unlock(const Verb& group) {
  const Verb verb =
      group.verb("unlock", "Opens what a stop let ranks save, by a recovery key's holder");
  auto words = std::make_shared<UnlockWords>();
  verb.needs("PATH", words->path, "A locked file, or a folder with some");
  verb.needs("--recovery", words->recovery, "A recovery key's .key file");
  verb.takes("--out", words->out, "Write the plain bytes of one file here");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Without --out each file's data key is put beside it, as FILE.key: then the job that is\n"
      "started again reads it by itself. It permits no start; a lift does.\n\n"
      "Example:\n"
      "  account order unlock account/my-run/locked --recovery safe.key");
  verb.does([words] { return unlock_files(*words); });
}

}  // namespace account::cli
