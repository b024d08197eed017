// Parses invocations reported by other tools: a JSON object, an array of them, or one per line (NDJSON). Accepts only
// names, times and error types; fields for prompts or outputs are rejected, so that clients do not send them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace session_buddy::ingest {

/// Maximum number of invocations per request.
inline constexpr std::size_t kMaxReportedInvocations = 10'000;

/// A validated invocation that another tool reported by HTTP: everything in it can be stored.
struct ReportedInvocation {
    std::string key;  ///< dedup key; empty: not deduplicated
    std::string skill_name;
    std::string session_id;
    bool completed = false;                  ///< true if the outcome is unknown
    bool outcome_is_unknown = false;         ///< then there is no error_type
    std::string invoked_at;                  ///< a timestamp for parse_timestamp; empty: now
    std::optional<double> duration_seconds;  ///< satisfies is_valid_duration
    std::optional<std::string> error_type;   ///< only letters, digits and _ . : -; at most 64
    std::optional<std::string> workflow_path;
    std::optional<std::string> workflow_phase;
    std::optional<std::string> workflow_step_id;
    std::optional<std::int64_t> selection_rank;  ///< not negative
};

/// Why the request is rejected as a whole. Contains nothing of the input except a field name.
struct ReportFault {
    std::optional<std::size_t> index;  ///< index of the invalid record, from 0; nullopt if the whole body is invalid
    std::string field;                 ///< the invalid field; empty if the record itself is invalid
    std::string reason;                ///< a sentence without a full stop
    bool too_many = false;             ///< more than kMaxReportedInvocations
};

enum class ReportFormat : std::uint8_t { json, ndjson };

[[nodiscard]] std::variant<std::vector<ReportedInvocation>, ReportFault> read_invocations(std::string_view body,
                                                                                          ReportFormat format);

}  // namespace session_buddy::ingest
