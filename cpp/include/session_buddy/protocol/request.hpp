// What a client may ask for, and the reader that turns one text message into a request or into the error to answer
// with.
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

/// How a subscription was spelt: its confirmation uses the same key.
enum class NameKey : std::uint8_t {
    skill_name,   ///< a name, null or nothing at all
    skill,        ///< the key of the older Python server
    skill_names,  ///< an array of 1 to kMaxSkillNames names
};

struct Subscribe {
    Subscription subscription;
    NameKey name_key = NameKey::skill_name;
    std::vector<std::string> names_as_sent;  ///< in the client's order, duplicates kept; empty for all skills
    RequestId request_id;
    // As they were sent, for the confirmation; the subscription has them too.
    std::optional<double> min_deviation = std::nullopt;
    std::optional<bool> details = std::nullopt;
};

struct Unsubscribe {
    RequestId request_id;
};

struct GetMetrics {
    std::string skill_name;   ///< follows the rules of names; whether it is known is for the caller to see
    bool legacy_key = false;  ///< asked with `skill` in place of `skill_name`
    RequestId request_id;
};

struct Ping {
    RequestId request_id;
};

struct SubscribeSessions {
    RequestId request_id;
};

/// The first message of a client that could not show its token before, or a new token in place of one that expires.
struct Authenticate {
    std::string token;  ///< not empty; whatever else it is made of
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

/// An answer of type `error`.
struct ErrorReply {
    ErrorCode code = ErrorCode::internal_error;
    std::string message;
    RequestId request_id;
};

/// `Invalid skill name: <name>`; of a longer name the first kMaxSkillNameBytes bytes at most, never half a character.
[[nodiscard]] ErrorReply invalid_skill_name(std::string_view name, RequestId request_id);

using ParsedRequest =
    std::variant<Subscribe, Unsubscribe, GetMetrics, Ping, SubscribeSessions, Authenticate, ErrorReply>;

/// Reads one message. Reports what is wrong with it as an ErrorReply; throws nothing but std::bad_alloc. Keys that mean
/// nothing here are skipped without being stored, so nesting and size cost no memory; of a key given twice the last
/// counts.
[[nodiscard]] ParsedRequest parse_request(std::string_view text);

}  // namespace session_buddy::protocol
