// The Python module libaccount._core: converts between Python and C++, and nothing else. It has no
// torch types; the torch adapter is loaded by path, after torch, and reached by its table.
#include <dlfcn.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "account/account.h"
#include "account/formula.h"
#include "count/audit.h"
#include "count/cost.h"
#include "count/formula.h"
#include "count/uncounted.h"
#include "gate/gate.h"
#include "permission.h"
#include "state.h"
#include "status_error.h"
#include "tally/tally.h"
#include "torch/adapter.h"
#include "torch/modules.h"
#include "torch/region.h"
#include "values.h"

namespace py = pybind11;

namespace account {
namespace {

// NOLINTNEXTLINE(performance-unnecessary-value-param): pybind11's signature
void translate_status(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const StatusError& failed) {
    const py::object exception =
        py::module_::import("libaccount._errors")
            .attr("error_for")(std::string(code_name(failed.status.code())),
                               failed.status.to_string());
    PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
  }
}

// What this process had counted at one moment.
struct Snapshot {
  tally::Counters counters = tally::read_process();
  std::vector<Uncounted> uncounted = count::read_uncounted();
  std::vector<Audited> audited = count::read_audited();
};

// What it counted since then.
Totals totals_since(const Snapshot& begin, bool audited) {
  const Snapshot now;
  Totals totals = tally::to_totals(tally::subtract(now.counters, begin.counters));
  count::add_uncounted(totals, count::subtract(now.uncounted, begin.uncounted));
  if (audited) count::add_audited(totals, count::subtract(now.audited, begin.audited));
  return totals;
}

// Gives operations a place to be counted in when no run has opened one.
void ensure_page() {
  if (tally::active_page() == nullptr) tally::activate(tally::Page::create_in_memory({}));
}

const torch::Adapter* adapter = nullptr;

const torch::Adapter& loaded_adapter() {
  if (adapter == nullptr) {
    throw StatusError({Code::unavailable, "the torch adapter is not loaded"});
  }
  return *adapter;
}

void load_adapter(const std::string& path) {
  if (adapter == nullptr) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw StatusError({Code::unavailable, dlerror()});
    using Entry = const torch::Adapter* (*)();
    const auto entry = reinterpret_cast<Entry>(dlsym(library, torch::kAdapterSymbol));
    const torch::Adapter* found = entry == nullptr ? nullptr : entry();
    if (found == nullptr || std::string_view(found->build_id) != ACCOUNT_BUILD_ID) {
      throw StatusError({Code::unavailable, path + " belongs to another build of libaccount",
                         "install libaccount again"});
    }
    adapter = found;
  }
  raise_unless_ok(adapter->install());
}

// A category scope that Python opens and closes; never closed twice.
class CategoryHandle {
 public:
  explicit CategoryHandle(const std::string& word) {
    const auto category = category_from_name(word);
    if (!category.has_value()) {
      throw StatusError({Code::invalid_argument, "'" + word + "' is no category",
                         "use unassigned, train, evaluate, generate, rollout or auxiliary"});
    }
    scope_ = loaded_adapter().open_category(*category);
  }
  void close() {
    if (scope_ != nullptr) adapter->close_category(std::exchange(scope_, nullptr));
  }

 private:
  torch::CategoryScope* scope_ = nullptr;
};

// One call of a compiled graph after the other, with the counts of its sizes.
class Graph {
 public:
  using Call =
      std::tuple<std::string, std::string, std::vector<std::optional<std::vector<int64_t>>>,
                 std::string,
                 std::string>;  // op, overload, arguments, dtype, phase ("" for the call's)
  explicit Graph(const std::vector<Call>& calls) {
    std::vector<torch::GraphCall> graph;
    for (const auto& [op, overload, arguments, dtype, phase] : calls) {
      graph.push_back(
          {op, overload, arguments, dtype_from_name(dtype).value_or(DType::other), phase});
    }
    counts_ = loaded_adapter().make_graph(graph);
  }
  ~Graph() { adapter->destroy_graph(counts_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Calls `function` and counts the graph once it returned.
  py::object run(const py::object& function, const py::object& inputs) const {
    adapter->enter_region();
    try {
      py::object result = function(inputs);
      adapter->leave_region(counts_);
      return result;
    } catch (...) {
      adapter->leave_region(nullptr);
      throw;
    }
  }

 private:
  torch::GraphCounts* counts_;
};

// (place, op, phase, executed) of each.
py::list read_places() {
  py::list rows;
  for (const torch::PlaceRow& row : loaded_adapter().read_places()) {
    rows.append(py::make_tuple(row.place, tally::op_name(row.op), std::string(name(row.phase)),
                               to_int(row.executed)));
  }
  return rows;
}

// What one replay of a CUDA graph computes: the work since begin_capture().
class Captured {
 public:
  Captured() : work_(loaded_adapter().end_capture()) {}
  ~Captured() { adapter->destroy_captured(work_); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  void replay() const { adapter->replay(work_); }

 private:
  torch::CapturedWork* work_;
};

// None, a number, a list, or ("tensor", sizes, dtype's name).
py::object to_python(const CallArgument& argument) {
  switch (argument.kind) {
    case CallArgument::Kind::tensor:
      return py::make_tuple("tensor", argument.sizes, std::string(name(argument.dtype)));
    case CallArgument::Kind::tensors: {
      py::list items;
      for (const CallArgument& item : argument.items) items.append(to_python(item));
      return items;
    }
    case CallArgument::Kind::number:
      return py::int_(argument.numbers[0]);
    case CallArgument::Kind::numbers:
      return py::cast(argument.numbers);
    case CallArgument::Kind::real:
      return py::float_(argument.real);
    case CallArgument::Kind::absent:
    case CallArgument::Kind::other:
      break;
  }
  return py::none();
}

py::list to_python(const std::vector<CallArgument>& arguments) {
  py::list list;
  for (const CallArgument& argument : arguments) {
    list.append(py::make_tuple(argument.name, to_python(argument)));
  }
  return list;
}

// A whole number of operations; the fault says what it is instead.
Result<OpCount> to_operations(const py::object& number) {
  if (!py::isinstance<py::int_>(number)) {
    return Status(Code::invalid_argument, "its formula gave no whole number");
  }
  const std::string digits = py::str(number);
  if (digits.starts_with('-')) {
    return Status(Code::invalid_argument, "its formula gave a negative number");
  }
  Result<OpCount> operations = OpCount::from_decimal(digits);
  if (operations.ok()) return operations;
  return Status(Code::invalid_argument, "its formula gave more operations than any call has");
}

// `evaluate(inputs, outputs)` gives the operations. It lives as long as the process.
void register_formula(const std::string& op, py::object evaluate) {
  auto* kept = new py::object(std::move(evaluate));
  CallFormula formula = [kept](const CallShapes& shapes) -> Result<OpCount> {
    const py::gil_scoped_acquire gil;
    try {
      return to_operations((*kept)(to_python(shapes.inputs), to_python(shapes.outputs)));
    } catch (py::error_already_set& error) {
      return Status(Code::invalid_argument,
                    "its formula raised " + std::string(py::str(error.type().attr("__name__"))));
    }
  };
  raise_unless_ok(loaded_adapter().register_formula(op, std::move(formula)));
}

void add_operations(const py::int_& executed, const py::int_& model, const py::int_& lower,
                    const std::string& op, const std::string& dtype) {
  Figures figures;
  for (const auto& [figure, number] : {std::pair(&figures.executed, &executed),
                                       {&figures.model, &model},
                                       {&figures.lower, &lower}}) {
    Result<OpCount> count = OpCount::from_decimal(std::string(py::str(*number)));
    if (!count.ok()) throw StatusError(count.status().with_context("operations of " + op));
    *figure = *count;
  }
  const auto type = dtype_from_name(dtype);
  if (!type.has_value()) {
    throw StatusError({Code::invalid_argument, "'" + dtype + "' is no dtype",
                       "use a torch dtype or its name, such as bfloat16"});
  }
  raise_unless_ok(loaded_adapter().add(figures, op, *type));
}

// (executed, model, lower) of one call, or the reason why it cannot be counted.
py::object figures_of(const std::string& op, const std::string& overload,
                      const std::vector<std::optional<std::vector<int64_t>>>& arguments,
                      const std::string& dtype, const std::string& phase) {
  const count::Row* row = count::find_row(op, overload);
  if (row == nullptr) return py::str("it has no formula");
  count::Arguments filled;
  if (!count::fill(arguments, filled)) return py::str("more dimensions than a formula reads");
  const count::Counted counted =
      count::count_call(*row, filled, dtype_from_name(dtype).value_or(DType::other),
                        phase_from_name(phase).value_or(Phase::forward));
  if (counted.decline != count::Decline::none) {
    return py::str(std::string(count::name(counted.decline)));
  }
  const Figures& figures = counted.figures;
  return py::make_tuple(to_int(figures.executed), to_int(figures.model), to_int(figures.lower));
}

// What the formula of an op overload reads: its arguments and the one whose type counts.
std::optional<std::pair<std::string, std::string>> formula_of(const std::string& op,
                                                              const std::string& overload) {
  const count::Row* row = count::find_row(op, overload);
  if (row == nullptr) return std::nullopt;
  return std::pair(std::string(row->arguments), std::string(row->dtype_from));
}

Run start_run(RunOptions options) {
  Result<Run> run = [&] {
    const py::gil_scoped_release no_gil;
    return Run::start(options);
  }();
  if (!run.ok()) throw StatusError(run.status());
  return std::move(run).value();
}

// Keeps the GIL while nothing is to be obeyed: that takes microseconds, and getting the GIL back
// may take milliseconds. A rank that is held at its edge waits without it.
void close_step(Run& run) {
  if (adapter != nullptr) adapter->watch_new_ops();
  if (run.close_step()) [[likely]]
    return;
  Status status = [&] {
    const py::gil_scoped_release no_gil;
    return run.obey();
  }();
  raise_unless_ok(std::move(status));
}

// What a refused export is told; None where it may go on.
std::optional<std::string> export_refusal(const std::string& way, const std::string& target) {
  const Status status = gate::may_leave(way, target);
  if (status.ok()) return std::nullopt;
  return status.to_string();
}

void bind_run(py::module_& m) {
  py::class_<RunOptions>(m, "RunOptions")
      .def(py::init<>())
      .def_readwrite("model", &RunOptions::model)
      .def_readwrite("dir", &RunOptions::dir)
      .def_readwrite("run", &RunOptions::run)
      .def_readwrite("policies", &RunOptions::policies)
      .def_readwrite("authority", &RunOptions::authority)
      .def_readwrite("framework", &RunOptions::framework)
      .def_readwrite("resume", &RunOptions::resume)
      .def_readwrite("parents", &RunOptions::parents)
      .def_readwrite("developer", &RunOptions::developer)
      .def_readwrite("setting", &RunOptions::setting)
      .def_readwrite("lease", &RunOptions::lease);
  py::class_<Run>(m, "Run")
      .def(py::init(&start_run), py::arg("options"))
      .def("step", &close_step)
      .def("processed", &Run::processed, py::arg("samples"), py::arg("tokens"))
      .def("totals", &Run::totals)
      .def("job",
           [](const Run& run) -> std::optional<JobStatus> {
             auto job = run.job();
             return job.ok() ? std::optional(std::move(job).value()) : std::nullopt;
           })
      .def("loaded", &Run::loaded, py::arg("path"))
      .def("has_started_others", &Run::has_started_others, py::arg("world_size"))
      .def("began_from",
           [](Run& run, const std::string& resume, const std::vector<std::string>& parents) {
             raise_unless_ok(run.began_from(resume, parents));
           })
      .def("saved",
           [](Run& run, const std::string& path) {
             Status status = [&] {
               const py::gil_scoped_release no_gil;
               return run.saved(path);
             }();
             raise_unless_ok(std::move(status));
           })
      .def("set_state",
           [](Run& run, const std::optional<py::function>& save) {
             run.set_state(save ? state_writer(*save) : nullptr);
           })
      .def("read_state", &read_state, py::arg("write"))
      .def("finish",
           [](Run& run) {
             Status status = [&] {
               const py::gil_scoped_release no_gil;
               return run.finish();
             }();
             raise_unless_ok(std::move(status));
           })
      .def("use_store_exchange",
           [](Run& run, const std::string& group) {
             loaded_adapter().use_store_exchange(run, group);
           })
      .def_property_readonly("rank", &Run::rank)
      .def_property_readonly("id", &Run::id)
      .def_property_readonly("directory", &Run::directory)
      .def_property_readonly("counting", &Run::counting)
      .def_property_readonly("authority", &Run::authority)
      .def_property_readonly("leased", &Run::leased);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  if (build_id() != ACCOUNT_BUILD_ID) {
    throw py::import_error("libaccount._core and libaccount.so come from different builds");
  }
  py::register_exception_translator(translate_status);
  m.attr("__version__") = std::string(version());
  bind_permission(m);
  bind_totals(m);
  bind_job(m);
  bind_run(m);
  py::class_<Snapshot>(m, "Snapshot").def(py::init<>());
  m.def("totals_since", &totals_since, py::arg("begin"), py::arg("audited"));
  m.def("track_modules", [](bool on) { loaded_adapter().track_modules(on); });
  m.def("enter_place", [](uint64_t place) { loaded_adapter().enter_place(place); });
  m.def("leave_place", [] { loaded_adapter().leave_place(); });
  m.def("current_place", [] { return loaded_adapter().current_place(); });
  m.def("read_places", &read_places);
  m.def("watching_every_op", [] { return loaded_adapter().watching_every_op(); });
  m.def("watch_every_op", [](bool on) { loaded_adapter().watch_every_op(on); }, py::arg("on"));
  m.def("ensure_page", &ensure_page);
  m.def("export_refusal", &export_refusal, py::arg("way"), py::arg("target"));
  m.def("load_adapter", &load_adapter, py::arg("path"));
  m.def("mark_optimizer", [](bool inside) { loaded_adapter().mark_optimizer(inside); });
  m.def("calls_counted", [] { return loaded_adapter().calls_counted(); });
  m.def(
      "note_uncounted",
      [](const std::string& op, const std::string& reason, const py::int_& bound) {
        const auto operations = OpCount::from_decimal(std::string(py::str(bound)));
        loaded_adapter().list_uncounted(op, reason, operations.ok() ? *operations : OpCount::max());
      },
      py::arg("op"), py::arg("reason"), py::arg("bound") = 0);
  m.def(
      "bound_of_elements",
      [](const std::vector<int64_t>& elements) {
        return to_int(count::bound_of_elements(elements));
      },
      py::arg("elements"));
  m.def("watch_new_ops", [] {
    if (adapter != nullptr) adapter->watch_new_ops();
  });
  m.def("register_formula", &register_formula, py::arg("op"), py::arg("evaluate"));
  m.def("add", &add_operations, py::arg("executed"), py::arg("model"), py::arg("lower"),
        py::arg("op"), py::arg("dtype"));
  m.def("formulas_digest", &count::table_digest);
  m.def("figures_of", &figures_of, py::arg("op"), py::arg("overload"), py::arg("arguments"),
        py::arg("dtype"), py::arg("phase"));
  m.def("formula_of", &formula_of, py::arg("op"), py::arg("overload"));
  m.def(
      "moves_data", [](const std::string& op) { return count::cost_of(op).moves_data(); },
      py::arg("op"));
  py::class_<Graph>(m, "Graph")
      .def(py::init<const std::vector<Graph::Call>&>(), py::arg("calls"))
      .def("run", &Graph::run, py::arg("function"), py::arg("inputs"));
  m.def(
      "check_watching_and_tell",
      [](bool every_op) { loaded_adapter().check_watching_and_tell(every_op); },
      py::arg("every_op"));
  m.def("begin_capture", [] { loaded_adapter().begin_capture(); });
  py::class_<Captured>(m, "Captured").def(py::init<>()).def("replay", &Captured::replay);
  py::class_<CategoryHandle>(m, "CategoryHandle")
      .def(py::init<const std::string&>(), py::arg("word"))
      .def("close", &CategoryHandle::close);
}

}  // namespace account
