// Corrections of recorded data: forgetting and renaming.
#include <chrono>
#include <string>

#include "bindings.hpp"
#include "entities.hpp"
#include "session_buddy/storage/corrections.hpp"

namespace session_buddy::bindings {
namespace {

using storage::CorrectionOptions;
using storage::CorrectionResult;

constexpr auto kCorrection =
    entity("Correction", "", field<"found">(&CorrectionResult::found),
           field<"skill_name">(&CorrectionResult::skill_name), field<"invocations">(&CorrectionResult::invocations),
           field<"pruned">(&CorrectionResult::pruned), field<"joined">(&CorrectionResult::merged),
           field<"longest_lock_ms">(kLongestLockMs), field<"stopped">(&CorrectionResult::stopped));

/// Runs `correct` without the GIL and returns its result as a dict.
template <typename Correct>
py::dict run(bool dry_run, const py::object& progress, const Correct& correct) {
    CorrectionResult done;
    {
        const py::gil_scoped_release released;
        CorrectionOptions options;
        options.dry_run = dry_run;
        options.progress = [&progress](std::int64_t rows, std::int64_t total) {
            return report_progress(progress, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(total));
        };
        done = correct(options);
    }
    return to_dict<kCorrection>(done);
}

}  // namespace

void bind_corrections(py::module_& module) {
    add_entity<kCorrection, CorrectionResult>();
    module.def(
        "forget_skill",
        [](const std::string& db_path, const std::string& skill_name, bool dry_run, const py::object& progress) {
            return run(dry_run, progress, [&](const CorrectionOptions& options) {
                return storage::forget_skill(db_path, skill_name, options);
            });
        },
        py::arg("db_path"), py::arg("skill_name"), py::kw_only(), py::arg("dry_run") = false,
        py::arg("progress") = py::none(), "Deletes a skill from every table.");
    module.def(
        "forget_invocation",
        [](const std::string& db_path, std::int64_t id, bool dry_run) {
            return run(dry_run, py::none(), [&](const CorrectionOptions& options) {
                return storage::forget_invocation(db_path, id, options);
            });
        },
        py::arg("db_path"), py::arg("invocation_id"), py::kw_only(), py::arg("dry_run") = false,
        "Deletes one invocation.");
    module.def(
        "rename_skill",
        [](const std::string& db_path, const std::string& from, const std::string& to, bool dry_run,
           const py::object& progress) {
            return run(dry_run, progress, [&](const CorrectionOptions& options) {
                return storage::rename_skill(db_path, from, to, options);
            });
        },
        py::arg("db_path"), py::arg("old"), py::arg("new"), py::kw_only(), py::arg("dry_run") = false,
        py::arg("progress") = py::none(), "Renames a skill, and merges it into an existing skill of the new name.");
}

}  // namespace session_buddy::bindings
