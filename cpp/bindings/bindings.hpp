// Declares the parts of the module session_buddy._native and the helpers they share.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace session_buddy {
struct Config;
}
namespace session_buddy::storage {
class SkillsStore;
}

namespace session_buddy::bindings {

namespace py = pybind11;

// Each adds its classes and functions to the module; called by module.cpp in this order.
void bind_core(py::module_& module);
void bind_storage(py::module_& module);
void bind_queries(py::module_& module);
void bind_ingest(py::module_& module);
void bind_prune(py::module_& module);
void bind_corrections(py::module_& module);
void bind_evidence(py::module_& module);
void bind_anomaly(py::module_& module);
void bind_alerts(py::module_& module);
void bind_server(py::module_& module);

/// A Python str from text that may not be valid UTF-8: invalid bytes become U+FFFD.
[[nodiscard]] py::str to_str(std::string_view text);

/// The result of a call that may block.
template <typename Call>
auto without_gil(Call call) {
    const py::gil_scoped_release released;
    return call();
}

/// Reports progress from work that runs without the GIL: acquires the GIL, runs pending signal handlers first (they may
/// change what `progress` returns), and calls `progress(done, total)` unless it is None. Exceptions of either propagate
/// and end the work. Returns false to stop.
[[nodiscard]] bool report_progress(const py::object& progress, std::uint64_t done, std::uint64_t total);

/// The Python wrapper of store->queries(); keeps the store alive.
[[nodiscard]] py::object make_queries(std::shared_ptr<storage::SkillsStore> store);

/// The options of the Python class by name: durations in seconds, secrets hidden.
[[nodiscard]] py::dict settings_of(const Config& config);

/// The queue that passes log records from native threads to the Python thread that calls `logging`.
void bind_log_queue(py::module_& module);

}  // namespace session_buddy::bindings
