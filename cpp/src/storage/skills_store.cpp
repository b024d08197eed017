// Validates and inserts invocations in as few transactions as possible, and runs the queries of the Python API.
#include "session_buddy/storage/skills_store.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "connection.hpp"
#include "invocation_inserter.hpp"
#include "lifetimes.hpp"
#include "marks.hpp"
#include "row_reader.hpp"
#include "schema_fragments.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

constexpr const char* kMetricsColumns =
    "skill_name, total_invocations, completed_invocations, abandoned_invocations, total_duration_seconds, "
    "workflow_paths,"
    " common_errors, follow_up_actions, avg_selection_rank, recommendation_success_rate, first_invoked, last_invoked,"
    " completion_rate, avg_duration_seconds, updated_at";

SkillMetricsRow read_metrics(const sql::Statement& row) {
    return {.skill_name = std::string(row.text(0)),
            .total_invocations = row.integer(1),
            .completed_invocations = row.integer(2),
            .abandoned_invocations = row.integer(3),
            .total_duration_seconds = row.real(4),
            .workflow_paths = std::string(row.text(5)),
            .common_errors = std::string(row.text(6)),
            .follow_up_actions = std::string(row.text(7)),
            .avg_selection_rank = row.optional_real(8),
            .recommendation_success_rate = row.optional_real(9),
            .first_invoked = row.optional_text(10),
            .last_invoked = row.optional_text(11),
            .completion_rate = row.real(12),
            .avg_duration_seconds = row.optional_real(13),
            .updated_at = std::string(row.text(14))};
}

}  // namespace

struct SkillsStore::Impl {
    struct Queries {
        explicit Queries(SQLite::Database& database)
            : metrics(database, fmt::format("SELECT {} FROM skill_metrics WHERE skill_name = ?1", kMetricsColumns)),
              all_metrics(
                  database,
                  fmt::format("SELECT {} FROM skill_metrics ORDER BY total_invocations DESC, skill_name LIMIT ?1",
                              kMetricsColumns)),
              sums(database, "SELECT " SESSION_BUDDY_TIMED_SUMS " FROM skill_invocation WHERE skill_name = ?1"),
              recent(database,
                     fmt::format("SELECT {} FROM skill_invocation WHERE invoked_at >= ?1", kInvocationColumns)),
              marks(database) {}
        sql::Statement metrics;
        sql::Statement all_metrics;
        sql::Statement sums;
        sql::Statement recent;
        MarkReader marks;

        /// A row of skill_metrics; its durations are recomputed from the invocations if other programs wrote invalid
        /// ones.
        SkillMetricsRow checked(const sql::Statement& entry) {
            SkillMetricsRow found = read_metrics(entry);
            if (!is_certain_sum(entry, 4) && sums.with(found.skill_name).step() &&
                is_wrong_sum(sums.integer(2), found.total_duration_seconds, found.avg_duration_seconds)) {
                found.total_duration_seconds = sums.real(0);
                found.avg_duration_seconds =
                    sums.integer(1) > 0 ? std::optional(sums.real(0) / sums.real(1)) : std::nullopt;
            }
            sums.reset();
            return found;
        }
    };

    std::mutex mutex;
    SkillsQueries reading;
    std::optional<InvocationInserter> inserter;
    std::optional<Queries> queries;
    Connection connection;

    Impl(const std::string& path, std::chrono::milliseconds busy_timeout)
        : reading(path, busy_timeout,
                  [this] {
                      // try_to_lock: the thread that holds the mutex checks for itself, and may wait for this one.
                      const std::unique_lock lock(mutex, std::try_to_lock);
                      if (lock.owns_lock()) {
                          connection.close_if_stale();
                      }
                  }),
          connection(path, {.busy_timeout = busy_timeout},
                     {.before_open = [this] { reading.close_if_stale(); },
                      .on_open =
                          [this](SQLite::Database& database) {
                              inserter.emplace(database, OpenOptions{}.max_values_per_skill);
                              queries.emplace(database);
                          },
                      .on_close =
                          [this] {
                              queries.reset();
                              inserter.reset();
                          }}) {
        connection.require_open();
    }

    void check_limit(std::int64_t limit) const {
        if (limit < 0) {
            connection.reject("limit must not be negative");
        }
    }
};

SkillsStore::SkillsStore(const std::string& path, std::chrono::milliseconds busy_timeout)
    : impl_(std::make_unique<Impl>(path, busy_timeout)) {}

SkillsStore::~SkillsStore() = default;

std::int64_t SkillsStore::store(const InvocationRecord& record) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.require_not_closed();
    if (const std::string fault = validation_error(record); !fault.empty()) {
        impl_->connection.reject(fault);
    }
    return impl_->connection.attempt("cannot write to", [&] { return impl_->inserter->insert(record); });
}

std::vector<std::int64_t> SkillsStore::store_many(std::span<const InvocationRecord> records) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.require_not_closed();
    std::vector<const InvocationRecord*> all;
    all.reserve(records.size());
    for (std::size_t index = 0; index < records.size(); ++index) {
        if (const std::string fault = validation_error(records[index]); !fault.empty()) {
            impl_->connection.reject(fmt::format("record {}: {}", index, fault));
        }
        all.push_back(&records[index]);
    }
    if (records.empty()) {
        return {};
    }
    return impl_->connection.attempt("cannot write to", [&] {
        SQLite::Transaction transaction(impl_->connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
        std::vector<std::int64_t> ids = impl_->inserter->insert_all(all);
        transaction.commit();
        return ids;
    });
}

std::optional<SkillMetricsRow> SkillsStore::metrics(std::string_view skill_name) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.require_not_closed();
    return impl_->connection.attempt("cannot read", [&] {
        sql::Statement& query = impl_->queries->metrics.with(skill_name);
        std::optional<SkillMetricsRow> row;
        if (query.step()) {
            row = impl_->queries->checked(query);
        }
        query.reset();
        return row;
    });
}

std::vector<SkillMetricsRow> SkillsStore::all_metrics(std::int64_t limit) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.require_not_closed();
    impl_->check_limit(limit);
    return impl_->connection.attempt("cannot read", [&] {
        std::vector<SkillMetricsRow> rows;
        sql::Statement& query = impl_->queries->all_metrics.with(limit);
        while (query.step()) {
            rows.push_back(impl_->queries->checked(query));
        }
        return rows;
    });
}

std::vector<SkillMetrics> SkillsStore::real_time_metrics(std::int64_t limit, std::chrono::microseconds window,
                                                         TimePoint now) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.require_not_closed();
    impl_->check_limit(limit);
    if (window <= std::chrono::microseconds{0} || window > std::chrono::days{36600}) {
        impl_->connection.reject("window must be more than 0 and at most 100 years");
    }
    struct Sums {
        WindowMetrics window;
        double measured_seconds = 0.0;
        double bound_seconds = 0.0;  // of durations that are upper bounds
    };
    return impl_->connection.attempt("cannot read", [&] {
        const TimePoint start = now - window;
        std::unordered_map<std::string, Sums> skills;
        // Filters by text first, for the index: with any UTC offset, a row in the window has at least this date.
        const std::string from = format_timestamp(start - std::chrono::days{1}).substr(0, 10);
        sql::Statement& rows = impl_->queries->recent.with(from);
        impl_->queries->marks.restart();
        while (rows.step()) {
            auto invocation = read_invocation(rows);
            if (!invocation.has_value() || invocation->invoked_at <= start) {
                continue;
            }
            impl_->queries->marks.add_to(*invocation);
            Sums& sums = skills[invocation->skill_name];
            const TimePoint at = std::min(invocation->invoked_at, now);
            sums.window.last_invocation_at =
                sums.window.invocation_count == 0 ? at : std::max(sums.window.last_invocation_at, at);
            ++sums.window.invocation_count;
            if (invocation->completed) {
                ++sums.window.completed_count;
                sums.window.unknown_count += invocation->outcome_is_unknown ? 1 : 0;
                if (invocation->duration_seconds.has_value()) {
                    const bool is_measured = !invocation->duration_is_bound;
                    (is_measured ? sums.measured_seconds : sums.bound_seconds) += *invocation->duration_seconds;
                    sums.window.measured_count += is_measured ? 1 : 0;
                    ++sums.window.timed_count;
                }
            }
        }
        std::vector<SkillMetrics> result;
        result.reserve(skills.size());
        for (auto& [name, sums] : skills) {
            WindowMetrics& metrics = sums.window;
            if (metrics.timed_count > 0) {
                metrics.avg_duration_seconds = metrics.measured_count > 0
                                                   ? sums.measured_seconds / static_cast<double>(metrics.measured_count)
                                                   : sums.bound_seconds / static_cast<double>(metrics.timed_count);
            }
            result.push_back({.skill_name = name, .window = metrics, .lifetime = {}});
        }
        std::ranges::sort(result, [](const SkillMetrics& a, const SkillMetrics& b) {
            if (a.window.invocation_count != b.window.invocation_count) {
                return a.window.invocation_count > b.window.invocation_count;
            }
            if (a.window.last_invocation_at != b.window.last_invocation_at) {
                return a.window.last_invocation_at > b.window.last_invocation_at;
            }
            return a.skill_name < b.skill_name;
        });
        if (result.size() > static_cast<std::size_t>(limit)) {
            result.resize(static_cast<std::size_t>(limit));
        }
        return result;
    });
}

SkillsQueries& SkillsStore::queries() noexcept {
    return impl_->reading;
}

void SkillsStore::close() noexcept {
    impl_->reading.close();
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.close_permanently();
}

}  // namespace session_buddy::storage
