// A minimal WebSocket client on a non-blocking socket, plain or with TLS: thousands of them must not distort the
// measurement.
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "frames.hpp"

namespace wire {

struct SslReleaser {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Ssl = std::unique_ptr<SSL, SslReleaser>;
using SslContext = std::unique_ptr<SSL_CTX, SslReleaser>;

/// A TLS context for clients of a local server; accepts any certificate.
SslContext make_client_context();

struct Target {
    std::uint16_t port = 0;
    SSL_CTX* tls = nullptr;    ///< null for plain TCP
    bool compression = false;  ///< requires permessage-deflate
};

class Client {
  public:
    /// The arrival time of a frame is that of its last bytes: at the socket by the kernel, or with TLS at OpenSSL; in
    /// seconds of CLOCK_REALTIME, the clock of the kernel's timestamps.
    using OnFrame = std::function<void(Client&, const Frame&)>;

    /// Starts to connect, and registers with `epoll` with `index` as the data of its events. Successive indexes rotate
    /// through several loopback addresses, so that no address runs out of ports.
    Client(const Target& target, int epoll, std::uint32_t index);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// Handles an epoll event: continues to connect, or reads available data and passes complete frames to `on_frame`.
    /// Responds to pings. `buffer` is a read buffer that all clients may share.
    void advance(std::span<char> buffer, const OnFrame& on_frame);

    /// Sends a frame that is short enough for the send buffer of any socket.
    void send(std::string_view frame);

    bool open() const { return step_ == Step::open; }
    bool closed() const { return step_ == Step::closed; }
    const SSL* ssl() const { return ssl_.get(); }

    // Fields for the owner of the client.
    std::int64_t last_broadcast = -1;
    std::int64_t messages = 0;

  private:
    enum class Step : std::uint8_t { connecting, securing, upgrading, open, closed };

    bool finish_connecting();
    bool finish_securing();
    bool read_once(std::span<char> buffer, const OnFrame& on_frame);
    ssize_t receive(std::span<char> buffer, double& arrived);
    void consume(std::string_view bytes, double arrived, const OnFrame& on_frame);
    bool consume_response(std::string_view& bytes);
    void close();

    int socket_;
    int epoll_;
    std::uint32_t index_;
    Step step_ = Step::connecting;
    bool compression_;
    Ssl ssl_;
    std::string pending_;  // the beginning of an incomplete frame
};

}  // namespace wire
