// Bytes of a rank's state, to and from Python.
#include "state.h"

#include <string>
#include <string_view>
#include <utility>

#include "status_error.h"

namespace py = pybind11;

namespace account {

std::function<Status(const Sink&)> state_writer(py::function save) {
  return [save = new py::function(std::move(save))](const Sink& to) {
    const py::gil_scoped_acquire gil;
    Status failed;
    const py::cpp_function write([&](const py::buffer& bytes) {
      const py::buffer_info info = bytes.request();
      const auto size = static_cast<size_t>(info.size * info.itemsize);
      failed = to({static_cast<const char*>(info.ptr), size});
      if (!failed.ok()) throw StatusError(failed);
      return size;
    });
    try {
      (*save)(write);
    } catch (py::error_already_set& error) {
      return failed.ok() ? Status(Code::invalid_argument,
                                  std::string("the state could not be saved: ") + error.what())
                         : failed;
    }
    return Status();
  };
}

py::tuple read_state(const Run& run, const py::function& write) {
  const Result<SavedState> saved = [&] {
    const py::gil_scoped_release no_gil;
    return run.read_state([&](std::string_view bytes) {
      const py::gil_scoped_acquire gil;
      write(py::bytes(bytes.data(), bytes.size()));
      return Status();
    });
  }();
  if (!saved.ok()) throw StatusError(saved.status());
  return py::make_tuple(saved->path, saved->step, saved->order);
}

}  // namespace account
