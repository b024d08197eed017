// SkillsQueries: queries of recorded invocations.
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "entities.hpp"
#include "invocation_fields.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/skills_queries.hpp"
#include "session_buddy/storage/skills_store.hpp"

namespace session_buddy::bindings {
namespace {

using storage::InvocationFilter;
using Text = std::optional<std::string>;
using Micros = std::optional<std::int64_t>;

std::optional<TimePoint> to_moment(const Micros& micros) {
    return micros ? std::optional<TimePoint>(TimePoint{std::chrono::microseconds(*micros)}) : std::nullopt;
}

using storage::HourlyAggregate;
using storage::PhaseEffectiveness;
using storage::SessionSummary;
using storage::StoredInvocation;

/// A time with its microseconds, if it has any.
template <auto kMember>
constexpr auto kPrecise = [](const SessionSummary& summary) {
    const std::optional<TimePoint>& at = summary.*kMember;
    return at ? std::optional(format_precise_timestamp(*at)) : std::nullopt;
};

constexpr auto kStoredInvocation = entity(
    "StoredInvocation", "",
    std::tuple_cat(
        std::tuple{field<"id">(&StoredInvocation::id)}, within_all(&StoredInvocation::record, kInvocationRecord.fields),
        std::tuple{field<"outcome">([](const StoredInvocation& row) { return std::string(kOutcomes[row.outcome]); },
                                    "completed, failed or unknown."),
                   field<"duration_is_bound">(&StoredInvocation::duration_is_bound,
                                              "The duration is an upper bound: it may include a "
                                              "wait.")}));

constexpr auto kSessionSummary =
    entity("SessionSummary", "", field<"session_id">(&SessionSummary::session_id),
           field<"unique_skills">(&SessionSummary::unique_skills),
           field<"total_invocations">(&SessionSummary::total_invocations),
           field<"completed_count">(&SessionSummary::completed_count),
           field<"unknown_count">(&SessionSummary::unknown_count, "Of completed_count: with an unknown outcome."),
           field<"abandoned_count">(&SessionSummary::abandoned_count),
           field<"total_duration_seconds">(&SessionSummary::total_duration_seconds),
           field<"first_skill_at">(kPrecise<&SessionSummary::first_skill_at>),
           field<"last_skill_at">(kPrecise<&SessionSummary::last_skill_at>),
           field<"skills">(&SessionSummary::skills, "Name → invocations."));

constexpr auto kHourlyAggregate =
    entity("HourlyAggregate", "", field<"skill_name">(&HourlyAggregate::skill_name),
           field<"timestamp">(&HourlyAggregate::hour, "The beginning of the hour, UTC."),
           field<"invocation_count">(&HourlyAggregate::invocation_count),
           field<"completed_count">(&HourlyAggregate::completed_count),
           field<"unknown_count">(&HourlyAggregate::unknown_count, "Of completed_count: with an unknown outcome."),
           field<"completion_rate">(&HourlyAggregate::completion_rate,
                                    "Of the known outcomes, 0 to 1; None if there are none."),
           field<"avg_duration_seconds">(&HourlyAggregate::avg_duration_seconds,
                                         "Mean over completed invocations with a duration."),
           field<"unique_sessions">(&HourlyAggregate::unique_sessions));

constexpr auto kPhaseEffectiveness =
    entity("PhaseEffectiveness", "", field<"skill_name">(&PhaseEffectiveness::skill_name),
           field<"workflow_phase">(&PhaseEffectiveness::workflow_phase),
           field<"total_invocations">(&PhaseEffectiveness::total_invocations),
           field<"completed_count">(&PhaseEffectiveness::completed_count),
           field<"unknown_count">(&PhaseEffectiveness::unknown_count, "Of completed_count: with an unknown outcome."),
           field<"abandoned_count">(&PhaseEffectiveness::abandoned_count),
           field<"timed_count">(&PhaseEffectiveness::timed_count, "Invocations with a duration."),
           field<"total_duration_seconds">(&PhaseEffectiveness::total_duration_seconds),
           field<"avg_duration_seconds">(&PhaseEffectiveness::avg_duration_seconds,
                                         "Mean over all invocations with a duration."),
           field<"avg_completion_time">(&PhaseEffectiveness::avg_completion_time, "Mean over the completed ones."),
           field<"completion_rate">(&PhaseEffectiveness::completion_rate,
                                    "Of the known outcomes, 0 to 100; None if there are none."));

// Wraps storage::SkillsQueries: everything that may wait for the database releases the GIL.
class Queries {
  public:
    explicit Queries(std::shared_ptr<storage::SkillsStore> store)
        : store_(std::move(store)), queries_(store_->queries()) {}

    py::object invocation(std::int64_t id) {
        return to_object<kStoredInvocation>(without_gil([&] { return queries_.invocation(id); }));
    }
    py::object session_summary(const std::string& session_id) {
        return to_object<kSessionSummary>(without_gil([&] { return queries_.session_summary(session_id); }));
    }
    py::list invocations(const InvocationFilter& filter, bool newest_first, std::int64_t limit) {
        const auto order = newest_first ? storage::TimeOrder::newest_first : storage::TimeOrder::oldest_first;
        return to_dicts<kStoredInvocation>(without_gil([&] { return queries_.invocations(filter, order, limit); }));
    }
    py::list hourly_aggregates(const InvocationFilter& filter, std::int64_t limit) {
        return to_dicts<kHourlyAggregate>(without_gil([&] { return queries_.hourly_aggregates(filter, limit); }));
    }
    py::list phase_effectiveness(const InvocationFilter& filter, std::int64_t limit) {
        return to_dicts<kPhaseEffectiveness>(without_gil([&] { return queries_.phase_effectiveness(filter, limit); }));
    }
    py::list error_counts(const InvocationFilter& filter, std::int64_t limit) {
        py::list counts;
        for (const auto& [error_type, count] : without_gil([&] { return queries_.error_counts(filter, limit); })) {
            counts.append(py::make_tuple(to_str(error_type), count));
        }
        return counts;
    }

  private:
    std::shared_ptr<storage::SkillsStore> store_;
    storage::SkillsQueries& queries_;
};

InvocationFilter make_filter(const Text& skill_name, const Text& session_id, const Text& workflow_phase,
                             const Text& workflow_step_id, const Text& error_type, const std::optional<bool>& completed,
                             const Micros& since, const Micros& until) {
    return {.skill_name = skill_name,
            .session_id = session_id,
            .workflow_phase = workflow_phase,
            .workflow_step_id = workflow_step_id,
            .error_type = error_type,
            .completed = completed,
            .since = to_moment(since),
            .until = to_moment(until)};
}

}  // namespace

py::object make_queries(std::shared_ptr<storage::SkillsStore> store) {
    return py::cast(std::make_unique<Queries>(std::move(store)));
}

void bind_queries(py::module_& module) {
    add_entity<kStoredInvocation, StoredInvocation>();
    add_entity<kSessionSummary, SessionSummary>();
    add_entity<kHourlyAggregate, HourlyAggregate>();
    add_entity<kPhaseEffectiveness, PhaseEffectiveness>();
    py::class_<InvocationFilter>(module, "InvocationFilter", "Filters invocations; times in microseconds since 1970.")
        .def(py::init(&make_filter), py::kw_only(), py::arg("skill_name") = py::none(),
             py::arg("session_id") = py::none(), py::arg("workflow_phase") = py::none(),
             py::arg("workflow_step_id") = py::none(), py::arg("error_type") = py::none(),
             py::arg("completed") = py::none(), py::arg("since") = py::none(), py::arg("until") = py::none());
    py::class_<Queries>(module, "SkillsQueries", "Queries a skills database; safe to share between threads.")
        .def("invocation", &Queries::invocation, py::arg("id"))
        .def("invocations", &Queries::invocations, py::arg("filter"), py::arg("newest_first"), py::arg("limit"))
        .def("session_summary", &Queries::session_summary, py::arg("session_id"))
        .def("hourly_aggregates", &Queries::hourly_aggregates, py::arg("filter"), py::arg("limit"))
        .def("phase_effectiveness", &Queries::phase_effectiveness, py::arg("filter"), py::arg("limit"))
        .def("error_counts", &Queries::error_counts, py::arg("filter"), py::arg("limit"));
}

}  // namespace session_buddy::bindings
