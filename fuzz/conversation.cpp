// See conversation.hpp.
#include "conversation.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <charconv>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "check.hpp"
#include "protocol/sample_snapshot.hpp"
#include "server/http_connection.hpp"

namespace session_buddy::fuzz {

namespace net = boost::asio;
using local = net::local::stream_protocol;

namespace {

constexpr std::size_t kMaxPieces = 32;

// Kept from one conversation to the next: making its reactor costs more than most conversations.
net::io_context& server_io() {
    static net::io_context io{1};
    return io;
}

net::io_context& client_io() {
    static net::io_context io{1};
    return io;
}

Config small_limits() {
    Config config;
    config.behind_proxy = true;
    config.max_header_bytes = 1024;
    config.max_message_bytes = 1024;
    config.max_pending_bytes = 4096;
    config.max_connections_per_second = 10;
    config.max_messages_per_second = 10;
    config.max_subscriptions = 5;
    return config;
}

std::size_t body_length(std::string_view header) {
    constexpr std::string_view kName = "Content-Length: ";
    const auto at = header.find(kName);
    std::size_t length = 0;
    check(at != std::string_view::npos, "an answer has a length");
    std::from_chars(header.data() + at + kName.size(), header.data() + header.size(), length);
    return length;
}

/// The frames of a server: whole, not masked, and what is text is JSON.
void check_frames(std::string_view bytes) {
    while (!bytes.empty()) {
        check(bytes.size() >= 2, "a frame has a header");
        const auto first = static_cast<unsigned char>(bytes[0]);
        std::size_t length = static_cast<unsigned char>(bytes[1]);
        bytes.remove_prefix(2);
        check(length <= 127, "a server does not mask");
        check((first & 0xF0U) == 0x80U, "a frame is a whole message without extensions");
        if (const std::size_t wide = length == 126 ? 2 : length == 127 ? 8 : 0; wide > 0) {
            check(bytes.size() >= wide, "a long frame has its length");
            length = 0;
            for (const char byte : bytes.substr(0, wide)) {
                length = length << 8U | static_cast<unsigned char>(byte);
            }
            bytes.remove_prefix(wide);
        }
        check(length <= bytes.size(), "a frame is sent to its end");
        const unsigned opcode = first & 0x0FU;
        check(opcode == 1 || (opcode >= 8 && opcode <= 10 && length < 126), "a frame is a text or a control frame");
        check(opcode != 1 || nlohmann::json::accept(bytes.substr(0, length)), "a text is JSON");
        bytes.remove_prefix(length);
    }
}

/// Answers of HTTP and, behind the one that accepts a WebSocket, frames.
void check_answers(std::string_view bytes) {
    constexpr std::string_view kHeaderEnd = "\r\n\r\n";
    while (!bytes.empty()) {
        check(bytes.starts_with("HTTP/1.1 "), "an answer is one of HTTP");
        const auto end = bytes.find(kHeaderEnd);
        check(end != std::string_view::npos, "an answer has a whole header");
        const auto header = bytes.substr(0, end);
        bytes.remove_prefix(end + kHeaderEnd.size());
        if (header.starts_with("HTTP/1.1 101 ")) {
            check_frames(bytes);
            return;
        }
        if (bytes.empty() || bytes.starts_with("HTTP/1.1 ")) {
            continue;  // to a HEAD
        }
        const auto length = body_length(header);
        check(length <= bytes.size(), "an answer is sent to its end");
        check(nlohmann::json::accept(bytes.substr(0, length)), "its body is JSON");
        bytes.remove_prefix(length);
    }
}

}  // namespace

Conversation::Conversation() : context_(small_limits(), clock_), client_(client_io()) {
    [[maybe_unused]] static const bool once = [] {
        forbid_logged_errors();
        return true;
    }();
    publish();

    // Twice as quick as a connection over TCP, and the same to a session.
    local::socket far(server_io());
    net::local::connect_pair(client_, far);
    client_.non_blocking(true);
    server::Socket socket(server_io());
    socket.assign(server::tcp::v4(), far.release());
    const server::Peer peer{.address = *IpAddress::parse("127.0.0.1"), .name = "127.0.0.1:1", .proxy = true};
    auto verdict = context_.admission.admit_connection(peer, std::chrono::steady_clock::now());
    std::make_shared<server::HttpConnection>(server::Stream(std::move(socket)), peer,
                                             std::get<server::Admission::Slot>(std::move(verdict)),
                                             server::SteadyTime::max(), context_)
        ->run();
    run();
}

void Conversation::send(std::string_view bytes) {
    boost::system::error_code error;
    while (!bytes.empty() && !error) {
        bytes.remove_prefix(client_.write_some(net::buffer(bytes), error));
        run();
    }
}

void Conversation::play(std::string_view script) {
    if (script.empty()) {
        return;
    }
    const auto first = static_cast<unsigned char>(script.front());
    script.remove_prefix(1);
    const std::size_t wanted = first & 0x7FU;
    const std::size_t piece = std::max(wanted == 0 ? script.size() : wanted, script.size() / kMaxPieces + 1);
    for (; !script.empty(); script.remove_prefix(std::min(piece, script.size()))) {
        send(script.substr(0, piece));
        publish();
        run();
    }
    if ((first & 0x80U) != 0) {
        context_.stopping = true;
        context_.connections.for_each([](server::Connection& connection) { connection.shut_down(); });
        run();
    }
}

void Conversation::disconnect() {
    boost::system::error_code ignored;
    client_.shutdown(local::socket::shutdown_send, ignored);
    run();
    check(context_.connections.empty(), "a session ends with its client");
    check(context_.admission.clients() == 0, "a client's place is free again");
    check(context_.broadcaster.group_count() == 0, "its subscription is gone");
    check_answers(received_);
}

void Conversation::publish() {
    auto snapshot = test::snapshot_of(++published_, {test::skill("pytest-run", 5), test::skill("idle", 0)});
    snapshot->sessions = std::make_shared<std::vector<SessionMetrics>>(1, test::session("morning", 5));
    snapshot->sessions_version = published_;
    context_.published_at = std::chrono::steady_clock::now();
    context_.broadcaster.publish(std::move(snapshot));
}

void Conversation::run() {
    do {
        server_io().restart();
    } while (server_io().poll() + receive() > 0);
}

std::size_t Conversation::receive() {
    std::array<char, 16384> buffer{};
    boost::system::error_code error;
    const std::size_t count = client_.read_some(net::buffer(buffer), error);
    received_.append(buffer.data(), count);
    return count;
}

}  // namespace session_buddy::fuzz
