// The requests of WebSocket clients, and the parser that turns a text message into a request or an error reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "session_buddy/protocol/subscription.hpp"

namespace session_buddy::protocol {

inline constexpr std::size_t kMaxRequestIdBytes = 64;

using RequestId = std::optional<std::string>;

/// The key that named the skills of a subscription; the confirmation uses the same key.
enum class NameKey : std::uint8_t {
    skill_name,   ///< a name or null; also if no key was given
    skill,        ///< the key of the original Python server
    skill_names,  ///< an array of 1 to kMaxSkillNames names
};

struct Subscribe {
    Subscription subscription;
    NameKey name_key = NameKey::skill_name;
    std::vector<std::string> names_as_sent;  ///< in the client's order, with duplicates; empty for all skills
    RequestId request_id;
    // As sent, for the confirmation; also in the subscription.
    std::optional<double> min_deviation = std::nullopt;
    std::optional<bool> details = std::nullopt;
};

struct Unsubscribe {
    RequestId request_id;
};

struct GetMetrics {
    std::string skill_name;   ///< a valid name; may be unknown
    bool legacy_key = false;  ///< requested with `skill` instead of `skill_name`
    RequestId request_id;
};

struct Ping {
    RequestId request_id;
};

struct SubscribeSessions {
    RequestId request_id;
};

/// Authentication with the first message, or renewal of an expiring token.
struct Authenticate {
    std::string token;  ///< not empty, otherwise unchecked
    RequestId request_id;
};

enum class ErrorCode : std::uint8_t {
    invalid_json,
    invalid_message,
    unknown_type,
    invalid_skill_name,
    rate_limited,
    unauthorized,
    internal_error
};

/// The `code` of an error on the wire.
[[nodiscard]] std::string_view to_string(ErrorCode code);

/// A reply of type `error`.
struct ErrorReply {
    ErrorCode code = ErrorCode::internal_error;
    std::string message;
    RequestId request_id;
};

/// `Invalid skill name: <name>`, with the name cut to kMaxSkillNameBytes between characters.
[[nodiscard]] ErrorReply invalid_skill_name(std::string_view name, RequestId request_id);

using ParsedRequest =
    std::variant<Subscribe, Unsubscribe, GetMetrics, Ping, SubscribeSessions, Authenticate, ErrorReply>;

/// Parses one message. Errors are returned as an ErrorReply; throws only std::bad_alloc. Unknown keys are skipped
/// without being stored, so nesting and size cost no memory; of a repeated key the last value counts.
[[nodiscard]] ParsedRequest parse_request(std::string_view text);

}  // namespace session_buddy::protocol
