// `account estimate`: what a planned training will take. One step is counted on tensors without
// numbers, by Python, where the model is; the plan, its time, its cost and its verdicts follow
// here.
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>

#include "cli/output.h"
#include "cli/python.h"
#include "cli/record_text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "policy/devices.h"

namespace account::cli {
namespace {

struct EstimateWords {
  std::string model;
  std::optional<std::string> batch, sequence, attention, dtype;
  bool recompute = false;
  std::optional<std::string> tokens, steps, device, devices, utilisation, price;
  std::vector<std::string> policies;
  FactWords facts;
  bool json = false;
};

// What Python counted: one step.
struct Step {
  Json json;
  OpCount executed, model, lower;
  std::map<std::string, OpCount> by_phase, by_dtype;
  uint64_t tokens = 0;  // 0: a function's step, whose tokens only its author knows
};

// ---- the step ------------------------------------------------------------------------------

Result<std::map<std::string, OpCount>> counts_of(const Json& json, std::string_view name) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* by, json.get_object(name));
  std::map<std::string, OpCount> counts;
  for (const auto& [word, text] : by->members()) {
    ACCOUNT_ASSIGN_OR_RETURN(counts[word], OpCount::from_decimal(text.as_string()));
  }
  return counts;
}

Status check_count(std::string_view option, const std::optional<std::string>& text) {
  if (!text) return {};
  ACCOUNT_ASSIGN_OR_RETURN(const OpCount count, parse_operations(option, *text));
  if (count > OpCount()) return {};
  return {Code::invalid_argument, fmt::format("{} is 0", option), "give 1 or more"};
}

Result<Step> count_step(const EstimateWords& words) {
  ACCOUNT_RETURN_IF_ERROR(check_count("--batch", words.batch));
  ACCOUNT_RETURN_IF_ERROR(check_count("--sequence", words.sequence));
  std::vector<std::string> command = {find_python(), "-m", "libaccount.estimate", "--count-step",
                                      words.model};
  const auto pass = [&](const char* name, const std::optional<std::string>& value) {
    if (value) command.insert(command.end(), {name, *value});
  };
  pass("--batch", words.batch);
  pass("--sequence", words.sequence);
  pass("--attention", words.attention);
  pass("--dtype", words.dtype);
  if (words.recompute) command.emplace_back("--recompute");
  ACCOUNT_ASSIGN_OR_RETURN(const std::string output, output_of(command));
  constexpr uint64_t kCapBytes = uint64_t{1} << 20;
  Step step;
  auto json = Json::parse(output, kCapBytes);
  if (!json.ok()) {
    return Status(Code::unavailable,
                  fmt::format("{} did not count the step; it said why", command[0]), kNeedsPython);
  }
  step.json = std::move(json).value();
  if (const auto error = step.json.get_string("error"); error.ok()) {
    return Status(Code::invalid_argument, *error);
  }
  ACCOUNT_ASSIGN_OR_RETURN(step.executed, step.json.get_op_count("executed"));
  ACCOUNT_ASSIGN_OR_RETURN(step.model, step.json.get_op_count("model"));
  ACCOUNT_ASSIGN_OR_RETURN(step.lower, step.json.get_op_count("lower"));
  ACCOUNT_ASSIGN_OR_RETURN(step.by_phase, counts_of(step.json, "by_phase"));
  ACCOUNT_ASSIGN_OR_RETURN(step.by_dtype, counts_of(step.json, "by_dtype"));
  if (const auto tokens = step.json.get_integer("tokens"); tokens.ok()) {
    step.tokens = static_cast<uint64_t>(*tokens);
  }
  return step;
}

// ---- the plan ------------------------------------------------------------------------------

Result<double> parse_number(std::string_view option, const std::string& text, double most) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (!text.empty() && *end == '\0' && std::isfinite(value) && value > 0 && value <= most) {
    return value;
  }
  return Status(Code::invalid_argument, fmt::format("{}: '{}' is no number above 0{}", option, text,
                                                    most <= 1 ? " and at most 1" : ""));
}

Result<OpCount> steps_of(const EstimateWords& words, const Step& step) {
  if (words.steps) {
    if (words.tokens) {
      return Status(Code::invalid_argument, "--tokens and --steps say the same twice",
                    "give one of them");
    }
    return parse_operations("--steps", *words.steps);
  }
  if (!words.tokens) return OpCount(1);
  if (step.tokens == 0) {
    return Status(Code::invalid_argument, "how many tokens a function's step takes is not known",
                  "give --steps in place of --tokens");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const OpCount tokens, parse_operations("--tokens", *words.tokens));
  // Up to whole steps.
  return OpCount::from_raw(tokens.raw() / step.tokens + (tokens.raw() % step.tokens == 0 ? 0 : 1));
}

struct Plan {
  OpCount steps, executed;
  std::optional<policy::Device> device;
  double utilisation = 0, devices = 1;
  std::optional<double> device_hours;
  std::string why_no_time;
  std::optional<uint64_t> cost_usd;
  Budget judgements;
};

// Each type of number at its own rate, as libaccount.rates() has it the other way round.
Status add_time(const EstimateWords& words, const Step& step, Plan& plan) {
  constexpr double kUsualUtilisation = 0.4, kSecondsAnHour = 3600;
  ACCOUNT_ASSIGN_OR_RETURN(plan.device, policy::find_device(*words.device));
  plan.utilisation = kUsualUtilisation;
  if (words.utilisation) {
    ACCOUNT_ASSIGN_OR_RETURN(plan.utilisation,
                             parse_number("--utilisation", *words.utilisation, 1));
  }
  if (words.devices) {
    ACCOUNT_ASSIGN_OR_RETURN(plan.devices, parse_number("--devices", *words.devices, 1e9));
  }
  double seconds = 0;
  for (const auto& [dtype, operations] : step.by_dtype) {
    const auto rate = policy::rate_of(*plan.device, dtype);
    if (!rate) {
      plan.why_no_time = fmt::format("no peak of {} is known for {}", plan.device->name, dtype);
      return {};
    }
    seconds += operations.to_double() / rate->to_double();
  }
  plan.device_hours = seconds * plan.steps.to_double() / plan.utilisation / kSecondsAnHour;
  if (words.price) {
    ACCOUNT_ASSIGN_OR_RETURN(const double price, parse_number("--price", *words.price, 1e6));
    plan.cost_usd = static_cast<uint64_t>(std::ceil(*plan.device_hours * price));
  }
  return {};
}

Result<Plan> plan_of(const EstimateWords& words, const Step& step) {
  Plan plan;
  ACCOUNT_ASSIGN_OR_RETURN(plan.steps, steps_of(words, step));
  const auto executed = checked_multiply(step.executed, plan.steps);
  if (!executed) return Status(Code::invalid_argument, "the plan is beyond 128 bits");
  plan.executed = *executed;
  if (words.price && !words.device) {
    return Status(Code::invalid_argument, "--price is for an hour of a device", "give --device");
  }
  if (words.device) ACCOUNT_RETURN_IF_ERROR(add_time(words, step, plan));
  ACCOUNT_ASSIGN_OR_RETURN(policy::Facts facts, parse_facts(words.facts));
  for (const auto& [word, operations] : step.by_phase) {
    const Phase phase = phase_from_name(word).value_or(Phase::forward);
    facts.operations[{Category::train, phase}] = saturating_multiply(operations, plan.steps);
  }
  if (!facts.cost_usd) facts.cost_usd = plan.cost_usd;
  ACCOUNT_ASSIGN_OR_RETURN(plan.judgements, judge_all(words.policies, facts));
  return plan;
}

// ---- the answer ----------------------------------------------------------------------------

Json to_json(const Step& step, const Plan& plan) {
  Json json = Json::object({{"step", step.json},
                            {"steps", plan.steps},
                            {"operations", plan.executed},
                            {"model", saturating_multiply(step.model, plan.steps)},
                            {"lower", saturating_multiply(step.lower, plan.steps)}});
  if (plan.device) json.set("device", plan.device->name);
  if (plan.device_hours) {
    json.set("device_hours", fmt::format("{:.3g}", *plan.device_hours));
    json.set("utilisation", fmt::format("{:g}", plan.utilisation));
  }
  if (!plan.why_no_time.empty()) json.set("why_no_time", plan.why_no_time);
  if (plan.cost_usd) json.set("cost_usd", *plan.cost_usd);
  Json verdicts = Json::array();
  for (const auto& judgement : plan.judgements) verdicts.push(policy::to_json(judgement));
  json.set("verdicts", std::move(verdicts));
  return json;
}

std::string text_of(const Json& json, std::string_view name) {
  const Json* value = json.find(name);
  return value == nullptr ? "" : value->as_string();
}

void put_step(const Step& step) {
  const auto name = step.json.get_string("name"), parameters = step.json.get_string("parameters");
  if (name.ok() && parameters.ok()) put_line(fmt::format("{}: {} parameters", *name, *parameters));
  const auto batch = step.json.get_integer("batch"), sequence = step.json.get_integer("sequence");
  const auto recompute = step.json.get_bool("recompute");
  if (batch.ok() && sequence.ok()) {
    put_line(fmt::format("one step: {} sequence{} of {} tokens, attention {}{}", *batch,
                         *batch == 1 ? "" : "s", *sequence, text_of(step.json, "attention"),
                         recompute.ok() && *recompute ? ", recomputing" : ""));
  }
  put_line(
      fmt::format("  operations {} ({})", step.executed.to_decimal(), step.executed.to_short()));
  for (const auto* by : {&step.by_phase, &step.by_dtype}) {
    for (const auto& [word, operations] : *by) {
      put_line(fmt::format("  {:<12} {:>28}", word, operations.to_decimal()));
    }
  }
  const auto uncounted = step.json.get_array("uncounted");
  if (!uncounted.ok()) return;
  for (const Json& op : (*uncounted)->items()) {
    put_line(fmt::format("  not counted: {}: {}", text_of(op, "op"), text_of(op, "reason")));
  }
}

void put_plan(const Plan& plan) {
  put_line(fmt::format("the plan: {} step{}", plan.steps.to_decimal(),
                       plan.steps == OpCount(1) ? "" : "s"));
  put_line(
      fmt::format("  operations {} ({})", plan.executed.to_decimal(), plan.executed.to_short()));
  if (plan.device_hours) {
    put_line(fmt::format("  {} device-hours of {} at {:g} % of its peak, {} hours on {:g} of them",
                         fmt::format("{:.3g}", *plan.device_hours), plan.device->name,
                         100 * plan.utilisation,
                         fmt::format("{:.3g}", *plan.device_hours / plan.devices), plan.devices));
  }
  if (!plan.why_no_time.empty()) put_line("  no time: " + plan.why_no_time);
  if (plan.cost_usd) put_line(fmt::format("  {} US dollars", *plan.cost_usd));
  put_budget(plan.judgements);
  put_line("An estimate of what is planned; what ran is what `account run` counts.");
}

int estimate(const EstimateWords& words) {
  const auto step = count_step(words);
  if (!step.ok()) return fail("estimate", step.status());
  const auto plan = plan_of(words, *step);
  if (!plan.ok()) return fail("estimate", plan.status());
  if (words.json) {
    put_json(to_json(*step, *plan));
  } else {
    put_step(*step);
    put_plan(*plan);
  }
  // Of policies that were asked for; the others are for information.
  return words.policies.empty() ? static_cast<int>(kYes) : exit_code(plan->judgements);
}

}  // namespace

void add_estimate(const Verb& program) {
  const Verb verb = program.verb("estimate", "What a planned training will take, before it runs");
  auto words = std::make_shared<EstimateWords>();
  verb.needs("MODEL", words->model,
             "A Transformers config (a file or a folder with config.json), or a function that does "
             "one step, as train.py:step");
  verb.takes("--batch", words->batch, "Sequences a step (default 1)");
  verb.takes("--sequence", words->sequence, "Tokens a sequence (default: the model's most)");
  verb.takes("--attention", words->attention, "flash (default), efficient, cudnn or math");
  verb.takes("--dtype", words->dtype, "Of weights and activations (default bfloat16)");
  verb.flag("--recompute", words->recompute, "With activation checkpointing of every layer");
  verb.takes("--tokens", words->tokens, "Tokens of the whole training, such as 2e12");
  verb.takes("--steps", words->steps, "Steps of the whole training, in place of --tokens");
  verb.takes("--device", words->device, "A name as 'H100 SXM', for the time");
  verb.takes("--devices", words->devices, "How many of them (default 1)");
  verb.takes("--utilisation", words->utilisation, "Share of their peak (default 0.4)");
  verb.takes("--price", words->price, "US dollars for a device-hour, for the cost");
  verb.takes_many("--policy", words->policies, "Id or file; `account policy list`");
  add_fact_options(verb, words->facts);
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "No weights are allocated: a model of any size takes seconds. With --policy the exit code "
      "is\n"
      "3 where one would be reached and 5 where that is unknown.\n\n"
      "Example:\n"
      "  account estimate Llama-2-7b/ --sequence 4096 --tokens 2e12 --device 'A100' --price 1.5");
  verb.does([words] { return estimate(*words); });
}

}  // namespace account::cli
