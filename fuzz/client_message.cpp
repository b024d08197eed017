// Fuzzes one text message of a WebSocket client: its parser and the responses of the server.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <variant>

#include "check.hpp"
#include "protocol/sample_snapshot.hpp"
#include "server/client.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/protocol/request.hpp"

namespace session_buddy::fuzz {
namespace {

void check_request(std::string_view text) {
    const auto request = protocol::parse_request(text);
    if (const auto* subscribe = std::get_if<protocol::Subscribe>(&request)) {
        const auto& subscription = subscribe->subscription;
        check(subscription.names().size() <= protocol::kMaxSkillNames,
              "a subscription has at most kMaxSkillNames names");
        check(subscription.all() == subscribe->names_as_sent.empty(), "a subscription without names is for all skills");
        for (const auto& name : subscription.names()) {
            check(is_valid_skill_name(name), "a subscription has valid names");
        }
        const double min_deviation = subscription.anomalies().min_deviation;
        check(std::isfinite(min_deviation) && min_deviation >= 0.0, "min_deviation is finite and not negative");
    } else if (const auto* get = std::get_if<protocol::GetMetrics>(&request)) {
        check(is_valid_skill_name(get->skill_name), "get_metrics has a valid skill name");
    }
    const auto& id = std::visit([](const auto& kind) -> const auto& { return kind.request_id; }, request);
    check(!id || id->size() <= protocol::kMaxRequestIdBytes, "a request_id has at most kMaxRequestIdBytes bytes");
}

// A sender whose socket is never ready.
class NullSender final : public server::Client::Sender {
    bool send(const server::Frame& /*frame*/) override { return false; }
};

void check_answers(server::Outbox& outbox) {
    check(!outbox.empty(), "every message gets a response");
    while (const auto frame = outbox.next()) {
        const auto answer = nlohmann::json::parse(frame->text(), nullptr, false);
        check(answer.is_object() && answer.contains("type"), "a response is a JSON object with a type");
        check(answer["type"] != "error" || (answer["message"].is_string() && answer["code"].is_string()),
              "an error has a message and a code");
        check(answer["type"] != "error" || answer["code"] != "internal_error", "no message causes an internal error");
    }
}

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    static const auto snapshot = [] {
        fuzz::forbid_logged_errors();
        auto made = test::snapshot_of(1, {test::skill("pytest-run", 5), test::skill("café \"1\"", 0)});
        made->anomalies = std::make_shared<std::vector<Anomaly>>(
            1, test::anomaly("pytest-run", AnomalyType::performance_drop, 0.9, 0.4, 3.5));
        made->alerts =
            std::make_shared<std::vector<Alert>>(1, test::alert("pytest-run", AlertKind::completion_rate_fell, 1));
        made->sessions = std::make_shared<std::vector<SessionMetrics>>(1, test::session("morning", 5));
        return made;
    }();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    fuzz::check_request(text);

    const Config config;
    server::Broadcaster broadcaster;
    fuzz::NullSender sender;
    broadcaster.publish(snapshot);
    server::Client client(broadcaster, sender, config);
    if (const auto request = client.handle(text)) {
        client.authenticated(request->request_id);
    }
    fuzz::check_answers(client.outbox());
    client.refuse(text);
    fuzz::check_answers(client.outbox());
    return 0;
}
