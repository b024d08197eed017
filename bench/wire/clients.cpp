// Connects, performs the TLS and WebSocket handshakes and parses frames, driven by epoll events.
#include "clients.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include "handshake.hpp"

namespace wire {

namespace {

constexpr std::uint32_t kSourceAddresses = 4;

sockaddr_in loopback(std::uint32_t host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host);
    address.sin_port = htons(port);
    return address;
}

double to_seconds(const timespec& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

SslContext make_client_context() {
    SslContext context(SSL_CTX_new(TLS_client_method()));
    if (!context) {
        throw std::runtime_error("cannot create the TLS context");
    }
    // One read() returns the header of a record and the record.
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    // The cipher suite that browsers prefer.
    SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256");
    return context;
}

Client::Client(const Target& target, int epoll, std::uint32_t index)
    : socket_(checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")),
      epoll_(epoll),
      index_(index),
      compression_(target.compression) {
    const int on = 1;
    checked(setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    // Timestamps of the kernel, as this program may read late and only the server is measured.
    checked(setsockopt(socket_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on), "SO_TIMESTAMPNS");
    // Selects the port at connect(), among those that are free for this destination.
    checked(setsockopt(socket_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on), "IP_BIND_ADDRESS_NO_PORT");
    const auto source = loopback(index % kSourceAddresses, 0);
    checked(bind(socket_, reinterpret_cast<const sockaddr*>(&source), sizeof source), "bind");
    const auto server = loopback(0, target.port);
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0 && errno != EINPROGRESS) {
        checked(-1, "connect");
    }
    if (target.tls != nullptr) {
        ssl_.reset(SSL_new(target.tls));
        if (!ssl_ || SSL_set_fd(ssl_.get(), socket_) != 1) {
            throw std::runtime_error("cannot create the TLS connection");
        }
    }
    epoll_event event{};
    event.events = EPOLLOUT;
    event.data.u32 = index;
    checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &event), "epoll_ctl");
}

Client::~Client() {
    close();
}

void Client::close() {
    if (step_ != Step::closed) {
        step_ = Step::closed;
        ssl_.reset();
        ::close(socket_);
    }
}

void Client::send(std::string_view frame) {
    const auto sent = ssl_ ? SSL_write(ssl_.get(), frame.data(), static_cast<int>(frame.size()))
                           : ::send(socket_, frame.data(), frame.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(frame.size())) {
        close();
    }
}

void Client::advance(std::span<char> buffer, const OnFrame& on_frame) {
    if (step_ == Step::connecting && !finish_connecting()) {
        return;
    }
    if (step_ == Step::securing && !finish_securing()) {
        return;
    }
    // Data left in the socket triggers another event; data that OpenSSL has buffered does not, so read until it is
    // empty.
    while (step_ != Step::closed && read_once(buffer, on_frame)) {
    }
}

bool Client::finish_connecting() {
    int error = 0;
    socklen_t size = sizeof error;
    checked(getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
    if (error != 0) {
        close();
        return false;
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = index_;
    checked(epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_, &event), "epoll_ctl");
    if (ssl_) {
        step_ = Step::securing;
        return true;
    }
    step_ = Step::upgrading;
    send(upgrade_request(compression_));
    return false;
}

bool Client::finish_securing() {
    const int result = SSL_connect(ssl_.get());
    if (result == 1) {
        step_ = Step::upgrading;
        send(upgrade_request(compression_));
        return true;
    }
    if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) {
        close();
    }
    return false;
}

ssize_t Client::receive(std::span<char> buffer, double& arrived) {
    timespec time{};
    clock_gettime(CLOCK_REALTIME, &time);
    arrived = to_seconds(time);
    if (ssl_) {
        return SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
    }
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(timespec))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto count = recvmsg(socket_, &message, 0);
    // Missing at first: the kernel starts to record timestamps a moment after the first socket has requested them.
    const cmsghdr* header = count > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
        std::memcpy(&time, CMSG_DATA(header), sizeof time);
        arrived = to_seconds(time);
    }
    return count;
}

bool Client::read_once(std::span<char> buffer, const OnFrame& on_frame) {
    double arrived = 0.0;
    const auto count = receive(buffer, arrived);
    if (count <= 0) {
        const bool later = ssl_ ? SSL_get_error(ssl_.get(), static_cast<int>(count)) == SSL_ERROR_WANT_READ
                                : count < 0 && errno == EAGAIN;
        if (!later) {
            close();
        }
        return false;
    }
    consume({buffer.data(), static_cast<std::size_t>(count)}, arrived, on_frame);
    return ssl_ && SSL_has_pending(ssl_.get()) == 1;
}

void Client::consume(std::string_view bytes, double arrived, const OnFrame& on_frame) {
    const bool kept = !pending_.empty();
    if (kept) {
        pending_.append(bytes);
        bytes = pending_;
    }
    if (step_ == Step::open || consume_response(bytes)) {
        Frame frame;
        frame.arrived = arrived;
        while (step_ == Step::open && parse_frame(bytes, frame)) {
            if (frame.opcode == Opcode::ping) {
                send(client_frame(Opcode::pong, frame.payload));
            } else if (frame.opcode == Opcode::close) {
                close();
            } else {
                on_frame(*this, frame);
            }
        }
    }
    if (kept) {
        pending_.erase(0, pending_.size() - bytes.size());
    } else {
        pending_.assign(bytes);
    }
}

bool Client::consume_response(std::string_view& bytes) {
    const auto end = bytes.find(kEndOfHeader);
    if (end == std::string_view::npos) {
        return false;
    }
    const auto response = bytes.substr(0, end);
    if (!response.starts_with("HTTP/1.1 101 ")) {
        throw std::runtime_error("the server rejected a client: " +
                                 std::string(response.substr(0, response.find('\r'))));
    }
    if (compression_ && response.find("permessage-deflate") == std::string_view::npos) {
        throw std::runtime_error("the server did not negotiate compression");
    }
    bytes.remove_prefix(end + kEndOfHeader.size());
    step_ = Step::open;
    return true;
}

}  // namespace wire
