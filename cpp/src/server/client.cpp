// Dispatches the requests of the WebSocket API and writes the replies.
#include "client.hpp"

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

#include "session_buddy/core/log.hpp"
#include "session_buddy/protocol/reply.hpp"

namespace session_buddy::server {

namespace {

// The name of a request in the log. Never the client's text, which is untrusted.
struct NameOf {
    std::string_view operator()(const protocol::Subscribe&) const { return "subscribe"; }
    std::string_view operator()(const protocol::Unsubscribe&) const { return "unsubscribe"; }
    std::string_view operator()(const protocol::GetMetrics&) const { return "get_metrics"; }
    std::string_view operator()(const protocol::Ping&) const { return "ping"; }
    std::string_view operator()(const protocol::SubscribeSessions&) const { return "subscribe_sessions"; }
    std::string_view operator()(const protocol::Authenticate&) const { return "auth"; }
    std::string_view operator()(const protocol::ErrorReply& reply) const { return protocol::to_string(reply.code); }
};

}  // namespace

Client::Client(Broadcaster& broadcaster, Sender& sender, const Config& config)
    : broadcaster_(broadcaster), sender_(sender), config_(config), outbox_(config.max_pending_bytes) {
    metrics_ = broadcaster_.subscribe(protocol::Subscription(), *this);
}

std::optional<protocol::Authenticate> Client::handle(std::string_view text) {
    try {
        auto request = protocol::parse_request(text);
        log::kServerSession.debug("request of {} bytes: {}", text.size(), std::visit(NameOf{}, request));
        if (auto* authenticate = std::get_if<protocol::Authenticate>(&request)) {
            return std::move(*authenticate);
        }
        std::visit(
            [this](const auto& kind) {
                if constexpr (!std::is_same_v<decltype(kind), const protocol::Authenticate&>) {
                    answer(kind);
                }
            },
            request);
    } catch (const std::exception& failure) {
        log::kServerSession.error("a request failed: {}", failure.what());
        answer(protocol::ErrorReply{
            .code = protocol::ErrorCode::internal_error, .message = "Internal error", .request_id = std::nullopt});
    }
    return std::nullopt;
}

void Client::refuse(std::string_view text) {
    const auto request = protocol::parse_request(text);
    answer(protocol::ErrorReply{
        .code = protocol::ErrorCode::rate_limited,
        .message = fmt::format("Rate limit exceeded: at most {} messages per second", config_.max_messages_per_second),
        .request_id = std::visit([](const auto& kind) { return kind.request_id; }, request)});
}

void Client::authenticated(const protocol::RequestId& request_id) {
    reply(protocol::authenticated(request_id));
}

void Client::unauthorized(std::string reason, protocol::RequestId request_id) {
    answer(protocol::ErrorReply{
        .code = protocol::ErrorCode::unauthorized, .message = std::move(reason), .request_id = std::move(request_id)});
}

void Client::offer_metrics(const Frame& frame) {
    if (!try_send(frame) && outbox_.offer_metrics(frame)) {
        broadcaster_.count_replaced();
    }
}

void Client::offer_sessions(const Frame& frame) {
    if (!try_send(frame) && outbox_.offer_sessions(frame)) {
        broadcaster_.count_replaced();
    }
}

void Client::answer(const protocol::Subscribe& request) {
    if (request.subscription.names().size() > config_.max_subscriptions) {
        answer(protocol::ErrorReply{
            .code = protocol::ErrorCode::invalid_message,
            .message = fmt::format("Too many subscriptions: at most {} skills", config_.max_subscriptions),
            .request_id = request.request_id});
        return;
    }
    metrics_.reset();
    outbox_.drop_metrics();
    metrics_ = broadcaster_.subscribe(request.subscription, *this);
    reply(protocol::subscription_confirmed(request));
    if (auto frame = broadcaster_.current_metrics(metrics_)) {
        outbox_.push_reply(std::move(frame));
    }
}

void Client::answer(const protocol::Unsubscribe& request) {
    metrics_.reset();
    outbox_.drop_metrics();
    reply(protocol::unsubscribed(request));
}

void Client::answer(const protocol::GetMetrics& request) {
    const auto& latest = broadcaster_.latest();
    const auto* metrics = latest ? latest->skills->find(request.skill_name) : nullptr;
    if (metrics == nullptr) {
        answer(protocol::invalid_skill_name(request.skill_name, request.request_id));
        return;
    }
    reply(protocol::metrics_response(request, *metrics));
}

void Client::answer(const protocol::Ping& request) {
    reply(protocol::pong(request));
}

void Client::answer(const protocol::SubscribeSessions& request) {
    if (!sessions_) {
        sessions_ = broadcaster_.subscribe_sessions(*this);
    }
    reply(protocol::sessions_subscribed(request));
    if (auto frame = broadcaster_.current_sessions()) {
        outbox_.push_reply(std::move(frame));
    }
}

void Client::answer(const protocol::ErrorReply& reply_to_send) {
    reply(protocol::error(reply_to_send));
}

void Client::reply(std::string_view text) {
    outbox_.push_reply(std::make_shared<const Message>(text));
}

}  // namespace session_buddy::server
