// Fuzzes all bytes of a connection: HTTP requests, upgrades, and the data after them. A client is connected over a
// socket pair to the real HttpConnection and WebSocketConnection classes, in one thread and without waiting: the client
// writes, then the server runs until it is idle.
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "server.hpp"
#include "server/http_connection.hpp"

namespace session_buddy::fuzz {
namespace {

namespace net = boost::asio;
using local = net::local::stream_protocol;

// Reused by all conversations: creating a reactor costs more than most conversations.
net::io_context& server_io() {
    static net::io_context io{1};
    return io;
}

net::io_context& client_io() {
    static net::io_context io{1};
    return io;
}

std::size_t body_length(std::string_view header) {
    constexpr std::string_view kName = "Content-Length: ";
    const auto at = header.find(kName);
    std::size_t length = 0;
    check(at != std::string_view::npos, "a response has a Content-Length");
    std::from_chars(header.data() + at + kName.size(), header.data() + header.size(), length);
    return length;
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

class Conversation {
  public:
    /// The server trusts the client as a proxy.
    explicit Conversation(Server& server) : context_(server.context), client_(client_io()) {
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

    void send(std::string_view bytes) {
        boost::system::error_code error;
        while (!bytes.empty() && !error) {
            bytes.remove_prefix(client_.write_some(net::buffer(bytes), error));
            run();
        }
    }
    void shut_down() {
        context_.stopping = true;
        context_.connections.for_each([](server::Connection& connection) { connection.shut_down(); });
        run();
    }
    /// Ends the output of the client. Checks that the connection has ended, and that all responses were well-formed.
    void disconnect() {
        boost::system::error_code ignored;
        client_.shutdown(local::socket::shutdown_send, ignored);
        run();
        check(context_.connections.empty(), "the connection ends with its client");
        check_answers(received_);
    }
    void run() {
        do {
            server_io().restart();
        } while (server_io().poll() + receive() > 0);
    }

  private:
    std::size_t receive() {
        std::array<char, 16384> buffer{};
        boost::system::error_code error;
        const std::size_t count = client_.read_some(net::buffer(buffer), error);
        received_.append(buffer.data(), count);
        return count;
    }

    server::ServerContext& context_;
    local::socket client_;
    std::string received_;
};

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy::fuzz;
    Server server;
    Conversation conversation(server);
    const Script script({reinterpret_cast<const char*>(data), size});
    for (const auto piece : script.pieces) {
        conversation.send(piece);
        server.publish();
        conversation.run();
    }
    if (script.shuts_down) {
        conversation.shut_down();
    }
    conversation.disconnect();
    server.check_released();
    return 0;
}
