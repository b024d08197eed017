// Test clients built on Beast: each operation runs its own io_context until it completes.
#include "server/test_client.hpp"

#include <openssl/ssl.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <stdexcept>
#include <thread>
#include <utility>

#include "server/client_stream.hpp"

namespace session_buddy::test {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http_ns = boost::beast::http;
namespace websocket = boost::beast::websocket;
using tcp = net::ip::tcp;
using beast::error_code;

namespace {

void run_until(net::io_context& io, const char* what, const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + kTestTimeout;
    while (!done()) {
        io.restart();
        if (io.run_one_until(deadline) == 0) {
            throw std::runtime_error(std::string("timed out: ") + what);
        }
    }
}

/// The handler of every operation: one type, as for ClientStream.
struct Completion {
    struct State {
        bool done = false;
        error_code error;
        std::size_t bytes = 0;
    };
    std::shared_ptr<State> state = std::make_shared<State>();  // outlives an abandoned wait
    void operator()(const error_code& error, std::size_t bytes = 0) const { *state = {true, error, bytes}; }
};

// Starts an asynchronous operation and waits for its completion.
template <typename Start>
error_code complete(net::io_context& io, const char* what, Start start, std::size_t* bytes = nullptr) {
    const Completion completion;
    start(completion);
    run_until(io, what, [&] { return completion.state->done; });
    if (bytes != nullptr) {
        *bytes = completion.state->bytes;
    }
    return completion.state->error;
}

beast::tcp_stream connect(net::io_context& io, const std::string& host, std::uint16_t port, int receive_buffer) {
    const tcp::endpoint endpoint(net::ip::make_address(host), port);
    tcp::socket socket(io);
    socket.open(endpoint.protocol());
    if (receive_buffer > 0) {
        socket.set_option(net::socket_base::receive_buffer_size(receive_buffer));
    }
    socket.connect(endpoint);
    socket.set_option(tcp::no_delay(true));
    return beast::tcp_stream(std::move(socket));
}

ClientStream open_stream(net::io_context& io, const std::string& host, std::uint16_t port, int receive_buffer,
                         const std::optional<TlsClientOptions>& options) {
    auto plain = connect(io, host, port, receive_buffer);
    if (!options) {
        return ClientStream(std::move(plain));
    }
    net::ssl::context context(net::ssl::context::tls_client);
    auto* native = context.native_handle();
    SSL_CTX_set_security_level(native, 0);  // the server must reject, not the client
    if (options->version != 0) {
        SSL_CTX_set_min_proto_version(native, options->version);
        SSL_CTX_set_max_proto_version(native, options->version);
    }
    if (!options->ciphers.empty() && SSL_CTX_set_cipher_list(native, options->ciphers.c_str()) != 1) {
        throw std::runtime_error("no such ciphers");
    }
    if (options->certificate != nullptr) {
        SSL_CTX_use_certificate(native, options->certificate->certificate());
        SSL_CTX_use_PrivateKey(native, options->certificate->key());
    }
    ClientStream::Tls tls(std::move(plain), context);
    const auto error = complete(io, "the TLS handshake", [&](const Completion& handler) {
        tls.async_handshake(ClientStream::Tls::client, handler);
    });
    if (error) {
        throw std::runtime_error("TLS handshake failed: " + error.message());
    }
    return ClientStream(std::move(tls));
}

}  // namespace

struct TestClient::Impl {
    explicit Impl(std::uint16_t port, const ClientOptions& options)
        : stream(open_stream(io, options.host, port, options.receive_buffer, options.tls)) {}

    net::io_context io;
    websocket::stream<ClientStream> stream;
    beast::flat_buffer buffer;
    std::deque<std::string> messages;
    std::deque<std::string> outgoing;
    bool sending = false;
    bool reading = false;
    bool ended = false;
    std::size_t pings = 0;
    std::deque<std::string> pongs;

    void read_next() {
        stream.async_read(buffer, [this](const error_code& error, std::size_t) {
            if (error) {
                ended = true;
                return;
            }
            messages.push_back(beast::buffers_to_string(buffer.data()));
            buffer.clear();
            read_next();
        });
    }

    void send_next() {
        if (sending || outgoing.empty()) {
            return;
        }
        sending = true;
        stream.async_write(net::buffer(outgoing.front()), [this](const error_code& error, std::size_t) {
            sending = false;
            outgoing.pop_front();
            if (!error) {
                send_next();
            }
        });
    }
};

TestClient::TestClient(std::uint16_t port, const ClientOptions& options)
    : impl_(std::make_unique<Impl>(port, options)) {
    auto& impl = *impl_;
    impl.stream.set_option(
        websocket::stream_base::decorator([headers = options.headers](websocket::request_type& request) {
            for (const auto& [name, value] : headers) {
                request.insert(name, value);
            }
        }));
    impl.stream.read_message_max(0);
    impl.stream.auto_fragment(false);
    impl.stream.control_callback([&impl](websocket::frame_type type, beast::string_view payload) {
        if (type == websocket::frame_type::ping) {
            ++impl.pings;
        } else if (type == websocket::frame_type::pong) {
            impl.pongs.emplace_back(payload);
        }
    });
    const auto error = complete(impl.io, "the handshake", [&](const Completion& handler) {
        impl.stream.async_handshake("localhost", options.target, handler);
    });
    if (error) {
        throw std::runtime_error("handshake refused: " + error.message());
    }
    if (options.reading) {
        start_reading();
    }
}

TestClient::~TestClient() = default;
TestClient::TestClient(TestClient&&) noexcept = default;

void TestClient::send(const std::string& text) {
    send_later(text);
    run_until(impl_->io, "sending", [this] { return impl_->outgoing.empty(); });
}

void TestClient::send_later(std::string text) {
    impl_->outgoing.push_back(std::move(text));
    impl_->send_next();
}

void TestClient::start_reading() {
    impl_->reading = true;
    impl_->read_next();
}

std::string TestClient::read_text() {
    run_until(impl_->io, "a message", [this] { return !impl_->messages.empty() || impl_->ended; });
    if (impl_->messages.empty()) {
        throw std::runtime_error("closed instead of a message");
    }
    auto text = std::move(impl_->messages.front());
    impl_->messages.pop_front();
    return text;
}

Json TestClient::read() {
    return Json::parse(read_text());
}

Json TestClient::ask(const Json& message) {
    send(message);
    return read();
}

unsigned TestClient::read_close() {
    run_until(impl_->io, "the close", [this] { return impl_->ended; });
    return impl_->stream.reason().code;
}

std::string TestClient::ping(const std::string& payload) {
    complete(impl_->io, "a ping",
             [&](const Completion& handler) { impl_->stream.async_ping({payload.data(), payload.size()}, handler); });
    run_until(impl_->io, "a pong", [this] { return !impl_->pongs.empty(); });
    auto pong = std::move(impl_->pongs.front());
    impl_->pongs.pop_front();
    return pong;
}

void TestClient::wait_for_pings(std::size_t count) {
    const auto wanted = impl_->pings + count;
    run_until(impl_->io, "pings", [&] { return impl_->pings >= wanted; });
}

void TestClient::close() {
    complete(impl_->io, "closing",
             [&](const Completion& handler) { impl_->stream.async_close(websocket::close_code::normal, handler); });
}

std::string TestClient::tls_version() const {
    return SSL_get_version(impl_->stream.next_layer().native_handle());
}

std::string TestClient::server_name() const {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        SSL_get1_peer_certificate(impl_->stream.next_layer().native_handle()), &X509_free);
    std::string name(256, '\0');
    X509_NAME_oneline(X509_get_subject_name(certificate.get()), name.data(), static_cast<int>(name.size()));
    return name.c_str();
}

struct RawConnection::Impl {
    Impl(std::uint16_t port, const std::string& host, const std::optional<TlsClientOptions>& tls)
        : socket(open_stream(io, host, port, 0, tls)) {}

    net::io_context io;
    ClientStream socket;
    beast::flat_buffer buffer;
};

RawConnection::RawConnection(std::uint16_t port, const std::string& host, const std::optional<TlsClientOptions>& tls)
    : impl_(std::make_unique<Impl>(port, host, tls)) {}

RawConnection::~RawConnection() = default;

bool RawConnection::send(const std::string& bytes) {
    return !complete(impl_->io, "sending",
                     [&](const Completion& handler) { net::async_write(impl_->socket, net::buffer(bytes), handler); });
}

HttpResponse RawConnection::read_http(bool head) {
    http_ns::response_parser<http_ns::string_body> parser;
    parser.skip(head);
    const auto error = complete(impl_->io, "an HTTP answer", [&](const Completion& handler) {
        http_ns::async_read(impl_->socket, impl_->buffer, parser, handler);
    });
    if (error) {
        throw std::runtime_error("no HTTP answer: " + error.message());
    }
    const auto& message = parser.get();
    HttpResponse answer{message.result_int(), {}, message.body()};
    for (const auto& field : message) {
        std::string name(field.name_string());
        for (auto& c : name) {
            c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        }
        answer.headers[name] = std::string(field.value());
    }
    return answer;
}

std::string RawConnection::read_to_end() {
    std::string all = beast::buffers_to_string(impl_->buffer.data());
    std::string piece(65536, '\0');
    while (true) {
        std::size_t count = 0;
        const auto error = complete(
            impl_->io, "the end of the connection",
            [&](const Completion& handler) { impl_->socket.async_read_some(net::buffer(piece), handler); }, &count);
        if (error == net::ssl::error::stream_truncated) {
            throw std::runtime_error("the connection ended without close_notify");
        }
        if (error) {
            return all;
        }
        all.append(piece, 0, count);
    }
}

std::string http_request(const std::string& method, const std::string& target, const std::string& more_headers) {
    return method + ' ' + target + " HTTP/1.1\r\nHost: localhost\r\n" + more_headers + "\r\n";
}

std::string upgrade_request(const std::string& target) {
    return http_request("GET", target,
                        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
}

HttpResponse http(std::uint16_t port, const std::string& method, const std::string& target) {
    RawConnection connection(port);
    connection.send(http_request(method, target));
    return connection.read_http(method == "HEAD");
}

namespace {

Config local(Config config) {
    config.host = "127.0.0.1";
    config.port = 0;
    if (config.max_connections_per_second == Config().max_connections_per_second) {
        config.max_connections_per_second = 1'000'000;  // other tests may retry without hitting it
    }
    return config;
}

}  // namespace

TestServer::TestServer(Config config, server::Intake* intake, server::Queries* queries, server::AlertCommands* commands)
    : server_(local(std::move(config)), kSystemClock, intake, queries, commands) {
    server_.bind();
    server_.start();
}

void TestServer::eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kTestTimeout;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error("timed out: a condition");
        }
        std::this_thread::yield();
    }
}

HttpResponse answer_to(const TestServer& server, const std::string& request) {
    RawConnection connection(server.port());
    connection.send(request);
    return connection.read_http();
}

}  // namespace session_buddy::test
