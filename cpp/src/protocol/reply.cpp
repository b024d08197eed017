// Renders the replies to WebSocket requests.
#include "session_buddy/protocol/reply.hpp"

#include <optional>
#include <utility>

#include "json_writer.hpp"
#include "session_buddy/protocol/entities.hpp"

namespace session_buddy::protocol {

namespace {

// An object that begins with its type.
std::string begin(std::string_view type) {
    std::string out = "{";
    append_member(out, "type", type);
    return out;
}

std::string finish(std::string out, const RequestId& request_id) {
    if (request_id) {
        append_member(out, "request_id", *request_id);
    }
    out += '}';
    return out;
}

std::string with_message(std::string_view type, std::string_view message, const RequestId& request_id) {
    std::string out = begin(type);
    append_member(out, "message", message);
    return finish(std::move(out), request_id);
}

std::string described(const Subscription& subscription) {
    const auto& names = subscription.names();
    if (names.empty()) {
        return "all skills";
    }
    return names.size() == 1 ? names.front() : std::to_string(names.size()) + " skills";
}

}  // namespace

std::string subscription_confirmed(const Subscribe& request) {
    std::string out = begin("subscription_confirmed");
    if (request.name_key == NameKey::skill_names) {
        append_member(out, "skill_names", request.names_as_sent);
    } else {
        const auto& names = request.subscription.names();
        const auto name = names.empty() ? std::nullopt : std::optional<std::string_view>(names.front());
        append_member(out, "skill_name", name);
        if (request.name_key == NameKey::skill) {
            append_member(out, "skill", name);
        }
    }
    if (request.min_deviation) {
        append_member(out, "min_deviation", *request.min_deviation);
    }
    if (request.details) {
        append_member(out, "details", *request.details);
    }
    append_member(out, "message", "Subscribed to updates for " + described(request.subscription));
    return finish(std::move(out), request.request_id);
}

std::string unsubscribed(const Unsubscribe& request) {
    return with_message("unsubscribed", "Unsubscribed from metrics updates", request.request_id);
}

std::string pong(const Ping& request) {
    return finish(begin("pong"), request.request_id);
}

std::string sessions_subscribed(const SubscribeSessions& request) {
    return with_message("sessions_subscribed", "Subscribed to session updates", request.request_id);
}

std::string authenticated(const RequestId& request_id) {
    return with_message("authenticated", "Authenticated", request_id);
}

std::string metrics_response(const GetMetrics& request, const SkillMetrics& skill) {
    std::string out = begin("metrics_response");
    append_key(out, "data");
    out += '{';
    append_member(out, "skill_name", skill.skill_name);
    if (request.legacy_key) {
        append_member(out, "skill", skill.skill_name);
    }
    append_members<kSkillSummary, ',', 1>(out, skill);
    out += '}';
    return finish(std::move(out), request.request_id);
}

std::string error(const ErrorReply& reply) {
    std::string out = begin("error");
    append_member(out, "message", reply.message);
    append_member(out, "code", to_string(reply.code));
    return finish(std::move(out), reply.request_id);
}

}  // namespace session_buddy::protocol
