// Charts as inline SVG. Colours are the page's variables, so that they follow light and dark; every
// mark has a title, and every figure stands in text beside or below it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "report/report.h"

namespace account::report {
namespace {

constexpr double kWidth = 760;

// Begin and end of a word that is too long for its place; ops end with what tells them apart.
std::string shortened(const std::string& words) {
  constexpr size_t kMost = 36, kEnd = 16;
  if (words.size() <= kMost) return words;
  return words.substr(0, kMost - kEnd - 1) + "\u2026" + words.substr(words.size() - kEnd);
}

std::string open_svg(double height, std::string_view label) {
  return fmt::format("<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\">\n", kWidth,
                     height, escaped(label));
}

std::string text(double x, double y, std::string_view anchor, std::string_view kind,
                 std::string_view words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n",
                     x, y, anchor, kind, escaped(words));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view kind) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2,
      y2, kind);
}

double log_of(OpCount count) { return std::log10(std::max(count.to_double(), 1.0)); }

// "10" and a raised exponent.
std::string power(double x, double y, int exponent) {
  return fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" class=\"muted\">10<tspan dy=\"-5\" "
      "class=\"raised\">{}</tspan></text>\n",
      x, y, exponent);
}

// From operations to places on the paper, by decades.
class LogAxis {
 public:
  LogAxis(double left, double right, OpCount least, OpCount most)
      : left_(left), right_(right), low_(static_cast<int>(std::floor(log_of(least))) - 1) {
    low_ = std::max(low_, 0);
    high_ = std::max(static_cast<int>(std::floor(log_of(most))) + 1, low_ + 1);
  }
  double at(OpCount count) const {
    const double share = (log_of(count) - low_) / (high_ - low_);
    return left_ + std::clamp(share, 0.0, 1.0) * (right_ - left_);
  }
  double at_decade(int exponent) const {
    return left_ + static_cast<double>(exponent - low_) / (high_ - low_) * (right_ - left_);
  }
  int low() const { return low_; }
  int high() const { return high_; }

 private:
  double left_, right_;
  int low_, high_ = 0;
};

struct Row {
  std::string label, verdict;
  OpCount threshold, counted;
};

std::vector<Row> rows_of(const Page& page) {
  std::vector<Row> rows;
  for (const policy::Judgement& judgement : page.judgements) {
    for (const policy::RuleJudgement& rule : judgement.rules) {
      const std::string name =
          judgement.rules.size() == 1 ? judgement.policy : judgement.policy + ", " + rule.rule;
      rows.push_back({name, std::string(policy::name(rule.verdict)), rule.threshold, rule.counted});
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.threshold < b.threshold; });
  return rows;
}

}  // namespace

std::string escaped(std::string_view words) {
  std::string safe;
  for (const char c : words) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe.push_back(c);
    }
  }
  return safe;
}

std::string threshold_text(OpCount threshold) {
  constexpr size_t kMost = 8;
  const std::string exact = policy::exact_text(threshold);
  return exact.size() <= kMost ? exact : threshold.to_short();
}

std::string threshold_chart(const Page& page) {
  const std::vector<Row> rows = rows_of(page);
  if (rows.empty()) return "";
  constexpr double kLabels = 262, kRow = 24, kTop = 34, kFoot = 26, kRightRoom = 62;
  const record::Bounds sum = record::sum_up(page.record).derived;
  OpCount most = sum.high;
  for (const Row& row : rows) most = std::max(most, row.threshold);
  const LogAxis axis(kLabels, kWidth - kRightRoom, sum.low, most);
  const double bottom = kTop + kRow * static_cast<double>(rows.size());
  std::string svg = open_svg(bottom + kFoot, "Counted operations against each threshold");
  const int decades = axis.high() - axis.low();
  for (int exponent = axis.low(); exponent <= axis.high(); ++exponent) {
    const double x = axis.at_decade(exponent);
    svg += line(x, kTop, x, bottom, "grid");
    const int every = decades > 16 ? 4 : decades > 8 ? 2 : 1;
    if ((exponent - axis.low()) % every == 0) svg += power(x, bottom + 18, exponent);
  }
  const double low = axis.at(sum.low), high = axis.at(sum.high);
  svg += fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:g}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"band\"><title>at "
      "most {}, "
      "with all gaps</title></rect>\n",
      low, kTop, std::max(high - low, 0.0), bottom - kTop, sum.high.to_decimal());
  svg += line(low, kTop - 4, low, bottom, "counted");
  const bool left_half = low < (kLabels + kWidth) / 2;
  svg += text(low + (left_half ? -2 : 2), kTop - 12, left_half ? "start" : "end", "strong",
              "counted " + sum.low.to_short());
  for (size_t i = 0; i < rows.size(); ++i) {
    const double y = kTop + kRow * (static_cast<double>(i) + 0.5);
    const double x = axis.at(rows[i].threshold);
    svg += text(kLabels - 12, y + 4, "end", "label", rows[i].label);
    svg += line(low, y, x, y, "leader");
    svg += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" class=\"mark {}\"><title>{}: {} of {}, "
        "{}</title>"
        "</circle>\n",
        x, y, rows[i].verdict, escaped(rows[i].label), rows[i].counted.to_decimal(),
        rows[i].threshold.to_decimal(), rows[i].verdict);
    svg += text(x + 10, y + 4, "start", "muted", threshold_text(rows[i].threshold));
  }
  return svg + "</svg>\n";
}

std::string step_chart(const StepCurve& curve) {
  if (curve.means.empty()) return "";
  constexpr double kLeft = 84, kTop = 10, kHeight = 170, kFoot = 26;
  const double most = *std::max_element(curve.means.begin(), curve.means.end());
  if (most <= 0) return "";
  const double bottom = kTop + kHeight;
  // A round number at or above the most, in quarters.
  const double unit = std::pow(10, std::floor(std::log10(most)));
  const double ceiling = std::ceil(most / unit * 2) / 2 * unit;
  std::string svg = open_svg(bottom + kFoot, "Operations of each step, over all ranks");
  constexpr int kLines = 4;
  for (int i = 0; i <= kLines; ++i) {
    const double value = ceiling * i / kLines, y = bottom - kHeight * i / kLines;
    svg += line(kLeft, y, kWidth, y, i == 0 ? "axis" : "grid");
    svg += text(kLeft - 8, y + 4, "end", "muted", i == 0 ? "0" : fmt::format("{:.2e}", value));
  }
  const double slot = (kWidth - kLeft) / static_cast<double>(curve.means.size());
  const double gap = slot > 8 ? 2 : 0;
  for (size_t i = 0; i < curve.means.size(); ++i) {
    const double height = curve.means[i] / ceiling * kHeight;
    const uint64_t first = i * curve.steps / curve.means.size() + 1;
    const uint64_t last = (i + 1) * curve.steps / curve.means.size();
    svg += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" "
        "class=\"bar\"><title>{}: {:.4g} "
        "operations{}</title></rect>\n",
        kLeft + slot * static_cast<double>(i) + gap / 2, bottom - height, slot - gap, height,
        first == last ? fmt::format("step {}", first) : fmt::format("steps {} to {}", first, last),
        curve.means[i], first == last ? "" : " each, in the mean");
  }
  svg += text(kLeft, bottom + 18, "start", "muted", "step 1");
  svg += text(kWidth, bottom + 18, "end", "muted", fmt::format("step {}", curve.steps));
  return svg + "</svg>\n";
}

std::string bar_chart(const Breakdown& by, std::string_view what) {
  std::vector<std::pair<std::string, OpCount>> rows(by.begin(), by.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  OpCount total, rest;
  for (const auto& [word, operations] : rows) total = saturating_add(total, operations);
  if (total == OpCount()) return "";
  constexpr size_t kMost = 12;
  const size_t others = rows.size() > kMost ? rows.size() - kMost : 0;
  for (size_t i = kMost; i < rows.size(); ++i) rest = saturating_add(rest, rows[i].second);
  if (others > 0) {
    rows.resize(kMost);
    rows.emplace_back(fmt::format("{} others", others), rest);
  }
  constexpr double kLabels = 262, kRow = 24, kBar = 14, kRightRoom = 150;
  const double room = kWidth - kLabels - kRightRoom;
  std::string svg = open_svg(kRow * static_cast<double>(rows.size()) + 4, what);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& [word, operations] = rows[i];
    const double share = operations.to_double() / total.to_double();
    const double y = kRow * static_cast<double>(i) + 4;
    const double width = std::max(share * room, 1.0);
    svg += text(kLabels - 12, y + 12, "end", "label", shortened(word));
    svg += fmt::format(
        "<rect x=\"{:g}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:g}\" rx=\"2\" "
        "class=\"bar\"><title>{}: {} "
        "operations</title></rect>\n",
        kLabels, y, width, kBar, escaped(word), operations.to_decimal());
    svg += text(kLabels + width + 8, y + 12, "start", "muted",
                fmt::format("{}  {:.1f} %", operations.to_short(), 100 * share));
  }
  return svg + "</svg>\n";
}

namespace {

// A model of the line, as a box: its parents stand above it.
struct Box {
  std::string id;  // record; empty: what the page is about
  std::string title, detail;
  std::vector<std::string> parents;
  bool base = false;
  int depth = 0;
};

std::string sum_of(const std::vector<record::Part>& parts,
                   const std::vector<record::Claim>& claims) {
  record::Bounds sum;
  for (const record::Part& part : parts) {
    sum.low = saturating_add(sum.low, part.executed);
    sum.high = saturating_add(sum.high, part.upper);
  }
  for (const record::Claim& claim : claims) {
    sum.low = saturating_add(sum.low, claim.low);
    sum.high = saturating_add(sum.high, claim.high);
  }
  std::string told = sum.low.to_short();
  if (sum.low.to_short() != sum.high.to_short()) told += " to " + sum.high.to_short();
  if (!parts.empty()) {
    told += fmt::format(", {} run{}", parts.size(), parts.size() == 1 ? "" : "s");
  }
  if (parts.empty() && !claims.empty()) {
    told += fmt::format(", {}", record::name(claims.front().grade));
  }
  return told;
}

std::vector<Box> boxes_of(const record::Record& record) {
  std::vector<Box> boxes;
  bool unknown = false;
  const auto parents_of = [&](const std::vector<std::string>& ids) {
    std::vector<std::string> parents;
    for (const std::string& id : ids) {
      unknown |= id.empty();
      parents.push_back(id.empty() ? "unknown" : id);
    }
    return parents;
  };
  for (const record::Ancestor& ancestor : record.lineage) {
    boxes.push_back({ancestor.record,
                     fmt::format("{}{}{}", ancestor.model, ancestor.model.empty() ? "" : ", ",
                                 record::name(ancestor.kind)),
                     sum_of(ancestor.parts, ancestor.claims), parents_of(ancestor.parents),
                     ancestor.base});
  }
  std::vector<std::string> own;
  for (const record::Parent& parent : record.parents) {
    if (!parent.teacher) own.push_back(parent.record);
  }
  boxes.push_back({"", record.model.empty() ? "these weights" : record.model,
                   sum_of(record.parts, record.claims), parents_of(own)});
  if (unknown)
    boxes.push_back({"unknown", "a model without a record", "unknown operations", {}, true});
  return boxes;
}

// The longest way down from a model without parents.
void place(std::vector<Box>& boxes) {
  for (size_t round = 0; round < boxes.size(); ++round) {
    for (Box& box : boxes) {
      for (const Box& parent : boxes) {
        const bool is_parent =
            std::find(box.parents.begin(), box.parents.end(), parent.id) != box.parents.end();
        if (is_parent && &parent != &box) box.depth = std::max(box.depth, parent.depth + 1);
      }
    }
  }
}

}  // namespace

std::string lineage_tree(const record::Record& record) {
  std::vector<Box> boxes = boxes_of(record);
  place(boxes);
  std::map<int, int> used, all;
  for (const Box& box : boxes) ++all[box.depth];
  constexpr double kHigh = 52, kStep = 84, kBetween = 16, kMostWide = 300;
  std::map<std::string, std::pair<double, double>> places;  // middle of the lower edge
  std::string marks, edges;
  for (const Box& box : boxes) {
    const double wide = std::min(kMostWide, kWidth / all[box.depth] - kBetween);
    const double span = (wide + kBetween) * all[box.depth] - kBetween;
    const double x = (kWidth - span) / 2 + (wide + kBetween) * used[box.depth]++;
    const double y = 4 + kStep * box.depth;
    places[box.id] = {x + wide / 2, y};
    const auto fit = [&](const std::string& words, double per) {
      size_t most = static_cast<size_t>(wide / per);
      if (words.size() <= most || most < 4) return words;
      // Not within a character of several bytes.
      for (most -= 3; most > 0 && (words[most] & 0xC0) == 0x80;) --most;
      return words.substr(0, most) + "...";
    };
    marks += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:g}\" rx=\"6\" "
        "class=\"box{}\"><title>{}"
        "</title></rect>\n",
        x, y, wide, kHigh,
        box.base         ? " base"
        : box.id.empty() ? " own"
                         : "",
        escaped(box.id.empty() ? box.title : "record " + box.id));
    marks += text(x + wide / 2, y + 21, "middle", "strong", fit(box.title, 7.5));
    marks += text(x + wide / 2, y + 39, "middle", "muted", fit(box.detail, 7));
  }
  int depth = 0;
  for (const Box& box : boxes) {
    depth = std::max(depth, box.depth);
    for (const std::string& parent :
         std::set<std::string>(box.parents.begin(), box.parents.end())) {
      const auto from = places.find(parent);
      if (from == places.end()) continue;
      const auto& [x, y] = places[box.id];
      edges += line(from->second.first, from->second.second + kHigh, x, y, "edge");
    }
  }
  return open_svg(kStep * depth + kHigh + 8, "The line of models") + edges + marks + "</svg>\n";
}

}  // namespace account::report
