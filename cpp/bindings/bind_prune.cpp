// Pruning of old invocations.
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>

#include "bindings.hpp"
#include "entities.hpp"
#include "session_buddy/app/prune.hpp"
#include "session_buddy/core/options.hpp"

namespace session_buddy::bindings {
namespace {

using app::PruneSummary;
using storage::PruneResult;

constexpr auto kPruneSummary = entity("PruneSummary", "", field<"before">(&PruneSummary::cutoff),
                                      field<"rows">(within(&PruneSummary::result, &PruneResult::rows)),
                                      field<"kept_rows">(within(&PruneSummary::result, &PruneResult::kept_rows)),
                                      field<"first">(within(&PruneSummary::result, &PruneResult::from)),
                                      field<"last">(within(&PruneSummary::result, &PruneResult::to)),
                                      field<"longest_lock_ms">(within(&PruneSummary::result, kLongestLockMs)),
                                      field<"stopped">(&PruneSummary::stopped));

py::dict prune(const std::string& db_path, double keep, bool dry_run, const py::object& progress) {
    Config config = options::load({}, std::nullopt, options::Environment::from_process()).config;
    config.db_path = db_path;
    PruneSummary summary;
    {
        const py::gil_scoped_release released;
        summary = app::prune(config, Seconds(keep), dry_run, [&progress](std::int64_t done, std::int64_t total) {
            return report_progress(progress, static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(total));
        });
    }
    return to_dict<kPruneSummary>(summary);
}

}  // namespace

void bind_prune(py::module_& module) {
    add_entity<kPruneSummary, PruneSummary>();
    module.def("prune", &prune, py::arg("db_path"), py::arg("keep"), py::kw_only(), py::arg("dry_run") = false,
               py::arg("progress") = py::none(),
               "Deletes rows older than `keep` seconds, or counts them with dry_run; returns a summary. Raises "
               "ValueError if a server with the settings of this process needs a longer history.");
}

}  // namespace session_buddy::bindings
