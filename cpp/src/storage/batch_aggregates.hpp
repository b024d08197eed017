// Updates the aggregates of a batch of inserts once per skill, as the schema's triggers would row by row.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "session_buddy/storage/invocation_record.hpp"

namespace SQLite {
class Database;
}

namespace session_buddy::storage {

/// Disables the triggers of its connection while it exists. All members may throw SQLite::Exception.
class BatchAggregates {
  public:
    /// Computes what `records`, inserted in this order, add to the aggregates: bit by bit what the triggers would write
    /// now. Returns nullptr, so that the triggers must do it, if that is not certain: the tables or triggers are not
    /// exactly ours, or a row of a skill has values that our triggers do not write. Must be called in a write
    /// transaction; `records` must outlive the object.
    [[nodiscard]] static std::unique_ptr<BatchAggregates> prepare(SQLite::Database& database,
                                                                  std::span<const InvocationRecord* const> records);
    ~BatchAggregates();
    BatchAggregates(const BatchAggregates&) = delete;
    BatchAggregates& operator=(const BatchAggregates&) = delete;

    /// Must be called once, after the rows were inserted.
    void write();

  private:
    /// A time as SQLite's Julian day; nullopt if SQLite cannot parse it.
    using Moment = std::optional<double>;
    /// Name → count, ordered by first appearance.
    using Counts = std::vector<std::pair<std::string, std::int64_t>>;

    struct Skill {
        std::string name;
        // The new row of skill_metrics.
        std::int64_t total = 0;
        std::int64_t completed = 0;
        std::int64_t abandoned = 0;
        double completion_rate = 0.0;
        double total_seconds = 0.0;
        std::optional<double> mean_seconds{};
        std::optional<std::string> first_invoked{};
        std::optional<std::string> last_invoked{};
        Moment first_moment{};
        Moment last_moment{};
        // Added to the three JSON objects of that row.
        Counts workflow_paths{};
        Counts errors{};
        Counts follow_ups{};
        // The row of skill_metrics_cache: the new time, and what is added to the counts.
        std::optional<std::string> cached_invoked{};
        Moment cached_moment{};
        std::int64_t in_last_hour = 0;
        std::int64_t in_last_day = 0;
    };
    struct SessionCount {
        std::string_view session_id;
        std::size_t skill;  // index in skills_
        std::int64_t count;
    };
    struct Reader;

    explicit BatchAggregates(SQLite::Database& database) : database_(database) {}
    [[nodiscard]] bool read(std::span<const InvocationRecord* const> records);
    void add(const InvocationRecord& record, Skill& skill, Reader& reader) const;
    void write_metrics();
    void write_counts(const char* select, const char* update, Counts Skill::*counts);
    void write_sessions();
    void write_cache();

    SQLite::Database& database_;
    std::vector<Skill> skills_;           // both ordered
    std::vector<SessionCount> sessions_;  // by first appearance
    double hour_ago_ = 0.0;
    double day_ago_ = 0.0;
    bool triggers_are_off_ = false;
};

}  // namespace session_buddy::storage
