// Reads invocations that other tools report: a JSON object, an array of them, or one a line (NDJSON).
// Only names, times and classes are taken; a field for a prompt or an output is refused, so that nobody sends one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace session_buddy::ingest {

/// Of one request.
inline constexpr std::size_t kMaxReportedInvocations = 10'000;

/// Checked: everything in it can be stored.
struct ReportedInvocation {
    std::string key;  ///< empty: not to be known again
    std::string skill_name;
    std::string session_id;
    bool completed = false;
    std::string invoked_at;                  ///< of a format that parse_timestamp reads; empty: now
    std::optional<double> duration_seconds;  ///< as is_valid_duration says
    std::optional<std::string> error_type;   ///< letters, digits and _ . : - alone, at most 64
    std::optional<std::string> workflow_path;
    std::optional<std::string> workflow_phase;
    std::optional<std::string> workflow_step_id;
    std::optional<std::int64_t> selection_rank;  ///< not negative
};

/// Why none of them is taken. Holds nothing of what was sent but the name of a field.
struct ReportFault {
    std::optional<std::size_t> index;  ///< of the record, from 0; nothing where it is the whole
    std::string field;                 ///< empty where it is the record
    std::string reason;                ///< a sentence without a full stop
    bool too_many = false;             ///< more than kMaxReportedInvocations
};

enum class ReportFormat : std::uint8_t { json, ndjson };

[[nodiscard]] std::variant<std::vector<ReportedInvocation>, ReportFault> read_invocations(std::string_view body,
                                                                                          ReportFormat format);

}  // namespace session_buddy::ingest
