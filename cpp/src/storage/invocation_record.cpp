// Validates a record before it is written, so that an error names the field.
#include "session_buddy/storage/invocation_record.hpp"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <nlohmann/json.hpp>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::storage {
namespace {

constexpr std::size_t kMaxSessionIdBytes = 1024;
constexpr std::size_t kMaxTextBytes = std::size_t{1024} * 1024;

std::string text_error(const char* field, const std::optional<std::string>& text, bool json_array) {
    if (!text.has_value()) {
        return {};
    }
    if (text->size() > kMaxTextBytes) {
        return fmt::format("{} must be at most {} bytes", field, kMaxTextBytes);
    }
    if (!is_valid_utf8(*text) || text->find('\0') != std::string::npos) {
        return fmt::format("{} must be UTF-8 text without NUL", field);
    }
    if (json_array) {
        const auto parsed = nlohmann::json::parse(*text, nullptr, false);
        if (!parsed.is_array()) {
            return fmt::format("{} must be the text of a JSON array", field);
        }
    }
    return {};
}

}  // namespace

std::string validation_error(const InvocationRecord& record) {
    if (!is_valid_skill_name(record.skill_name)) {
        return fmt::format("skill_name {}", kSkillNameRule);
    }
    if (record.invoked_at.size() > kMaxTimestampBytes || !parse_timestamp(record.invoked_at).has_value()) {
        return fmt::format("invoked_at must be an ISO 8601 timestamp such as 2026-02-10T12:00:00Z");
    }
    if (record.session_id.empty() || record.session_id.size() > kMaxSessionIdBytes ||
        !is_valid_utf8(record.session_id) || record.session_id.find('\0') != std::string::npos) {
        return fmt::format("session_id must be 1 to {} bytes of UTF-8 without NUL", kMaxSessionIdBytes);
    }
    if (record.duration_seconds.has_value() && !is_valid_duration(*record.duration_seconds)) {
        return fmt::format("duration_seconds {}, not {}", kDurationRule, *record.duration_seconds);
    }
    if (record.selection_rank.has_value() && *record.selection_rank < 0) {
        return "selection_rank must not be negative";
    }
    const std::array<std::string, 7> faults{text_error("workflow_path", record.workflow_path, false),
                                            text_error("user_query", record.user_query, false),
                                            text_error("alternatives_considered", record.alternatives_considered, true),
                                            text_error("follow_up_actions", record.follow_up_actions, true),
                                            text_error("error_type", record.error_type, false),
                                            text_error("workflow_phase", record.workflow_phase, false),
                                            text_error("workflow_step_id", record.workflow_step_id, false)};
    for (const std::string& fault : faults) {
        if (!fault.empty()) {
            return fault;
        }
    }
    return {};
}

}  // namespace session_buddy::storage
