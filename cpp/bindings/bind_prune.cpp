// Pruning of old invocations.
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>

#include "bindings.hpp"
#include "session_buddy/app/prune.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::bindings {
namespace {

std::optional<std::string> text_of(const std::optional<TimePoint>& at) {
    return at ? std::optional(format_timestamp(*at)) : std::nullopt;
}

py::dict prune(const std::string& db_path, double keep, bool dry_run, const py::object& progress) {
    Config config = options::load({}, std::nullopt, options::Environment::from_process()).config;
    config.db_path = db_path;
    app::PruneSummary summary;
    {
        const py::gil_scoped_release released;
        summary = app::prune(config, Seconds(keep), dry_run, [&progress](std::int64_t done, std::int64_t total) {
            return report_progress(progress, static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(total));
        });
    }
    py::dict fields;
    fields["before"] = format_timestamp(summary.cutoff);
    fields["rows"] = summary.result.rows;
    fields["kept_rows"] = summary.result.kept_rows;
    fields["first"] = text_of(summary.result.from);
    fields["last"] = text_of(summary.result.to);
    fields["longest_lock_ms"] = std::chrono::duration<double, std::milli>(summary.result.longest_lock).count();
    fields["stopped"] = summary.stopped;
    return fields;
}

}  // namespace

void bind_prune(py::module_& module) {
    module.def("prune", &prune, py::arg("db_path"), py::arg("keep"), py::kw_only(), py::arg("dry_run") = false,
               py::arg("progress") = py::none(),
               "Deletes rows older than `keep` seconds, or counts them with dry_run; returns a summary. Raises "
               "ValueError if a server with the settings of this process needs a longer history.");
}

}  // namespace session_buddy::bindings
