// Reading orders' stories out of ledgers.
#include "cli/order_story.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "cli/deliver.h"
#include "cli/output.h"
#include "order/order.h"

namespace account::cli {
namespace {

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

double seconds(int64_t ns) { return static_cast<double>(ns) / 1e9; }

// "rank 0 quiet at step 4, rank 1 quiet at step 4"
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

}  // namespace

Stories::Stories(const ledger::Report& report) {
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

std::vector<Story> Stories::all() const {
  std::vector<Story> list;
  for (const auto& [hash, story] : by_hash_) list.push_back(story);
  return list;
}

Story& Stories::story(const std::string& hash) {
  Story& one = by_hash_[hash];
  one.order = hash;
  return one;
}

void Stories::read(const std::string& node, const Json& line) {
  const std::string type = text_of(line, "type");
  if (type == "order") add_order(node, line);
  if (type == "quiet") add_quiet(node, line);
  if (type == "rehearsal") add_rehearsal(node, line);
  if (type == "lease_ended") {
    lapses_.push_back({node, text_of(line, "lease"), text_of(line, "because"), time_of(line)});
  }
  if (type == "note" && text_of(line, "kind") == "export_refused") {
    ++refused_exports_[text_of(line, "way")];
  }
  if (type == "note" && text_of(line, "kind") == "saved") {
    const auto step = line.get_integer("step");
    plain_saves_.push_back({node, text_of(line, "name"), step.ok() ? *step : 0});
  }
  if (type == "start_refused" && line.find("order") != nullptr) {  // else for want of a lease
    Story& one = story(text_of(line, "order"));
    ++one.starts_refused;
    one.refused_because = text_of(line, "because");
  }
}

void Stories::add_order(const std::string& node, const Json& line) {
  Story& one = story(text_of(line, "order"));
  one.reason = text_of(line, "reason");
  one.ordered_by = text_of(line, "ordered_by");
  one.latched.push_back({node, text_of(line, "because"), time_of(line)});
  if (const auto order = order_of(line); order.ok()) {
    one.what = describe(*order);
    one.scope = order::to_json(order->scope);
  }
}

void Stories::add_quiet(const std::string& node, const Json& line) {
  const auto orders = line.get_array("orders");
  const auto ranks = line.get_array("ranks");
  const auto edge = line.get_integer("stop_edge");
  if (!orders.ok() || !ranks.ok()) return;
  for (const Json& hash : (*orders)->items()) {
    story(hash.as_string())
        .quiet.push_back({node, text_of(line, "how"), edge.ok() ? *edge : 0, **ranks});
  }
}

void Stories::add_rehearsal(const std::string& node, const Json& line) {
  const auto step = line.get_integer("stop_edge");
  const auto after = line.get_op_count("quiet_after_ns");
  rehearsals_.push_back({node, text_of(line, "order"), text_of(line, "ending"),
                         text_of(line, "how"), step.ok() ? *step : 0,
                         after.ok() ? static_cast<int64_t>(after->low()) : 0, time_of(line)});
}

void Stories::add_lift(const Json& line) {
  const auto order = order_of(line);
  if (!order.ok()) return;
  for (const sign::Digest& hash : order->lifts) {
    // A lift names other jobs' stops as well.
    const auto found = by_hash_.find(sign::to_hex(hash));
    if (found != by_hash_.end()) found->second.lifted_by.insert(order->hash_hex());
  }
}

Json to_json(const Rehearsal& rehearsal) {
  return Json::object({{"node", rehearsal.node},
                       {"order", rehearsal.order},
                       {"ending", rehearsal.ending},
                       {"how", rehearsal.how},
                       {"stop_edge", rehearsal.step},
                       {"quiet_after_ns", OpCount(static_cast<uint64_t>(rehearsal.quiet_after_ns))},
                       {"time", to_iso8601(rehearsal.unix_ns)}});
}

void put(const Rehearsal& rehearsal) {
  std::string text = fmt::format("rehearsal {} on node {} at {}: {}", rehearsal.order.substr(0, 16),
                                 rehearsal.node, to_iso8601(rehearsal.unix_ns), rehearsal.ending);
  if (rehearsal.quiet_after_ns != 0) {
    text += fmt::format(" at step {}, {:.2f} s after it was read", rehearsal.step,
                        seconds(rehearsal.quiet_after_ns));
  }
  put_line(text);
}

Json to_json(const Lapse& lapse) {
  return Json::object({{"node", lapse.node},
                       {"lease", lapse.lease},
                       {"because", lapse.because},
                       {"time", to_iso8601(lapse.unix_ns)}});
}

void put(const Lapse& lapse) {
  put_line(fmt::format("lease ended on node {} at {}: {}", lapse.node, to_iso8601(lapse.unix_ns),
                       lapse.because));
}

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

void put(const Story& story) {
  put_line(fmt::format("order {}  {}", story.order,
                       story.what.empty() ? "an order that was never obeyed here" : story.what));
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

Json to_json(const std::map<std::string, int64_t>& refused_exports) {
  Json exports = Json::object();
  for (const auto& [way, times] : refused_exports) exports.set(way, times);
  return exports;
}

Json to_json(const std::vector<PlainSave>& plain_saves) {
  Json list = Json::array();
  for (const PlainSave& one : plain_saves) {
    list.push(Json::object({{"node", one.node}, {"name", one.name}, {"step", one.step}}));
  }
  return list;
}

void put(const std::vector<PlainSave>& plain_saves) {
  constexpr size_t kShown = 5;  // the newest are those that somebody would use
  if (plain_saves.empty()) return;
  std::string text;
  const size_t from = plain_saves.size() - std::min(kShown, plain_saves.size());
  for (size_t i = from; i < plain_saves.size(); ++i) {
    text += fmt::format("{}{} (step {})", text.empty() ? "" : ", ", plain_saves[i].name,
                        plain_saves[i].step);
  }
  put_line(fmt::format("checkpoints that it wrote in plain, by its ledger: {}{}", text,
                       from == 0 ? "" : fmt::format(" and {} before", from)));
}

void put(const std::map<std::string, int64_t>& refused_exports) {
  for (const auto& [way, times] : refused_exports) {
    put_line(fmt::format("{} was tried {} time{} and refused", way, times, times == 1 ? "" : "s"));
  }
}

}  // namespace account::cli
