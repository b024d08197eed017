// Builds a statement for each filter, so that fields that are not set do not keep SQLite from using an index.
#include "session_buddy/storage/skills_queries.hpp"

#include <SQLiteCpp/Database.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "connection.hpp"
#include "marks.hpp"
#include "row_reader.hpp"
#include "schema_fragments.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

constexpr const char* kQueriedColumns =
    "id, skill_name, invoked_at, session_id, workflow_path, completed, duration_seconds, user_query,"
    " alternatives_considered, selection_rank, follow_up_actions, error_type, embedding, workflow_phase,"
    " workflow_step_id";
constexpr const char* kDuration = "(" SESSION_BUDDY_DURATION ")";
/// `completed` as 1 or 0, for any value.
constexpr const char* kCompleted = "(CASE WHEN completed THEN 1 ELSE 0 END)";

constexpr std::int64_t kMicrosecondsPerHour = 3'600'000'000;
constexpr double kPercent = 100.0;

/// The queried columns, and whether the outcome is unknown and the duration is an upper bound.
std::string queried_columns(SQLite::Database& database) {
    return fmt::format("{}, {}, {}", kQueriedColumns, unknown_expression(database), bound_expression(database));
}

/// Completed by all, both without unknown outcomes.
std::optional<double> known_rate(std::int64_t completed, std::int64_t total, std::int64_t unknown) {
    return total > unknown
               ? std::optional(static_cast<double>(completed - unknown) / static_cast<double>(total - unknown))
               : std::nullopt;
}

std::optional<TimePoint> time_of_micros(const sql::Statement& row, int column) {
    return row.is_null(column) ? std::nullopt
                               : std::optional<TimePoint>(TimePoint{std::chrono::microseconds(row.integer(column))});
}

StoredInvocation read_stored(const sql::Statement& row) {
    StoredInvocation stored{.id = row.integer(0),
                            .record = {.skill_name = std::string(row.text(1)),
                                       .invoked_at = std::string(row.text(2)),
                                       .session_id = std::string(row.text(3)),
                                       .completed = row.real(5) != 0.0,
                                       .duration_seconds = read_duration(row, 6),
                                       .workflow_path = row.optional_text(4),
                                       .user_query = row.optional_text(7),
                                       .alternatives_considered = row.optional_text(8),
                                       .follow_up_actions = row.optional_text(10),
                                       .error_type = row.optional_text(11),
                                       .workflow_phase = row.optional_text(13),
                                       .workflow_step_id = row.optional_text(14)}};
    stored.outcome = row.integer(15) != 0      ? Outcome::unknown
                     : stored.record.completed ? Outcome::completed
                                               : Outcome::failed;
    stored.duration_is_bound = row.integer(16) != 0;
    if (row.type(9) == SQLITE_INTEGER) {
        stored.record.selection_rank = row.integer(9);
    }
    if (row.type(12) == SQLITE_BLOB) {
        const std::string_view bytes = row.text(12);
        stored.record.embedding.emplace(bytes.begin(), bytes.end());
    }
    return stored;
}

/// The WHERE clause of a filter, and its parameters in order.
class Condition {
  public:
    explicit Condition(const InvocationFilter& filter) {
        equal("skill_name", filter.skill_name);
        equal("session_id", filter.session_id);
        equal("workflow_phase", filter.workflow_phase);
        equal("workflow_step_id", filter.workflow_step_id);
        equal("error_type", filter.error_type);
        if (filter.completed) {
            add(fmt::format("{} = {}", kCompleted, *filter.completed ? 1 : 0));
        }
        // Filters by text first, for the index: a UTC offset changes the date of a row by at most one day.
        constexpr std::chrono::days kLargestOffset{1};
        constexpr TimePoint kFirst = std::chrono::sys_days{std::chrono::year{1} / 1 / 1};
        if (filter.since) {
            if (*filter.since > kFirst + kLargestOffset) {
                texts_.push_back(format_timestamp(*filter.since - kLargestOffset).substr(0, 10));
                add(fmt::format("invoked_at >= ?{}", texts_.size()));
            }
            add(fmt::format("session_buddy_micros(invoked_at) >= {}", filter.since->time_since_epoch().count()));
        }
        if (filter.until) {
            add(fmt::format("session_buddy_micros(invoked_at) < {}", filter.until->time_since_epoch().count()));
        }
    }

    void add(std::string_view term) { where_ += fmt::format("{}{}", where_.empty() ? "WHERE " : " AND ", term); }
    [[nodiscard]] const std::string& where() const { return where_; }
    void bind_to(sql::Statement& statement) const {
        int index = 0;
        for (const std::string& text : texts_) {
            statement.bind(++index, text);
        }
    }

  private:
    void equal(const char* column, const std::optional<std::string>& value) {
        if (value) {
            texts_.push_back(*value);
            add(fmt::format("{} = ?{}", column, texts_.size()));
        }
    }

    std::string where_;
    std::vector<std::string> texts_;
};

}  // namespace

struct SkillsQueries::Impl {
    std::mutex mutex;
    Connection connection;

    Impl(std::string file, std::chrono::milliseconds timeout, std::function<void()> before_open)
        : connection(std::move(file), {.busy_timeout = timeout},
                     {.before_open = std::move(before_open),
                      .on_open = [](SQLite::Database& database) { database.exec("PRAGMA query_only = ON"); }}) {}

    void check_limit(std::int64_t limit) const {
        if (limit < 0) {
            connection.reject("limit must not be negative");
        }
    }

    /// All rows of a query with the condition, each converted by `read`. `text` gets the database, because what can be
    /// queried depends on its side tables.
    template <typename Text, typename Read>
    auto rows(const Text& text, const Condition& condition, Read read) {
        return connection.attempt("cannot read", [&] {
            std::vector<decltype(read(std::declval<const sql::Statement&>()))> found;
            sql::Statement statement(connection.database(), text(connection.database()));
            condition.bind_to(statement);
            while (statement.step()) {
                found.push_back(read(statement));
            }
            return found;
        });
    }
};

SkillsQueries::SkillsQueries(std::string path, std::chrono::milliseconds busy_timeout,
                             std::function<void()> before_open)
    : impl_(std::make_unique<Impl>(std::move(path), busy_timeout, std::move(before_open))) {}

SkillsQueries::~SkillsQueries() = default;

std::optional<StoredInvocation> SkillsQueries::invocation(std::int64_t id) {
    const std::scoped_lock lock(impl_->mutex);
    Condition condition({});
    condition.add(fmt::format("id = {}", id));
    const auto text = [&](SQLite::Database& database) {
        return fmt::format("SELECT {} FROM skill_invocation {}", queried_columns(database), condition.where());
    };
    auto found = impl_->rows(text, condition, read_stored);
    return found.empty() ? std::nullopt : std::optional<StoredInvocation>(std::move(found.front()));
}

std::vector<StoredInvocation> SkillsQueries::invocations(const InvocationFilter& filter, TimeOrder order,
                                                         std::int64_t limit) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->check_limit(limit);
    const Condition condition(filter);
    const char* direction = order == TimeOrder::newest_first ? "DESC" : "ASC";
    // Sorts ids and times only, so that SQLite's sorter has no texts and embeddings.
    const auto text = [&](SQLite::Database& database) {
        return fmt::format(
            "WITH chosen AS (SELECT id AS row_id, session_buddy_micros(invoked_at) AS moment"
            " FROM skill_invocation {0} ORDER BY moment {1}, row_id {1} LIMIT {2})"
            " SELECT {3} FROM chosen CROSS JOIN skill_invocation ON id = row_id ORDER BY moment {1}, row_id {1}",
            condition.where(), direction, limit, queried_columns(database));
    };
    return impl_->rows(text, condition, read_stored);
}

std::optional<SessionSummary> SkillsQueries::session_summary(std::string_view session_id) {
    const std::scoped_lock lock(impl_->mutex);
    const Condition condition({.session_id = std::string(session_id)});
    SessionSummary summary{.session_id = std::string(session_id)};
    // One statement, so that all values are consistent.
    const auto by_skill = [&](const sql::Statement& row) {
        summary.skills[std::string(row.text(0))] += row.integer(1);
        summary.total_invocations += row.integer(1);
        summary.completed_count += row.integer(2);
        summary.total_duration_seconds += row.real(3);
        if (const auto first = time_of_micros(row, 4)) {
            summary.first_skill_at = std::min(summary.first_skill_at.value_or(*first), *first);
        }
        if (const auto last = time_of_micros(row, 5)) {
            summary.last_skill_at = std::max(summary.last_skill_at.value_or(*last), *last);
        }
        summary.unknown_count += row.integer(6);
        return true;
    };
    const auto text = [&](SQLite::Database& database) {
        return fmt::format(
            "SELECT skill_name, count(*), sum({}), total({}), min(session_buddy_micros(invoked_at)),"
            " max(session_buddy_micros(invoked_at)), sum({}) FROM skill_invocation {} GROUP BY skill_name",
            kCompleted, kDuration, unknown_expression(database), condition.where());
    };
    impl_->rows(text, condition, by_skill);
    if (summary.total_invocations == 0) {
        return std::nullopt;
    }
    summary.unique_skills = static_cast<std::int64_t>(summary.skills.size());
    summary.abandoned_count = summary.total_invocations - summary.completed_count;
    return summary;
}

std::vector<HourlyAggregate> SkillsQueries::hourly_aggregates(const InvocationFilter& filter, std::int64_t limit) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->check_limit(limit);
    Condition condition(filter);
    condition.add("session_buddy_micros(invoked_at) IS NOT NULL");
    // Also rounds down before 1970, where the remainder is negative.
    const std::string hour =
        fmt::format("session_buddy_micros(invoked_at) - ((session_buddy_micros(invoked_at) % {0}) + {0}) % {0}",
                    kMicrosecondsPerHour);
    const auto text = [&](SQLite::Database& database) {
        return fmt::format(
            "SELECT skill_name, {} AS hour, count(*), sum({}), {}, count(DISTINCT session_id), sum({})"
            " FROM skill_invocation {} GROUP BY hour, skill_name"
            " ORDER BY hour DESC, skill_name DESC LIMIT {}",
            hour, kCompleted, mean_duration_expression(database), unknown_expression(database), condition.where(),
            limit);
    };
    auto found = impl_->rows(text, condition, [](const sql::Statement& row) {
        return HourlyAggregate{.skill_name = std::string(row.text(0)),
                               .hour = TimePoint{std::chrono::microseconds(row.integer(1))},
                               .invocation_count = row.integer(2),
                               .completed_count = row.integer(3),
                               .unknown_count = row.integer(6),
                               .completion_rate = known_rate(row.integer(3), row.integer(2), row.integer(6)),
                               .avg_duration_seconds = row.optional_real(4),
                               .unique_sessions = row.integer(5)};
    });
    std::ranges::reverse(found);
    return found;
}

std::vector<PhaseEffectiveness> SkillsQueries::phase_effectiveness(const InvocationFilter& filter, std::int64_t limit) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->check_limit(limit);
    Condition condition(filter);
    condition.add("workflow_phase IS NOT NULL");
    const auto text = [&](SQLite::Database& database) {
        return fmt::format(
            "SELECT skill_name, workflow_phase, count(*) AS invocations, sum({0}), total({1}), {2}, {3}, count({1}),"
            " sum({4}) FROM skill_invocation {5}"
            " GROUP BY skill_name, workflow_phase ORDER BY workflow_phase, invocations DESC, skill_name LIMIT {6}",
            kCompleted, kDuration, mean_expression(database, kDuration), mean_duration_expression(database),
            unknown_expression(database), condition.where(), limit);
    };
    return impl_->rows(text, condition, [](const sql::Statement& row) {
        const std::int64_t total = row.integer(2);
        const std::int64_t completed = row.integer(3);
        PhaseEffectiveness phase{.skill_name = std::string(row.text(0)),
                                 .workflow_phase = std::string(row.text(1)),
                                 .total_invocations = total,
                                 .completed_count = completed,
                                 .unknown_count = row.integer(8),
                                 .abandoned_count = total - completed,
                                 .timed_count = row.integer(7),
                                 .total_duration_seconds = row.real(4),
                                 .avg_duration_seconds = row.optional_real(5),
                                 .avg_completion_time = row.optional_real(6)};
        if (const auto rate = known_rate(completed, total, phase.unknown_count)) {
            phase.completion_rate = kPercent * *rate;
        }
        return phase;
    });
}

std::vector<ErrorCount> SkillsQueries::error_counts(const InvocationFilter& filter, std::int64_t limit) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->check_limit(limit);
    Condition condition(filter);
    condition.add(fmt::format("{} = 0 AND error_type IS NOT NULL", kCompleted));
    const auto text = [&](SQLite::Database&) {
        return fmt::format(
            "SELECT error_type, count(*) AS times FROM skill_invocation {} GROUP BY error_type"
            " ORDER BY times DESC, error_type LIMIT {}",
            condition.where(), limit);
    };
    return impl_->rows(text, condition, [](const sql::Statement& row) {
        return ErrorCount{.error_type = std::string(row.text(0)), .count = row.integer(1)};
    });
}

void SkillsQueries::close_if_stale() {
    const std::unique_lock lock(impl_->mutex, std::try_to_lock);
    if (lock.owns_lock()) {
        impl_->connection.close_if_stale();
    }
}

void SkillsQueries::close() noexcept {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.close_permanently();
}

}  // namespace session_buddy::storage
