// `account order why`: why a run was stopped, out of its own ledger.
#include <fmt/format.h>

#include <memory>

#include "cli/order_story.h"
#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/verbs.h"

namespace account::cli {
namespace {

struct WhyWords {
  std::string run;
  bool json = false;
};

int why(const WhyWords& words) {
  const auto report = verify_run(words.run, {});
  if (!report.ok()) return fail(words.run, report.status());
  if (!report->ok()) return fail(words.run, first_problem(*report));
  const Stories told(*report);
  const std::vector<Story> stories = told.all();
  if (words.json) {
    Json list = Json::array();
    for (const Story& story : stories) list.push(to_json(story));
    Json rehearsals = Json::array();
    for (const Rehearsal& rehearsal : told.rehearsals()) rehearsals.push(to_json(rehearsal));
    Json lapses = Json::array();
    for (const Lapse& lapse : told.lapses()) lapses.push(to_json(lapse));
    put_json(Json::object({{"run", report->run},
                           {"orders", std::move(list)},
                           {"rehearsals", std::move(rehearsals)},
                           {"leases_ended", std::move(lapses)},
                           {"exports_refused", to_json(told.refused_exports())},
                           {"plain_checkpoints", to_json(told.plain_saves())}}));
    return kYes;
  }
  for (const Story& story : stories) put(story);
  for (const Rehearsal& rehearsal : told.rehearsals()) put(rehearsal);
  for (const Lapse& lapse : told.lapses()) put(lapse);
  put(told.refused_exports());
  if (!stories.empty()) put(told.plain_saves());
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
