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

// Not shared, only kept.
constexpr TextTrait kPlaces[] = {
    {"developer", "developer", &Traits::developer},
    {"customer", "customer", &Traits::customer},
    {"cluster", "cluster", &Traits::cluster},
};

struct ListTrait {
  const char* name;
  std::vector<std::string> Traits::* member;
};
constexpr ListTrait kListTraits[] = {
    {"origins", &Traits::origins},
    {"lineage", &Traits::lineage},
};

struct ScopeName {
  Scope::Kind kind;
  const char* name;
};
constexpr ScopeName kScopes[] = {
    {Scope::Kind::job, "job"},
    {Scope::Kind::model, "model"},
    {Scope::Kind::developer, "developer"},
    {Scope::Kind::customer, "customer"},
    {Scope::Kind::cluster, "cluster"},
};
constexpr const char* kKnownScopes = "job, model, developer, customer, cluster and all";

const char* name_of(Scope::Kind kind) {
  for (const ScopeName& scope : kScopes) {
    if (scope.kind == kind) return scope.name;
  }
  return "all";
}

bool contains(const std::vector<std::string>& items, const std::string& item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

Status take_text(const Json& json, const TextTrait& trait, Traits& traits) {
  if (json.find(trait.name) == nullptr) return {};
  ACCOUNT_ASSIGN_OR_RETURN(traits.*trait.member, json.get_string(trait.name));
  return {};
}

Status take_list(const Json& json, const ListTrait& trait, Traits& traits) {
  if (json.find(trait.name) == nullptr) return {};
  ACCOUNT_ASSIGN_OR_RETURN(const Json* items, json.get_array(trait.name));
  for (const Json& item : items->items()) {
    if (item.kind() != Json::Kind::string) {
      return {Code::corrupt, fmt::format("member '{}' holds no text", trait.name)};
    }
    (traits.*trait.member).push_back(item.as_string());
  }
  return {};
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
  const auto put = [&](const TextTrait& trait) {
    if (!(traits.*trait.member).empty()) json.set(trait.name, traits.*trait.member);
  };
  for (const TextTrait& trait : kTextTraits) put(trait);
  for (const TextTrait& trait : kPlaces) put(trait);
  for (const ListTrait& trait : kListTraits) {
    Json items = Json::array();
    for (const std::string& item : traits.*trait.member) items.push(item);
    if (!items.items().empty()) json.set(trait.name, std::move(items));
  }
  return json;
}

Result<Traits> traits_from_json(const Json& json) {
  if (json.kind() != Json::Kind::object) {
    return Status(Code::corrupt, "what a job knew of itself is no object");
  }
  Traits traits;
  for (const TextTrait& trait : kTextTraits) {
    ACCOUNT_RETURN_IF_ERROR(take_text(json, trait, traits));
  }
  for (const TextTrait& trait : kPlaces) {
    ACCOUNT_RETURN_IF_ERROR(take_text(json, trait, traits));
  }
  for (const ListTrait& trait : kListTraits) {
    ACCOUNT_RETURN_IF_ERROR(take_list(json, trait, traits));
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
  if (!frozen.run.empty() && contains(job.origins, frozen.run)) {
    return fmt::format("the weights of run {}", frozen.run);
  }
  return std::nullopt;
}

Json to_json(const Scope& scope) {
  if (scope.kind == Scope::Kind::all) return Json::object({{"all", true}});
  return Json::object({{name_of(scope.kind), scope.value}});
}

Result<Scope> scope_from_json(const Json& json) {
  if (json.kind() != Json::Kind::object || json.members().size() != 1) {
    return Status(Code::corrupt,
                  fmt::format("a scope is an object with one member: {}", kKnownScopes));
  }
  const std::string& kind = json.members()[0].first;
  for (const ScopeName& known : kScopes) {
    if (kind != known.name) continue;
    ACCOUNT_ASSIGN_OR_RETURN(std::string value, get_value(json, kind));
    return Scope{known.kind, std::move(value)};
  }
  if (kind == "all") {
    ACCOUNT_ASSIGN_OR_RETURN(const bool all, json.get_bool("all"));
    if (all) return Scope{};
  }
  return Status(Code::corrupt, fmt::format("a scope of unknown kind '{}'", kind.substr(0, 40)),
                fmt::format("this version knows {}", kKnownScopes));
}

std::string to_string(const Scope& scope) {
  if (scope.kind == Scope::Kind::all) return "all jobs";
  return fmt::format("{} {}", name_of(scope.kind), scope.value);
}

bool covers(const Scope& scope, const Traits& job) {
  switch (scope.kind) {
    case Scope::Kind::job:
      return scope.value == job.run || scope.value == job.scheduler_id;
    case Scope::Kind::model:
      return scope.value == job.model || contains(job.lineage, scope.value);
    case Scope::Kind::developer:
      return scope.value == job.developer;
    case Scope::Kind::customer:
      return scope.value == job.customer;
    case Scope::Kind::cluster:
      return scope.value == job.cluster;
    case Scope::Kind::all:
      break;
  }
  return true;
}

}  // namespace account::order
