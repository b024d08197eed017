// A TLS stream whose peer sends non-data records: reads return instead of looping, and waits use the right direction.
#include "server/stream.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/certificates.hpp"
#include "server/tls_context.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::server {
namespace {

using namespace std::chrono_literals;

struct Free {
    void operator()(SSL* tls) const { SSL_free(tls); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

/// A server stream and its peer, connected by a socket pair, after the handshake.
class StreamOverTls : public ::testing::Test {
  protected:
    void connect(int version) {
        test::write_text(folder_.file("cert.pem"), certificate_.certificate_pem());
        test::write_text(folder_.file("key.pem"), certificate_.key_pem());
        Config config;
        config.tls_cert = folder_.file("cert.pem");
        config.tls_key = folder_.file("key.pem");
        const auto context = load_tls(config);
        std::array<int, 2> ends{};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
        Socket socket(io_);
        socket.assign(tcp::v4(), ends[0]);
        stream_.emplace(std::move(socket));
        stream_->start_tls(*context->native_handle());
        stream_socket_ = ends[0];
        peer_socket_ = ends[1];
        SSL_CTX_set_min_proto_version(peer_context_.get(), version);
        SSL_CTX_set_max_proto_version(peer_context_.get(), version);
        peer_.reset(SSL_new(peer_context_.get()));
        SSL_set_fd(peer_.get(), peer_socket_);
        SSL_set_connect_state(peer_.get());
        error_code error = net::error::would_block;
        for (int turns = 0; (error || SSL_is_init_finished(peer_.get()) == 0) && turns < 100; ++turns) {
            SSL_do_handshake(peer_.get());
            stream_->handshake(error);
        }
        ASSERT_FALSE(error) << error.message();
    }
    void TearDown() override { ::close(peer_socket_); }

    void send_key_update(int kind) {
        ASSERT_EQ(SSL_key_update(peer_.get(), kind), 1);
        ASSERT_EQ(SSL_do_handshake(peer_.get()), 1);
    }
    void send(std::string_view text) {
        ASSERT_EQ(SSL_write(peer_.get(), text.data(), static_cast<int>(text.size())), static_cast<int>(text.size()));
    }
    /// The result of one read.
    std::string read(error_code& error) {
        std::array<char, 4096> buffer{};
        const auto bytes = stream_->read_some(buffer, error);
        return {buffer.data(), bytes};
    }
    /// Fills the socket buffer of the stream with bytes that are not TLS; the peer must not read them.
    void fill() {
        const std::array<char, 4096> much{};
        while (::send(stream_socket_, much.data(), much.size(), 0) > 0 || ::send(stream_socket_, "x", 1, 0) > 0) {
        }
        error_code error;
        static_cast<void>(stream_->write_some("y", error));
        ASSERT_EQ(error, net::error::would_block);
    }

    test::TempDir folder_;
    test::TestCertificate certificate_{{.name = "localhost"}};
    net::io_context io_;
    std::optional<Stream> stream_;
    int stream_socket_ = -1;
    int peer_socket_ = -1;
    std::unique_ptr<SSL_CTX, Free> peer_context_{SSL_CTX_new(TLS_client_method())};
    std::unique_ptr<SSL, Free> peer_;
};

TEST_F(StreamOverTls, returns_after_each_key_update) {
    connect(TLS1_3_VERSION);
    constexpr int kUpdates = 10;
    for (int i = 0; i < kUpdates; ++i) {
        send_key_update(SSL_KEY_UPDATE_NOT_REQUESTED);
    }
    send("hello");
    error_code error;
    int attempts = 1;
    std::string text = read(error);
    for (; error == net::error::would_block && attempts <= 2 * kUpdates; ++attempts) {
        text = read(error);
    }
    EXPECT_EQ(text, "hello");
    EXPECT_GT(attempts, kUpdates);
}

TEST_F(StreamOverTls, waits_for_writability_if_a_read_needs_to_write) {
    connect(TLS1_3_VERSION);
    send_key_update(SSL_KEY_UPDATE_REQUESTED);  // answered by the next write
    error_code error;
    EXPECT_EQ(read(error), "");
    fill();
    send("hello");
    EXPECT_EQ(read(error), "");
    ASSERT_EQ(error, net::error::would_block);
    bool ready = false;
    stream_->async_wait_to_read([&ready](const error_code& failed) { ready = !failed; });
    io_.poll();
    EXPECT_FALSE(ready) << "input is available, but the read first needs to write";
    std::array<char, 65536> taken{};
    while (::read(peer_socket_, taken.data(), taken.size()) > 0) {
    }
    io_.run_for(20s);
    EXPECT_TRUE(ready);
    EXPECT_EQ(read(error), "hello");
}

TEST_F(StreamOverTls, returns_after_a_renegotiation_request) {
    connect(TLS1_2_VERSION);
    send("before");
    ASSERT_EQ(SSL_renegotiate(peer_.get()), 1);
    ASSERT_EQ(SSL_get_error(peer_.get(), SSL_do_handshake(peer_.get())), SSL_ERROR_WANT_READ);
    error_code error;
    EXPECT_EQ(read(error), "before");
    EXPECT_EQ(read(error), "");
    EXPECT_EQ(error, net::error::would_block);
}

}  // namespace
}  // namespace session_buddy::server
