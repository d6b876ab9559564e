// `account order why`: why a run was stopped, out of its own ledger.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "base/bytes.h"
#include "base/clock.h"
#include "cli/deliver.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "order/order.h"

namespace account::cli {
namespace {

struct WhyWords {
  std::string run;
  bool json = false;
};

struct Latched {  // on one node
  std::string node, because;
  int64_t unix_ns = 0;
};

struct Quiet {  // on one node
  std::string node, how;
  int64_t stop_edge = 0;
  Json ranks;
};

struct Story {
  std::string order;  // hash
  std::string what;   // "stop of job r7 by safety officer: evaluation 12 failed"
  std::string reason, ordered_by;
  Json scope;
  std::vector<Latched> latched;
  std::vector<Quiet> quiet;
  int64_t starts_refused = 0;
  std::string refused_because;
  std::set<std::string> lifted_by;  // hashes of lifts
};

std::string text_of(const Json& line, std::string_view name) {
  const auto text = line.get_string(name);
  return text.ok() ? *text : "";
}

int64_t time_of(const Json& line) {
  const auto time = line.get_op_count("time_unix_ns");
  return time.ok() ? static_cast<int64_t>(time->low()) : 0;
}

// The order inside a line's envelope. The ledger vouches for the bytes; what they mean is read.
Result<order::Order> order_of(const Json& line) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string text, line.get_string("envelope"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, from_base64(text));
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope envelope,
                           sign::parse_envelope(bytes, order::kMaxOrderBytes));
  return order::parse_order(envelope.payload);
}

class Stories {
 public:
  explicit Stories(const ledger::Report& report) {
    for (const ledger::NodeReport& node : report.nodes) {
      for (const Json& line : node.events) read(node.node, line);
    }
    // Only now: a node may have accepted a lift of what is told of another one further down.
    for (const ledger::NodeReport& node : report.nodes) {
      for (const Json& line : node.events) {
        if (text_of(line, "type") == "lift") add_lift(line);
      }
    }
  }

  std::vector<Story> all() const {
    std::vector<Story> list;
    for (const auto& [hash, story] : by_hash_) list.push_back(story);
    return list;
  }

 private:
  Story& story(const std::string& hash) {
    Story& one = by_hash_[hash];
    one.order = hash;
    return one;
  }

  void read(const std::string& node, const Json& line) {
    const std::string type = text_of(line, "type");
    if (type == "order") add_order(node, line);
    if (type == "quiet") add_quiet(node, line);
    if (type == "start_refused") {
      Story& one = story(text_of(line, "order"));
      ++one.starts_refused;
      one.refused_because = text_of(line, "because");
    }
  }

  void add_order(const std::string& node, const Json& line) {
    Story& one = story(text_of(line, "order"));
    one.reason = text_of(line, "reason");
    one.ordered_by = text_of(line, "ordered_by");
    one.latched.push_back({node, text_of(line, "because"), time_of(line)});
    if (const auto order = order_of(line); order.ok()) {
      one.what = describe(*order);
      one.scope = order::to_json(order->scope);
    }
  }

  void add_quiet(const std::string& node, const Json& line) {
    const auto orders = line.get_array("orders");
    const auto ranks = line.get_array("ranks");
    const auto edge = line.get_integer("stop_edge");
    if (!orders.ok() || !ranks.ok()) return;
    for (const Json& hash : (*orders)->items()) {
      story(hash.as_string())
          .quiet.push_back({node, text_of(line, "how"), edge.ok() ? *edge : 0, **ranks});
    }
  }

  void add_lift(const Json& line) {
    const auto order = order_of(line);
    if (!order.ok()) return;
    for (const sign::Digest& hash : order->lifts) {
      // A lift names other jobs' stops as well.
      const auto found = by_hash_.find(sign::to_hex(hash));
      if (found != by_hash_.end()) found->second.lifted_by.insert(order->hash_hex());
    }
  }

  std::map<std::string, Story> by_hash_;
};

Json to_json(const Story& story) {
  Json latched = Json::array(), quiet = Json::array(), lifts = Json::array();
  for (const Latched& one : story.latched) {
    latched.push(Json::object(
        {{"node", one.node}, {"because", one.because}, {"time", to_iso8601(one.unix_ns)}}));
  }
  for (const Quiet& one : story.quiet) {
    quiet.push(Json::object({{"node", one.node},
                             {"how", one.how},
                             {"stop_edge", one.stop_edge},
                             {"ranks", one.ranks}}));
  }
  for (const std::string& lift : story.lifted_by) lifts.push(lift);
  return Json::object({{"order", story.order},
                       {"reason", story.reason},
                       {"ordered_by", story.ordered_by},
                       {"scope", story.scope},
                       {"latched", std::move(latched)},
                       {"quiet", std::move(quiet)},
                       {"starts_refused", story.starts_refused},
                       {"refused_because", story.refused_because},
                       {"lifted_by", std::move(lifts)}});
}

std::string ranks_text(const Json& ranks) {
  std::string text;
  for (const Json& rank : ranks.items()) {
    const auto number = rank.get_integer("rank"), step = rank.get_integer("last_step");
    if (!number.ok() || !step.ok()) continue;
    text += fmt::format("{}rank {} {} at step {}", text.empty() ? "" : ", ", *number,
                        text_of(rank, "state"), *step);
  }
  return text;
}

void put(const Story& story) {
  put_line(fmt::format("order {}  {}", story.order,
                       story.what.empty() ? "a stop that was never obeyed here" : story.what));
  for (const Latched& one : story.latched) {
    put_line(fmt::format("  obeyed on node {} at {}: {}", one.node, to_iso8601(one.unix_ns),
                         one.because));
  }
  for (const Quiet& one : story.quiet) {
    put_line(fmt::format("  quiet on node {} ({}): {}", one.node, one.how, ranks_text(one.ranks)));
  }
  if (story.starts_refused > 0) {
    put_line(fmt::format("  {} start{} refused: {}", story.starts_refused,
                         story.starts_refused == 1 ? "" : "s", story.refused_because));
  }
  for (const std::string& lift : story.lifted_by) put_line("  lifted by " + lift);
  if (story.lifted_by.empty()) put_line("  this run has accepted no lift of it");
}

int why(const WhyWords& words) {
  const auto report = verify_run(words.run, {});
  if (!report.ok()) return fail(words.run, report.status());
  if (!report->ok()) return fail(words.run, first_problem(*report));
  const std::vector<Story> stories = Stories(*report).all();
  if (words.json) {
    Json list = Json::array();
    for (const Story& story : stories) list.push(to_json(story));
    put_json(Json::object({{"run", report->run}, {"orders", std::move(list)}}));
    return kYes;
  }
  for (const Story& story : stories) put(story);
  if (stories.empty()) put_line(fmt::format("no order has stopped or refused run {}", report->run));
  return kYes;
}

}  // namespace

void add_order_why(const Verb& group) {
  const Verb verb = group.verb("why", "Why a run was stopped or refused, from its ledger");
  auto words = std::make_shared<WhyWords>();
  verb.needs("RUN", words->run, "A run's folder or id");
  verb.flag("--json", words->json, "As JSON");
  verb.footer("Example:\n  account order why account/my-run");
  verb.does([words] { return why(*words); });
}

}  // namespace account::cli
