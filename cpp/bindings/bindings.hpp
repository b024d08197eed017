// The parts of session_buddy._native and what they share.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace session_buddy::storage {
class SkillsStore;
}

namespace session_buddy::bindings {

namespace py = pybind11;

// Each adds its names to the module; called from module.cpp in this order.
void bind_core(py::module_& module);
void bind_storage(py::module_& module);
void bind_queries(py::module_& module);
void bind_ingest(py::module_& module);
void bind_prune(py::module_& module);
void bind_corrections(py::module_& module);
void bind_anomaly(py::module_& module);
void bind_server(py::module_& module);

/// A str of text that may come from a foreign database: what is not UTF-8 becomes U+FFFD.
[[nodiscard]] py::str to_str(std::string_view text);
[[nodiscard]] py::object optional_str(const std::optional<std::string>& text);  ///< None for nothing

/// What work without the GIL reports to: takes the GIL back, handles a signal that came meanwhile first, as its handler
/// may be what makes `progress` say stop, and calls `progress(done, total)`, where it is not None. What either raises
/// ends the work. False: stop.
[[nodiscard]] bool report_progress(const py::object& progress, std::uint64_t done, std::uint64_t total);

/// The Python face of store->queries(), which keeps the store.
[[nodiscard]] py::object make_queries(std::shared_ptr<storage::SkillsStore> store);

/// "str", "NoneType", …: how an error names the type of a value.
[[nodiscard]] std::string type_name(py::handle value);

/// The queue that carries log records from native threads to the one Python thread that hands them to `logging`.
void bind_log_queue(py::module_& module);

}  // namespace session_buddy::bindings
