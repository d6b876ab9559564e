#include "values.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "account/run.h"

namespace py = pybind11;

namespace account {
namespace {

py::dict to_dict(const std::map<std::string, OpCount>& counts) {
  py::dict dict;
  for (const auto& [word, count] : counts) dict[py::str(word)] = to_int(count);
  return dict;
}

py::list to_list(const std::vector<Uncounted>& items) {
  py::list list;
  for (const Uncounted& item : items) {
    py::dict entry;
    entry["op"] = item.op;
    entry["calls"] = item.calls;
    entry["reason"] = item.reason;
    entry["bound"] = to_int(item.bound);
    list.append(std::move(entry));
  }
  return list;
}

py::list to_list(const std::vector<Audited>& items) {
  py::list list;
  for (const Audited& item : items) {
    py::dict entry;
    entry["op"] = item.op;
    entry["calls"] = item.calls;
    entry["estimate"] = to_int(item.estimate);
    entry["bound"] = to_int(item.bound);
    list.append(std::move(entry));
  }
  return list;
}

}  // namespace

py::int_ to_int(OpCount count) {
  py::int_ low(count.low());
  if (count.high() == 0) return low;
  return py::int_((py::int_(count.high()) << py::int_(64)) | low);
}

void bind_totals(py::module_& m) {
  const auto number = [](OpCount Totals::* member) {
    return [member](const Totals& totals) { return to_int(totals.*member); };
  };
  const auto table = [](std::map<std::string, OpCount> Totals::* member) {
    return [member](const Totals& totals) { return to_dict(totals.*member); };
  };
  py::class_<Totals>(m, "Totals")
      .def_property_readonly("executed", number(&Totals::executed))
      .def_property_readonly("model", number(&Totals::model))
      .def_property_readonly("lower", number(&Totals::lower))
      .def_property_readonly("upper", number(&Totals::upper))
      .def_readonly("calls", &Totals::calls)
      .def_readonly("steps", &Totals::steps)
      .def_property_readonly("samples", [](const Totals& t) { return t.processed.samples; })
      .def_property_readonly("tokens", [](const Totals& t) { return t.processed.tokens; })
      .def_property_readonly("by_op", table(&Totals::by_op))
      .def_property_readonly("by_phase", table(&Totals::by_phase))
      .def_property_readonly("by_dtype", table(&Totals::by_dtype))
      .def_property_readonly("by_category", table(&Totals::by_category))
      .def_property_readonly("uncounted", [](const Totals& t) { return to_list(t.uncounted); })
      .def_property_readonly("audited", [](const Totals& t) { return to_list(t.audited); });
}

void bind_job(py::module_& m) {
  const auto number = [](OpCount JobStatus::* member) {
    return [member](const JobStatus& job) { return to_int(job.*member); };
  };
  py::class_<JobStatus>(m, "JobStatus")
      .def_readonly("steps", &JobStatus::steps)
      .def_property_readonly("operations", number(&JobStatus::operations))
      .def_property_readonly("operations_per_second", number(&JobStatus::operations_per_second))
      .def_property_readonly("samples", [](const JobStatus& j) { return j.processed.samples; })
      .def_property_readonly("tokens", [](const JobStatus& j) { return j.processed.tokens; })
      .def_readonly("tokens_per_second", &JobStatus::tokens_per_second)
      .def_readonly("policy", &JobStatus::policy)
      .def_readonly("rule", &JobStatus::rule)
      .def_readonly("verdict", &JobStatus::verdict)
      .def_property_readonly("counted", number(&JobStatus::counted))
      .def_property_readonly("threshold", number(&JobStatus::threshold));
}

}  // namespace account
