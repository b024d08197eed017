// The fields of a recorded invocation, which are the columns of skill_invocation: read from and converted to dicts.
#pragma once

#include <tuple>

#include "session_buddy/core/fields.hpp"
#include "session_buddy/storage/invocation_record.hpp"
#include "session_buddy/storage/skills_queries.hpp"

namespace session_buddy::bindings {

inline constexpr auto kInvocationRecord = entity(
    "InvocationRecord", "", field<"skill_name">(&storage::InvocationRecord::skill_name),
    field<"invoked_at">(&storage::InvocationRecord::invoked_at),
    field<"session_id">(&storage::InvocationRecord::session_id),
    field<"workflow_path">(&storage::InvocationRecord::workflow_path),
    field<"completed">(&storage::InvocationRecord::completed),
    field<"duration_seconds">(&storage::InvocationRecord::duration_seconds),
    field<"user_query">(&storage::InvocationRecord::user_query),
    field<"alternatives_considered">(&storage::InvocationRecord::alternatives_considered, "The text of a JSON array."),
    field<"selection_rank">(&storage::InvocationRecord::selection_rank),
    field<"follow_up_actions">(&storage::InvocationRecord::follow_up_actions, "The text of a JSON array."),
    field<"error_type">(&storage::InvocationRecord::error_type),
    field<"embedding">(&storage::InvocationRecord::embedding),
    field<"workflow_phase">(&storage::InvocationRecord::workflow_phase),
    field<"workflow_step_id">(&storage::InvocationRecord::workflow_step_id));

}  // namespace session_buddy::bindings
