// Bounds how many distinct texts of one kind a skill may have: skill_metrics counts each in a JSON object, which is
// read and written as a whole with every row, by triggers of other tools as well.
#pragma once

#include <SQLiteCpp/Database.h>

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

/// Of one connection. Every failure is a SQLite::Exception.
class DistinctValues {
  public:
    /// What stands for all further ones.
    static constexpr std::string_view kOther = "other";

    /// `max`: of error types, and of workflow paths, for each skill.
    DistinctValues(SQLite::Database& database, std::size_t max) : database_(database), max_(max) {}

    /// To be called where other programs may have written since the last call.
    void forget() { known_.clear(); }
    /// The record as it is to be stored; nothing where that is as it is.
    [[nodiscard]] std::optional<InvocationRecord> bounded(const InvocationRecord& record);

  private:
    enum class Kind : std::uint8_t { error_type, workflow_path };
    using Names = std::unordered_set<std::string>;

    [[nodiscard]] bool fits(Kind kind, const std::string& skill, const std::optional<std::string>& value);
    [[nodiscard]] Names read(Kind kind, const std::string& skill);

    SQLite::Database& database_;
    std::size_t max_;
    std::optional<sql::Statement> errors_;
    std::optional<sql::Statement> paths_;
    std::map<std::pair<Kind, std::string>, Names> known_;  // of the skills of this batch
};

}  // namespace session_buddy::storage
