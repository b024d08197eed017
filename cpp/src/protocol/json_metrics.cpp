// Renders anomaly details, error counts and sessions as JSON.
#include "json_metrics.hpp"

#include "json_text.hpp"

namespace session_buddy::protocol {

using json_text::append_number;
using json_text::append_string;
using json_text::append_timestamp;

void append_error_count(std::string& out, std::string_view error_type, std::int64_t count) {
    out += R"({"error_type":)";
    append_string(out, error_type);
    out += R"(,"count":)";
    append_number(out, count);
    out += '}';
}

void append_details(std::string& out, const Anomaly& anomaly) {
    out += R"({"baseline_samples":)";
    append_number(out, anomaly.baseline_samples);
    out += R"(,"observed_samples":)";
    append_number(out, anomaly.observed_samples);
    out += R"(,"z_score":)";
    append_number(out, anomaly.z_score);
    out += R"(,"tail_probability":)";
    append_number(out, anomaly.tail_probability);
    out += R"(,"since":)";
    append_timestamp(out, anomaly.since);
    out += R"(,"common_errors":)";
    append_array(out, anomaly.common_errors,
                 [](std::string& text, const auto& error) { append_error_count(text, error.first, error.second); });
    out += '}';
}

void append_session(std::string& out, const SessionMetrics& session) {
    out += R"({"session_id":)";
    append_string(out, session.session_id);
    out += R"(,"first_activity_at":)";
    append_timestamp(out, session.first_activity_at);
    out += R"(,"last_activity_at":)";
    append_timestamp(out, session.last_activity_at);
    out += R"(,"invocations":)";
    append_number(out, session.invocations);
    out += R"(,"completed":)";
    append_number(out, session.completed);
    out += R"(,"distinct_skills":)";
    append_number(out, session.distinct_skills);
    out += '}';
}

}  // namespace session_buddy::protocol
