// Connects a client to an HttpConnection over a socket pair, runs both io_contexts, and checks all responses.
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

// Reused by all conversations: creating a reactor costs more than most conversations.
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
    check(at != std::string_view::npos, "a response has a Content-Length");
    std::from_chars(header.data() + at + kName.size(), header.data() + header.size(), length);
    return length;
}

/// Checks that server frames are complete, unmasked and unfragmented, and that text is JSON.
void check_frames(std::string_view bytes) {
    while (!bytes.empty()) {
        check(bytes.size() >= 2, "a frame has a complete header");
        const auto first = static_cast<unsigned char>(bytes[0]);
        std::size_t length = static_cast<unsigned char>(bytes[1]);
        bytes.remove_prefix(2);
        check(length <= 127, "a server frame is not masked");
        check((first & 0xF0U) == 0x80U, "a frame is an unfragmented message without extensions");
        if (const std::size_t wide = length == 126 ? 2 : length == 127 ? 8 : 0; wide > 0) {
            check(bytes.size() >= wide, "an extended length is complete");
            length = 0;
            for (const char byte : bytes.substr(0, wide)) {
                length = length << 8U | static_cast<unsigned char>(byte);
            }
            bytes.remove_prefix(wide);
        }
        check(length <= bytes.size(), "a frame is complete");
        const unsigned opcode = first & 0x0FU;
        check(opcode == 1 || (opcode >= 8 && opcode <= 10 && length < 126),
              "a frame is a text or a short control frame");
        check(opcode != 1 || nlohmann::json::accept(bytes.substr(0, length)), "a text is JSON");
        bytes.remove_prefix(length);
    }
}

/// Checks HTTP responses and, after a 101 response, WebSocket frames.
void check_answers(std::string_view bytes) {
    constexpr std::string_view kHeaderEnd = "\r\n\r\n";
    while (!bytes.empty()) {
        check(bytes.starts_with("HTTP/1.1 "), "a response starts with an HTTP status line");
        const auto end = bytes.find(kHeaderEnd);
        check(end != std::string_view::npos, "a response has a complete header");
        const auto header = bytes.substr(0, end);
        bytes.remove_prefix(end + kHeaderEnd.size());
        if (header.starts_with("HTTP/1.1 101 ")) {
            check_frames(bytes);
            return;
        }
        if (bytes.empty() || bytes.starts_with("HTTP/1.1 ")) {
            continue;  // a response to HEAD
        }
        const auto length = body_length(header);
        check(length <= bytes.size(), "a response is complete");
        check(nlohmann::json::accept(bytes.substr(0, length)), "a response body is JSON");
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

    // A socket pair is twice as fast as TCP, and makes no difference to the connection.
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
    const std::size_t piece_size = first & 0x7FU;
    const std::size_t piece = std::max(piece_size == 0 ? script.size() : piece_size, script.size() / kMaxPieces + 1);
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
    check(context_.connections.empty(), "the connection ends with its client");
    check(context_.admission.clients() == 0, "the slot of the client is released");
    check(context_.broadcaster.group_count() == 0, "its subscription is removed");
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
