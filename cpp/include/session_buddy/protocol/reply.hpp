// Responses to WebSocket requests, as JSON text in the key order of the API description. `request_id` is always last.
#pragma once

#include <string>

#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/protocol/request.hpp"

namespace session_buddy::protocol {

/// Includes `min_deviation` and `details` if the request had them.
[[nodiscard]] std::string subscription_confirmed(const Subscribe& request);
[[nodiscard]] std::string unsubscribed(const Unsubscribe& request);
[[nodiscard]] std::string pong(const Ping& request);
[[nodiscard]] std::string sessions_subscribed(const SubscribeSessions& request);
[[nodiscard]] std::string authenticated(const RequestId& request_id);
/// The lifetime metrics of one skill. `last_invocation_at` is null if the database's value cannot be parsed.
[[nodiscard]] std::string metrics_response(const GetMetrics& request, const SkillMetrics& skill);
[[nodiscard]] std::string error(const ErrorReply& reply);

}  // namespace session_buddy::protocol
