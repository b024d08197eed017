// Transcripts: discovery, import, watching and loading; naming of commands and classification of errors.
#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "entities.hpp"
#include "session_buddy/app/transcript_import.hpp"
#include "session_buddy/app/transcript_watch.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/enum_names.hpp"
#include "session_buddy/core/tool_rule.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "session_buddy/ingest/skill_name.hpp"
#include "session_buddy/ingest/transcript.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::bindings {
namespace {

using app::Coverage;
using app::ImportSummary;
using app::WatchReport;
using ingest::TranscriptCounts;
using Paths = std::vector<std::filesystem::path>;

app::ImportProgressCallback to_callback(const py::object& progress) {
    return [&progress](const app::ImportProgress& state) {
        return report_progress(progress, state.bytes_done, state.bytes_total);
    };
}

constexpr auto kImportProblem =
    entity("Problem", "", field<"path">(&app::ImportProblem::path), field<"reason">(&app::ImportProblem::reason));

constexpr auto kSkillCorrections = entity(
    "SkillCorrections", "", field<"skill_name">(&app::SkillCorrections::skill_name, "Before the import."),
    field<"rows">(&app::SkillCorrections::rows),
    field<"outcomes">(&app::SkillCorrections::outcomes, "Of rows: with another outcome, such as `completed → failed`."),
    field<"renamed">(&app::SkillCorrections::renamed, "Of rows: with another skill name."),
    field<"error_types">(&app::SkillCorrections::error_types, "Of rows: failed before and after, for another reason."),
    field<"durations">(&app::SkillCorrections::durations, "Of rows: with another duration, or an upper bound now."));

template <auto kMember>
constexpr auto kCount = within(&ImportSummary::counts, kMember);

constexpr auto kImportSummary = entity(
    "ImportSummary", "", field<"files">(&ImportSummary::files), field<"bytes">(&ImportSummary::bytes),
    field<"lines">(kCount<&TranscriptCounts::lines>),
    field<"unreadable_lines">(kCount<&TranscriptCounts::unreadable_lines>, "Not JSON, or longer than 64 MiB."),
    field<"incomplete_lines">(kCount<&TranscriptCounts::incomplete_lines>,
                              "Incomplete last lines, left for the next import."),
    field<"progress_lines">(kCount<&TranscriptCounts::progress_lines>, "Duplicates of other lines."),
    field<"other_lines">(kCount<&TranscriptCounts::other_lines>, "Lines of types without tool uses."),
    field<"foreign_files">(&ImportSummary::foreign_files, "Of files: those without any line of a known agent."),
    field<"foreign_by_agent">(&ImportSummary::foreign_by_agent, "Of foreign_files: those of other agents."),
    field<"found">(kCount<&TranscriptCounts::found>),
    field<"typed_commands">(kCount<&TranscriptCounts::found_commands>, "Of found: slash commands typed by the user."),
    field<"recorded">(&ImportSummary::recorded), field<"already_known">(&ImportSummary::already_known),
    field<"unfinished">(kCount<&TranscriptCounts::unfinished>, "Tool uses without a result yet."),
    field<"replayed">(kCount<&TranscriptCounts::replayed>, "Duplicates of a tool use read before."),
    field<"without_time">(kCount<&TranscriptCounts::without_time>),
    field<"bad_durations">(kCount<&TranscriptCounts::bad_durations>,
                           "Invocations recorded without their invalid duration."),
    field<"results_without_use">(kCount<&TranscriptCounts::results_without_use>),
    field<"found_by_skill">(&ImportSummary::found_by_skill),
    field<"recorded_by_skill">(&ImportSummary::recorded_by_skill),
    field<"corrected">(&ImportSummary::corrected, "Rows that better evidence changed."),
    field<"expired">(&ImportSummary::expired, "Invocations without an end, recorded in addition to recorded."),
    field<"unknown_outcomes">(&ImportSummary::unknown_outcomes, "Of recorded and expired."),
    field<"corrections", &kSkillCorrections>(
        [](const ImportSummary& summary) {
            std::vector<app::SkillCorrections> all;
            all.reserve(summary.corrections.size());
            for (const auto& [name, corrections] : summary.corrections) {
                all.push_back(corrections);
            }
            return all;
        },
        "By skill."),
    field<"problems", &kImportProblem>(&ImportSummary::problems),
    field<"unreadable", &kImportProblem>(&ImportSummary::unreadable_lines, "The first 20 of unreadable_lines."),
    field<"stopped">(&ImportSummary::stopped));

py::dict import_transcripts(const Paths& paths, const std::string& db_path, double busy_timeout,
                            const py::object& progress, const std::string& tools, bool builtin_commands,
                            bool reclassify, bool dry_run, double hook_timeout) {
    const ingest::SkillNamer namer(parse_tool_rules(tools));
    const auto timeout = std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(hook_timeout));
    const app::ImportOptions import_options{.builtin_commands = builtin_commands,
                                            .reclassify = reclassify,
                                            .dry_run = dry_run,
                                            .expire_before = SystemClock().now() - timeout};
    ImportSummary summary;
    {
        const py::gil_scoped_release released;
        std::optional<storage::EventStore> store;
        const auto open = [&]() -> storage::EventStore& {
            const storage::OpenOptions options{
                .busy_timeout = std::chrono::milliseconds(std::llround(busy_timeout * 1000)), .create = !dry_run};
            return store.emplace(db_path, options);
        };
        summary = app::import_transcripts(paths, open, namer, to_callback(progress), import_options);
    }
    return to_dict<kImportSummary>(summary);
}

py::tuple load_transcripts(const Paths& paths, const py::object& progress) {
    ImportSummary summary;
    std::vector<Invocation> invocations;
    {
        const py::gil_scoped_release released;
        invocations = app::load_transcripts(paths, summary, to_callback(progress));
    }
    py::list list(invocations.size());
    for (std::size_t i = 0; i < invocations.size(); ++i) {
        const Invocation& invocation = invocations[i];
        const auto seconds = std::chrono::duration<double>(invocation.invoked_at.time_since_epoch());
        list[i] =
            py::make_tuple(to_str(invocation.skill_name), seconds.count(), to_str(invocation.session_id),
                           invocation.completed, invocation.duration_seconds,
                           invocation.error_type.empty() ? py::object(py::none()) : to_str(invocation.error_type));
    }
    return py::make_tuple(std::move(list), to_dict<kImportSummary>(summary));
}

using ReportKind = app::WatchReport::Kind;
constexpr EnumNames kReportKinds{
    std::array{EnumName{ReportKind::caught_up, "caught_up"}, EnumName{ReportKind::coverage, "coverage"},
               EnumName{ReportKind::problem, "problem"}, EnumName{ReportKind::database_waits, "database_waits"},
               EnumName{ReportKind::database_back, "database_back"},
               EnumName{ReportKind::database_replaced, "database_replaced"}, EnumName{ReportKind::ended, "ended"}}};

template <auto kMember>
constexpr auto kNoneIfEmpty = [](const WatchReport& report) {
    const std::string& text = report.*kMember;
    return text.empty() ? std::nullopt : std::optional(text);
};

constexpr auto kWatchReport = entity(
    "WatchReport", "", field<"event">([](const WatchReport& report) { return kReportKinds[report.kind]; }),
    field<"runs">(within(&WatchReport::coverage, &Coverage::runs),
                  "Invocations read from transcripts for the first time."),
    field<"hooks_saw">(within(&WatchReport::coverage, &Coverage::hooks_saw), "Of runs: already recorded by hooks."),
    field<"recovered">(within(&WatchReport::coverage, &Coverage::recovered),
                       "Of runs: recorded by the watch, because no other source had."),
    field<"files">(&WatchReport::files, "Being followed."),
    field<"bytes">(&WatchReport::bytes, "Read since the start."),
    field<"unreadable_lines">(&WatchReport::unreadable_lines),
    field<"unfinished">(&WatchReport::unfinished, "Tool uses without a result yet."),
    field<"path">(kNoneIfEmpty<&WatchReport::path>), field<"reason">(kNoneIfEmpty<&WatchReport::reason>));

/// Exceptions of the callbacks or of a signal handler end the watch.
void watch_transcripts(const Paths& paths, const std::string& db_path, const py::function& report,
                       const py::function& go_on, const py::object& progress, bool once, const std::string& tools,
                       bool builtin_commands, double hook_timeout) {
    const ingest::SkillNamer namer(parse_tool_rules(tools));
    const SystemClock clock;
    app::WatchCallbacks callbacks;
    callbacks.report = [&report](const app::WatchReport& watched) {
        const py::gil_scoped_acquire acquired;
        report(to_dict<kWatchReport>(watched));
    };
    callbacks.should_continue = [&go_on] {
        const py::gil_scoped_acquire acquired;
        if (PyErr_CheckSignals() != 0) {
            throw py::error_already_set();
        }
        return go_on().cast<bool>();
    };
    if (!progress.is_none()) {
        callbacks.progress = [&progress](const app::ImportProgress& state) {
            const py::gil_scoped_acquire acquired;
            progress(state.bytes_done, state.bytes_total);
        };
    }
    app::WatchOptions options;
    options.db_path = db_path;
    options.once = once;
    options.builtin_commands = builtin_commands;
    options.hook_timeout = std::chrono::duration<double>(hook_timeout);
    const py::gil_scoped_release released;
    app::TranscriptWatch(paths, std::move(options), namer, clock, std::move(callbacks)).run();
}

/// Quotes a word for the shell.
std::string shell_quote(const std::string& word) {
    std::string result = "'";
    for (const char c : word) {
        result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return result + "'";
}

py::object name_for_command(const std::vector<std::string>& words, const std::string& tools) {
    const ingest::SkillNamer namer(parse_tool_rules(tools));
    std::string command;
    for (const std::string& word : words) {
        command += (command.empty() ? "" : " ") + shell_quote(word);
    }
    const auto name = namer.for_shell_command(command);
    return name ? py::object(to_str(*name)) : py::object(py::none());
}

}  // namespace

void bind_ingest(py::module_& module) {
    add_entity<kImportProblem, app::ImportProblem>();
    add_entity<kSkillCorrections, app::SkillCorrections>();
    add_entity<kImportSummary, ImportSummary>();
    add_entity<kWatchReport, WatchReport>();
    module.def("transcript_roots", &app::default_transcript_roots, py::kw_only(), py::arg("also_missing") = false,
               "The directories in which agents store transcripts: those that exist, or all.");
    module.attr("TRANSCRIPT_AGENTS") = ingest::transcript_agents();
    module.attr("TRANSCRIPT_FOLDERS") = ingest::default_session_folders();
    module.def("import_transcripts", &import_transcripts, py::arg("paths"), py::arg("db_path"), py::kw_only(),
               py::arg("busy_timeout"), py::arg("progress") = py::none(), py::arg("tools") = "",
               py::arg("builtin_commands") = false, py::arg("reclassify") = false, py::arg("dry_run") = false,
               py::arg("hook_timeout") = Config{}.hook_timeout.count(),
               "Stores the invocations in transcripts that are not stored yet; returns a summary.");
    module.def("watch_transcripts", &watch_transcripts, py::arg("paths"), py::arg("db_path"), py::kw_only(),
               py::arg("report"), py::arg("go_on"), py::arg("progress") = py::none(), py::arg("once") = false,
               py::arg("tools") = "", py::arg("builtin_commands") = false,
               py::arg("hook_timeout") = Config{}.hook_timeout.count(),
               "Follows transcripts until go_on() is false, or with once until all is stored; report is called with "
               "dicts.");
    module.def("skill_name_for_command", &name_for_command, py::arg("words"), py::pos_only(), py::kw_only(),
               py::arg("tools") = "", "The skill name of the first known tool in a command; None if it has none.");
    module.def(
        "classify_error", [](const std::string& text) { return std::string(ingest::classify_tool_error(text, false)); },
        py::arg("text"), py::pos_only(), "The error type of an error text; the text itself is not stored.");
    module.def("load_transcripts", &load_transcripts, py::arg("paths"), py::kw_only(), py::arg("progress") = py::none(),
               "All invocations sorted by time, as tuples, and a summary.");
}

}  // namespace session_buddy::bindings
