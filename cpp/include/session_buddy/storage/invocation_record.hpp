// A row of skill_invocation that is to be written, and what may stand in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace session_buddy::storage {

/// A row to be written, fields named after the columns of skill_invocation.
struct InvocationRecord {
    std::string skill_name;
    std::string invoked_at;  ///< any form that parse_timestamp reads; stored as given
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

/// What is wrong with a record, empty where nothing is: a sentence that begins with the name of the field.
[[nodiscard]] std::string validation_error(const InvocationRecord& record);

}  // namespace session_buddy::storage
