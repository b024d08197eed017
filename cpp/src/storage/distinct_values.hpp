// Limits the distinct error types and workflow paths of a skill: skill_metrics counts each in a JSON object, which
// every insert reads and writes as a whole, also in the triggers of other tools.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "session_buddy/storage/invocation_record.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// For one connection. All members may throw SQLite::Exception.
class DistinctValues {
  public:
    /// Stored instead of values beyond the limit.
    static constexpr std::string_view kOther = "other";

    /// `max`: limit of error types, and of workflow paths, per skill.
    DistinctValues(SQLite::Database& database, std::size_t max);

    /// Must be called when other programs may have written since the last call.
    void forget() { known_.clear(); }
    /// The record with its values limited; nullopt if it is unchanged.
    [[nodiscard]] std::optional<InvocationRecord> bounded(const InvocationRecord& record);

  private:
    enum class Kind : std::uint8_t { error_type, workflow_path };
    using Names = std::unordered_set<std::string>;

    [[nodiscard]] bool fits(Kind kind, const std::string& skill, const std::optional<std::string>& value);
    [[nodiscard]] Names read(Kind kind, const std::string& skill);

    std::size_t max_;
    // Prepared on first use: the user of a hook waits.
    sql::DeferredStatement errors_;
    sql::DeferredStatement paths_;
    std::map<std::pair<Kind, std::string>, Names> known_;  // for the skills of this batch
};

}  // namespace session_buddy::storage
