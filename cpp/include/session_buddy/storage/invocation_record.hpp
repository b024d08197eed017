// An invocation to be stored, and its validation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace session_buddy::storage {

/// The columns of skill_invocation without the id. One to be written is not validated yet (validation_error);
/// StoredInvocation is one that was read, with its id; Invocation has only the columns that metrics need.
struct InvocationRecord {
    std::string skill_name;
    std::string invoked_at;  ///< in any format that parse_timestamp accepts; stored as given
    std::string session_id;
    bool completed = false;
    std::optional<double> duration_seconds{};
    std::optional<std::string> workflow_path{};
    std::optional<std::string> user_query{};
    std::optional<std::string> alternatives_considered{};  ///< JSON array text
    std::optional<std::int64_t> selection_rank{};
    std::optional<std::string> follow_up_actions{};  ///< JSON array text
    std::optional<std::string> error_type{};
    std::optional<std::vector<std::uint8_t>> embedding{};
    std::optional<std::string> workflow_phase{};
    std::optional<std::string> workflow_step_id{};
};

/// Validates a record. Returns a message that starts with the name of the invalid field; empty if the record is valid.
[[nodiscard]] std::string validation_error(const InvocationRecord& record);

}  // namespace session_buddy::storage
