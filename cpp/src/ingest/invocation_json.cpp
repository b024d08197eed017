// Validates reported invocations field by field.
#include "session_buddy/ingest/invocation_json.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/evidence.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "shallow_json.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxClassLength = 64;
constexpr const char* kName = "must be a string of 1 to 256 bytes without control characters";
constexpr const char* kPrivate = "is not accepted: prompts, arguments and texts are never stored";

/// Columns with texts of a user or a model.
constexpr std::array<std::string_view, 4> kPrivateFields{"user_query", "alternatives_considered", "follow_up_actions",
                                                         "embedding"};

/// More than the number of valid fields: with more members, at least one is rejected anyway.
constexpr std::size_t kMaxMembers = 16;

/// Thrown while a record is parsed; the caller adds the index.
struct RecordFault {
    std::string field;
    std::string reason;
};

std::string validated_text(const json& value, const std::string& field, bool (*is_valid)(std::string_view),
                           const char* rule) {
    if (!value.is_string() || !is_valid(value.get_ref<const std::string&>())) {
        throw RecordFault{field, rule};
    }
    return value.get<std::string>();
}

bool is_error_class(std::string_view text) {
    return !text.empty() && text.size() <= kMaxClassLength &&
           std::ranges::all_of(text, [](char c) { return ascii::is_alphanumeric_or("_.:-", c); });
}

bool is_time(std::string_view text) {
    return text.size() <= kMaxTimestampBytes && parse_timestamp(text).has_value();
}

double duration_from(const json& value, const std::string& field) {
    const double seconds = value.is_number() ? value.get<double>() : -1.0;
    if (!is_valid_duration(seconds)) {
        throw RecordFault{field, kDurationRule};
    }
    return seconds;
}

std::int64_t rank_from(const json& value, const std::string& field) {
    if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) ||
        value.get<std::int64_t>() < 0) {
        throw RecordFault{field, "must be a non-negative integer"};
    }
    return value.get<std::int64_t>();
}

Outcome outcome_from(const json& value, const std::string& field) {
    const auto outcome = value.is_string() ? kOutcomes.find(value.get_ref<const std::string&>()) : std::nullopt;
    if (!outcome) {
        throw RecordFault{field, "must be completed, failed or unknown"};
    }
    return *outcome;
}

/// A null field counts as missing.
void read_field(ReportedInvocation& record, const std::string& field, const json& value) {
    if (field == "skill_name") {
        record.skill_name = validated_text(value, field, is_valid_skill_name, kName);
    } else if (field == "session_id") {
        record.session_id = validated_text(value, field, is_valid_skill_name, kName);
    } else if (field == "completed") {
        if (!value.is_boolean()) {
            throw RecordFault{field, "must be true or false"};
        }
        record.completed = value.get<bool>();
    } else if (field == "outcome") {
        record.outcome_is_unknown = outcome_from(value, field) == Outcome::unknown;
    } else if (field == "key") {
        record.key = validated_text(value, field, is_valid_event_key,
                                    "must be a string of 1 to 1024 bytes without control characters");
    } else if (field == "invoked_at") {
        record.invoked_at =
            validated_text(value, field, is_time, "must be an ISO 8601 timestamp such as 2026-02-10T12:00:00Z");
    } else if (field == "duration_seconds") {
        record.duration_seconds = duration_from(value, field);
    } else if (field == "error_type") {
        record.error_type =
            validated_text(value, field, is_error_class,
                           "must be a short class such as exit_code: at most 64 letters, digits and _ . : -");
    } else if (field == "workflow_path") {
        record.workflow_path = validated_text(value, field, is_valid_skill_name, kName);
    } else if (field == "workflow_phase") {
        record.workflow_phase = validated_text(value, field, is_valid_skill_name, kName);
    } else if (field == "workflow_step_id") {
        record.workflow_step_id = validated_text(value, field, is_valid_skill_name, kName);
    } else if (field == "selection_rank") {
        record.selection_rank = rank_from(value, field);
    } else if (std::ranges::find(kPrivateFields, field) != kPrivateFields.end()) {
        throw RecordFault{field, kPrivate};
    } else {
        throw RecordFault{is_error_class(field) ? field : "", "is not a known field of an invocation"};
    }
}

ReportedInvocation read_record(const json& object) {
    if (!object.is_object()) {
        throw RecordFault{"", "must be a JSON object"};
    }
    ReportedInvocation record;
    for (const auto& [field, value] : object.items()) {
        if (!value.is_null()) {
            read_field(record, field, value);
        }
    }
    const auto has = [&object](const char* field) {
        const auto found = object.find(field);
        return found != object.end() && !found->is_null();
    };
    for (const char* field : {"skill_name", "session_id"}) {
        if (!has(field)) {
            throw RecordFault{field, "is missing"};
        }
    }
    if (has("outcome")) {
        const bool completed = object["outcome"] != kOutcomes[Outcome::failed];
        if (has("completed") && (record.outcome_is_unknown || record.completed != completed)) {
            throw RecordFault{"outcome", "contradicts completed: use one of them"};
        }
        if (record.outcome_is_unknown && record.error_type) {
            throw RecordFault{"error_type", "is only for a known outcome"};
        }
        record.completed = completed;
    } else if (!has("completed")) {
        throw RecordFault{"completed", "is missing"};
    }
    return record;
}

ReportFault to_fault(std::size_t index, RecordFault fault) {
    std::string reason =
        fault.field.empty() ? "A record or one of its fields " + fault.reason : fault.field + ' ' + fault.reason;
    return {.index = index, .field = std::move(fault.field), .reason = std::move(reason)};
}

ReportFault too_many() {
    return {.index = std::nullopt,
            .field = "",
            .reason = "The request has more than " + std::to_string(kMaxReportedInvocations) + " invocations: split it",
            .too_many = true};
}

ReportFault not_json(std::optional<std::size_t> index) {
    return {.index = index, .field = "", .reason = index ? "The line is not JSON" : "The body is not JSON"};
}

}  // namespace

std::variant<std::vector<ReportedInvocation>, ReportFault> read_invocations(std::string_view body,
                                                                            ReportFormat format) {
    std::vector<ReportedInvocation> records;
    std::optional<ReportFault> fault;  // the first; only of what is JSON to its end
    std::size_t count = 0;
    const auto add_record = [&](const json& object) {
        if (++count <= kMaxReportedInvocations && !fault) {
            try {
                records.push_back(read_record(object));
            } catch (RecordFault& found) {
                fault = to_fault(records.size(), std::move(found));
            }
        }
    };
    if (format == ReportFormat::json) {
        if (!read_shallow_json(body, {.max_members = kMaxMembers, .elements_of_array = true}, add_record)) {
            return not_json(std::nullopt);
        }
    }
    while (format == ReportFormat::ndjson && !body.empty() && !fault) {
        const auto end = std::min(body.find('\n'), body.size());
        const std::string_view line = body.substr(0, end);
        body.remove_prefix(std::min(end + 1, body.size()));
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
            continue;
        }
        if (records.size() == kMaxReportedInvocations) {
            return too_many();
        }
        const std::size_t index = records.size();
        if (!read_shallow_json(line, {.max_members = kMaxMembers}, add_record)) {
            return not_json(index);
        }
    }
    if (count > kMaxReportedInvocations) {
        return too_many();
    }
    if (fault) {
        return std::move(*fault);
    }
    return records;
}

}  // namespace session_buddy::ingest
