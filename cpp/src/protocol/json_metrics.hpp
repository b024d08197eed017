// Metrics of a snapshot as JSON, in the form shared by WebSocket messages and HTTP responses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::protocol {

template <typename Items, typename Append>
void append_array(std::string& out, const Items& items, Append append) {
    out += '[';
    bool first = true;
    for (const auto& item : items) {
        if (!first) {
            out += ',';
        }
        first = false;
        append(out, item);
    }
    out += ']';
}

void append_error_count(std::string& out, std::string_view error_type, std::int64_t count);
/// The `details` object of an anomaly.
void append_details(std::string& out, const Anomaly& anomaly);
void append_session(std::string& out, const SessionMetrics& session);

}  // namespace session_buddy::protocol
