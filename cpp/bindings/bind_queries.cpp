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
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/skills_queries.hpp"
#include "session_buddy/storage/skills_store.hpp"

namespace session_buddy::bindings {
namespace {

using storage::InvocationFilter;
using Text = std::optional<std::string>;
using Micros = std::optional<std::int64_t>;

py::object optional_time(const std::optional<TimePoint>& moment) {
    return moment ? py::object(to_str(format_precise_timestamp(*moment))) : py::object(py::none());
}

std::optional<TimePoint> to_moment(const Micros& micros) {
    return micros ? std::optional<TimePoint>(TimePoint{std::chrono::microseconds(*micros)}) : std::nullopt;
}

py::dict to_python(const storage::StoredInvocation& stored) {
    const storage::InvocationRecord& row = stored.record;
    py::dict fields;
    fields["id"] = stored.id;
    fields["skill_name"] = to_str(row.skill_name);
    fields["invoked_at"] = to_str(row.invoked_at);
    fields["session_id"] = to_str(row.session_id);
    fields["workflow_path"] = optional_str(row.workflow_path);
    fields["completed"] = row.completed;
    fields["duration_seconds"] = row.duration_seconds;
    fields["user_query"] = optional_str(row.user_query);
    fields["alternatives_considered"] = optional_str(row.alternatives_considered);
    fields["selection_rank"] = row.selection_rank;
    fields["follow_up_actions"] = optional_str(row.follow_up_actions);
    fields["error_type"] = optional_str(row.error_type);
    fields["embedding"] =
        row.embedding
            ? py::object(py::bytes(reinterpret_cast<const char*>(row.embedding->data()), row.embedding->size()))
            : py::object(py::none());
    fields["workflow_phase"] = optional_str(row.workflow_phase);
    fields["workflow_step_id"] = optional_str(row.workflow_step_id);
    return fields;
}

py::dict to_python(const storage::SessionSummary& summary) {
    py::dict skills;
    for (const auto& [name, count] : summary.skills) {
        skills[to_str(name)] = count;
    }
    py::dict fields;
    fields["session_id"] = to_str(summary.session_id);
    fields["unique_skills"] = summary.unique_skills;
    fields["total_invocations"] = summary.total_invocations;
    fields["completed_count"] = summary.completed_count;
    fields["abandoned_count"] = summary.abandoned_count;
    fields["total_duration_seconds"] = summary.total_duration_seconds;
    fields["first_skill_at"] = optional_time(summary.first_skill_at);
    fields["last_skill_at"] = optional_time(summary.last_skill_at);
    fields["skills"] = std::move(skills);
    return fields;
}

py::dict to_python(const storage::HourlyAggregate& row) {
    py::dict fields;
    fields["skill_name"] = to_str(row.skill_name);
    fields["timestamp"] = to_str(format_timestamp(row.hour));
    fields["invocation_count"] = row.invocation_count;
    fields["completed_count"] = row.completed_count;
    fields["completion_rate"] = row.completion_rate;
    fields["avg_duration_seconds"] = row.avg_duration_seconds;
    fields["unique_sessions"] = row.unique_sessions;
    return fields;
}

py::dict to_python(const storage::PhaseEffectiveness& row) {
    py::dict fields;
    fields["skill_name"] = to_str(row.skill_name);
    fields["workflow_phase"] = to_str(row.workflow_phase);
    fields["total_invocations"] = row.total_invocations;
    fields["completed_count"] = row.completed_count;
    fields["abandoned_count"] = row.abandoned_count;
    fields["timed_count"] = row.timed_count;
    fields["total_duration_seconds"] = row.total_duration_seconds;
    fields["avg_duration_seconds"] = row.avg_duration_seconds;
    fields["avg_completion_time"] = row.avg_completion_time;
    fields["completion_rate"] = row.completion_rate;
    return fields;
}

py::tuple to_python(const storage::ErrorCount& row) {
    return py::make_tuple(to_str(row.error_type), row.count);
}

template <typename Query>
auto without_gil(Query query) {
    const py::gil_scoped_release released;
    return query();
}

// Wraps storage::SkillsQueries: everything that may wait for the database releases the GIL.
class Queries {
  public:
    explicit Queries(std::shared_ptr<storage::SkillsStore> store)
        : store_(std::move(store)), queries_(store_->queries()) {}

    py::object invocation(std::int64_t id) {
        return converted(without_gil([&] { return queries_.invocation(id); }));
    }
    py::object session_summary(const std::string& session_id) {
        return converted(without_gil([&] { return queries_.session_summary(session_id); }));
    }
    py::list invocations(const InvocationFilter& filter, bool newest_first, std::int64_t limit) {
        const auto order = newest_first ? storage::TimeOrder::newest_first : storage::TimeOrder::oldest_first;
        return to_list(without_gil([&] { return queries_.invocations(filter, order, limit); }));
    }
    py::list hourly_aggregates(const InvocationFilter& filter, std::int64_t limit) {
        return to_list(without_gil([&] { return queries_.hourly_aggregates(filter, limit); }));
    }
    py::list phase_effectiveness(const InvocationFilter& filter, std::int64_t limit) {
        return to_list(without_gil([&] { return queries_.phase_effectiveness(filter, limit); }));
    }
    py::list error_counts(const InvocationFilter& filter, std::int64_t limit) {
        return to_list(without_gil([&] { return queries_.error_counts(filter, limit); }));
    }

  private:
    template <typename Row>
    static py::object converted(const std::optional<Row>& row) {
        return row ? py::object(to_python(*row)) : py::object(py::none());
    }
    template <typename Row>
    static py::list to_list(const std::vector<Row>& rows) {
        py::list list;
        for (const Row& row : rows) {
            list.append(to_python(row));
        }
        return list;
    }

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
