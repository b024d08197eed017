// Does for a batch of inserts, once a skill, what the triggers of our schema do row by row.
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

/// While one of these lives, the triggers of its connection do not fire. Every failure is a SQLite::Exception.
class BatchAggregates {
  public:
    /// Works out what `records`, inserted in this order, add to the aggregates: to the last bit what the triggers would
    /// make of them at this moment. nullptr where that is not certain, so that the triggers have to do it: the tables
    /// or triggers are not exactly ours, or a row of a skill holds what no trigger of ours wrote. The connection must
    /// be in a write transaction; `records` must outlive the object.
    [[nodiscard]] static std::unique_ptr<BatchAggregates> prepare(SQLite::Database& database,
                                                                  std::span<const InvocationRecord* const> records);
    ~BatchAggregates();
    BatchAggregates(const BatchAggregates&) = delete;
    BatchAggregates& operator=(const BatchAggregates&) = delete;

    /// To be called once, after the rows were inserted.
    void write();

  private:
    /// A moment as SQLite has it, a Julian day; nothing for what it cannot read.
    using Moment = std::optional<double>;
    /// Name → how often, in the order of first appearance.
    using Counts = std::vector<std::pair<std::string, std::int64_t>>;

    struct Skill {
        std::string name;
        // Its row of skill_metrics as it will be.
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
        // What is added to the row's three objects.
        Counts workflow_paths{};
        Counts errors{};
        Counts follow_ups{};
        // Its row of skill_metrics_cache: the time as it will be, and what is added to the counts.
        std::optional<std::string> cached_invoked{};
        Moment cached_moment{};
        std::int64_t in_last_hour = 0;
        std::int64_t in_last_day = 0;
    };
    struct SessionCount {
        std::string_view session_id;
        std::size_t skill;  // place in skills_
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
    std::vector<Skill> skills_;           // in the order of first appearance, as are
    std::vector<SessionCount> sessions_;  // these
    double hour_ago_ = 0.0;
    double day_ago_ = 0.0;
    bool triggers_are_off_ = false;
};

}  // namespace session_buddy::storage
