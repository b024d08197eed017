// The answers to requests, as JSON text in the key order of the API description. A `request_id` always comes last.
#pragma once

#include <string>

#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/protocol/request.hpp"

namespace session_buddy::protocol {

/// Has `min_deviation` and `details` where the request had them.
[[nodiscard]] std::string subscription_confirmed(const Subscribe& request);
[[nodiscard]] std::string unsubscribed(const Unsubscribe& request);
[[nodiscard]] std::string pong(const Ping& request);
[[nodiscard]] std::string sessions_subscribed(const SubscribeSessions& request);
[[nodiscard]] std::string authenticated(const RequestId& request_id);
/// The lifetime figures of one skill. `last_invocation_at` is null where the database's value cannot be read.
[[nodiscard]] std::string metrics_response(const GetMetrics& request, const SkillMetrics& skill);
[[nodiscard]] std::string error(const ErrorReply& reply);

}  // namespace session_buddy::protocol
