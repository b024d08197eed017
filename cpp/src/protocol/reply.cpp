// Renders the replies to WebSocket requests.
#include "session_buddy/protocol/reply.hpp"

#include "json_text.hpp"

namespace session_buddy::protocol {

using json_text::append_number;
using json_text::append_string;
using json_text::append_timestamp;

namespace {

void finish(std::string& out, const RequestId& request_id) {
    if (request_id) {
        out += R"(,"request_id":)";
        append_string(out, *request_id);
    }
    out += '}';
}

std::string with_message(std::string_view type, std::string_view message, const RequestId& request_id) {
    std::string out = R"({"type":)";
    append_string(out, type);
    out += R"(,"message":)";
    append_string(out, message);
    finish(out, request_id);
    return out;
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
    std::string out = R"({"type":"subscription_confirmed",)";
    if (request.name_key == NameKey::skill_names) {
        out += R"("skill_names":[)";
        const char* separator = "";
        for (const auto& name : request.names_as_sent) {
            out += separator;
            append_string(out, name);
            separator = ",";
        }
        out += ']';
    } else {
        std::string name = "null";
        if (!request.subscription.all()) {
            name.clear();
            append_string(name, request.subscription.names().front());
        }
        out += R"("skill_name":)";
        out += name;
        if (request.name_key == NameKey::skill) {
            out += R"(,"skill":)";
            out += name;
        }
    }
    if (request.min_deviation) {
        out += R"(,"min_deviation":)";
        append_number(out, *request.min_deviation);
    }
    if (request.details) {
        out += R"(,"details":)";
        out += *request.details ? "true" : "false";
    }
    out += R"(,"message":)";
    append_string(out, "Subscribed to updates for " + described(request.subscription));
    finish(out, request.request_id);
    return out;
}

std::string unsubscribed(const Unsubscribe& request) {
    return with_message("unsubscribed", "Unsubscribed from metrics updates", request.request_id);
}

std::string pong(const Ping& request) {
    std::string out = R"({"type":"pong")";
    finish(out, request.request_id);
    return out;
}

std::string sessions_subscribed(const SubscribeSessions& request) {
    return with_message("sessions_subscribed", "Subscribed to session updates", request.request_id);
}

std::string authenticated(const RequestId& request_id) {
    return with_message("authenticated", "Authenticated", request_id);
}

std::string metrics_response(const GetMetrics& request, const SkillMetrics& skill) {
    const auto& lifetime = skill.lifetime;
    std::string out = R"({"type":"metrics_response","data":{"skill_name":)";
    append_string(out, skill.skill_name);
    if (request.legacy_key) {
        out += R"(,"skill":)";
        append_string(out, skill.skill_name);
    }
    out += R"(,"total_invocations":)";
    append_number(out, lifetime.total_invocations);
    out += R"(,"completion_rate":)";
    append_number(out, lifetime.completion_rate());
    out += R"(,"avg_duration_seconds":)";
    append_number(out, lifetime.avg_duration_seconds);
    out += R"(,"last_invocation_at":)";
    if (lifetime.last_invocation_at) {
        append_timestamp(out, *lifetime.last_invocation_at);
    } else {
        out += "null";
    }
    out += '}';
    finish(out, request.request_id);
    return out;
}

std::string error(const ErrorReply& reply) {
    std::string out = R"({"type":"error","message":)";
    append_string(out, reply.message);
    out += R"(,"code":)";
    append_string(out, to_string(reply.code));
    finish(out, reply.request_id);
    return out;
}

}  // namespace session_buddy::protocol
