// A WebSocket client on a non-blocking socket, plain or under TLS, as cheap as it can be: thousands of them must cost
// so little that they do not show in what is measured.
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

/// For clients of a server on this machine: it takes any certificate.
SslContext make_client_context();

struct Target {
    std::uint16_t port = 0;
    SSL_CTX* tls = nullptr;    ///< null for plain TCP
    bool compression = false;  ///< permessage-deflate is asked for, and has to be granted
};

class Client {
  public:
    /// The frame's time of arrival is that of its last bytes at the socket, by the kernel, or under TLS at OpenSSL; in
    /// seconds of CLOCK_REALTIME, by which the kernel goes.
    using OnFrame = std::function<void(Client&, const Frame&)>;

    /// Begins to connect, and enters itself into `epoll` with `index` as the data of its events. Successive places
    /// consume turns at a few addresses of the loopback, so that no address runs out of ports.
    Client(const Target& target, int epoll, std::uint32_t index);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// To be called at each event: connects on, or reads what there is and hands over whole frames. Pings are answered
    /// here. `buffer` is for what is read and may be shared by all clients.
    void advance(std::span<char> buffer, const OnFrame& on_frame);

    /// Sends a frame that is short enough for any socket to consume at once.
    void send(std::string_view frame);

    bool open() const { return step_ == Step::open; }
    bool closed() const { return step_ == Step::closed; }
    const SSL* ssl() const { return ssl_.get(); }

    // For the owner's use.
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
    std::string pending_;  // the front of a frame whose rest has not come yet
};

}  // namespace wire
