// Traits of jobs and scopes of orders.
#include "order/traits.h"

#include <fmt/format.h>

#include <algorithm>

namespace account::order {
namespace {

constexpr size_t kMaxValueBytes = 1024;

struct TextTrait {
  const char* name;
  const char* spoken;
  std::string Traits::* member;
};
constexpr TextTrait kTextTraits[] = {
    {"run", "run", &Traits::run},
    {"directory", "folder", &Traits::directory},
    {"model", "model", &Traits::model},
    {"scheduler_id", "the scheduler's job", &Traits::scheduler_id},
    {"scheduler_name", "the scheduler's job name", &Traits::scheduler_name},
    {"command", "command", &Traits::command},
};

struct DigestTrait {
  const char* name;
  std::vector<std::string> Traits::* member;
};
constexpr DigestTrait kDigestTraits[] = {
    {"weights", &Traits::weights},
    {"parents", &Traits::parents},
};

const std::string* first_common(const std::vector<std::string>& a,
                                const std::vector<std::string>& b) {
  const auto found = std::find_if(a.begin(), a.end(), [&](const std::string& item) {
    return !item.empty() && std::find(b.begin(), b.end(), item) != b.end();
  });
  return found == a.end() ? nullptr : &*found;
}

Result<std::string> get_value(const Json& json, std::string_view name) {
  ACCOUNT_ASSIGN_OR_RETURN(std::string value, json.get_string(name));
  if (value.empty() || value.size() > kMaxValueBytes) {
    return Status(Code::corrupt, fmt::format("the scope's {} is empty or longer than {} bytes",
                                             name, kMaxValueBytes));
  }
  return value;
}

}  // namespace

Json to_json(const Traits& traits) {
  Json json = Json::object();
  for (const TextTrait& trait : kTextTraits) {
    if (!(traits.*trait.member).empty()) json.set(trait.name, traits.*trait.member);
  }
  for (const DigestTrait& trait : kDigestTraits) {
    Json digests = Json::array();
    for (const std::string& digest : traits.*trait.member) digests.push(digest);
    if (!digests.items().empty()) json.set(trait.name, std::move(digests));
  }
  return json;
}

Result<Traits> traits_from_json(const Json& json) {
  if (json.kind() != Json::Kind::object) {
    return Status(Code::corrupt, "what a job knew of itself is no object");
  }
  Traits traits;
  for (const TextTrait& trait : kTextTraits) {
    if (json.find(trait.name) == nullptr) continue;
    ACCOUNT_ASSIGN_OR_RETURN(traits.*trait.member, json.get_string(trait.name));
  }
  for (const DigestTrait& trait : kDigestTraits) {
    if (json.find(trait.name) == nullptr) continue;
    ACCOUNT_ASSIGN_OR_RETURN(const Json* digests, json.get_array(trait.name));
    for (const Json& digest : digests->items()) {
      if (digest.kind() != Json::Kind::string) {
        return Status(Code::corrupt, fmt::format("member '{}' holds no digest", trait.name));
      }
      (traits.*trait.member).push_back(digest.as_string());
    }
  }
  return traits;
}

std::optional<std::string> shared_trait(const Traits& frozen, const Traits& job) {
  for (const TextTrait& trait : kTextTraits) {
    const std::string& then = frozen.*trait.member;
    if (!then.empty() && then == job.*trait.member) {
      return fmt::format("{} {}", trait.spoken, then);
    }
  }
  // Weights of the stopped job may be another's parents, and the other way round.
  for (const DigestTrait& then : kDigestTraits) {
    for (const DigestTrait& now : kDigestTraits) {
      const std::string* common = first_common(frozen.*then.member, job.*now.member);
      if (common != nullptr) return fmt::format("weights {}", *common);
    }
  }
  return std::nullopt;
}

Json to_json(const Scope& scope) {
  switch (scope.kind) {
    case Scope::Kind::job:
      return Json::object({{"job", scope.value}});
    case Scope::Kind::model:
      return Json::object({{"model", scope.value}});
    case Scope::Kind::all:
      break;
  }
  return Json::object({{"all", true}});
}

Result<Scope> scope_from_json(const Json& json) {
  if (json.kind() != Json::Kind::object || json.members().size() != 1) {
    return Status(Code::corrupt, "a scope is an object with one member: job, model or all");
  }
  const std::string& kind = json.members()[0].first;
  if (kind == "job" || kind == "model") {
    ACCOUNT_ASSIGN_OR_RETURN(std::string value, get_value(json, kind));
    return Scope{kind == "job" ? Scope::Kind::job : Scope::Kind::model, std::move(value)};
  }
  if (kind == "all") {
    ACCOUNT_ASSIGN_OR_RETURN(const bool all, json.get_bool("all"));
    if (all) return Scope{};
  }
  return Status(Code::corrupt, fmt::format("a scope of unknown kind '{}'", kind.substr(0, 40)),
                "this version knows job, model and all");
}

std::string to_string(const Scope& scope) {
  switch (scope.kind) {
    case Scope::Kind::job:
      return "job " + scope.value;
    case Scope::Kind::model:
      return "model " + scope.value;
    case Scope::Kind::all:
      break;
  }
  return "all jobs";
}

bool covers(const Scope& scope, const Traits& job) {
  switch (scope.kind) {
    case Scope::Kind::job:
      return scope.value == job.run || scope.value == job.scheduler_id;
    case Scope::Kind::model:
      return scope.value == job.model;
    case Scope::Kind::all:
      break;
  }
  return true;
}

}  // namespace account::order
