// What all connections of one server share. Everything here belongs to the network thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "broadcaster.hpp"
#include "registry.hpp"
#include "session_buddy/core/config.hpp"
#include "tls_context.hpp"

namespace session_buddy::server {

/// A connection as the shutdown sees it. Neither call may destroy the connection before it returns.
class Connection {
  public:
    virtual ~Connection() = default;
    /// Ends it in order: a WebSocket client gets 1001.
    virtual void shut_down() = 0;
    /// Ends it at once.
    virtual void cut() = 0;
};

/// The places for WebSocket clients.
class ClientSlots {
  public:
    /// One place, given back when this goes. Empty where none was free.
    class Slot {
      public:
        Slot() = default;
        ~Slot() { reset(); }
        Slot(Slot&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
        Slot& operator=(Slot&& other) noexcept {
            if (this != &other) {
                reset();
                owner_ = std::exchange(other.owner_, nullptr);
            }
            return *this;
        }
        void reset() noexcept {
            if (auto* owner = std::exchange(owner_, nullptr)) {
                --owner->taken_;
            }
        }
        explicit operator bool() const noexcept { return owner_ != nullptr; }

      private:
        friend class ClientSlots;
        explicit Slot(ClientSlots& owner) noexcept : owner_(&owner) { ++owner.taken_; }
        ClientSlots* owner_ = nullptr;
    };

    explicit ClientSlots(std::uint32_t limit) : limit_(limit) {}
    [[nodiscard]] Slot take() { return taken_ < limit_ ? Slot(*this) : Slot(); }
    [[nodiscard]] std::uint32_t taken() const { return taken_; }
    [[nodiscard]] std::uint32_t limit() const { return limit_; }

  private:
    std::uint32_t limit_;
    std::uint32_t taken_ = 0;
};

struct ServerContext {
    explicit ServerContext(const Config& settings) : config(settings), clients(settings.max_clients) {}

    const Config config;
    TlsContextPtr tls;  // of new connections; nullptr for plain ones
    Broadcaster broadcaster;
    ClientSlots clients;
    Registry<Connection> connections;
    std::chrono::steady_clock::time_point published_at;  // of broadcaster.latest()
    bool stopping = false;
    std::function<void()> on_connection_gone;  // set while stopping; called when a connection has left the registry
};

/// A connection's entry in ServerContext::connections.
class ConnectionHandle {
  public:
    ConnectionHandle(ServerContext& context, Connection& connection)
        : context_(context), handle_(context.connections.add(connection)) {}
    ~ConnectionHandle() {
        handle_.reset();
        if (context_.on_connection_gone) {
            context_.on_connection_gone();
        }
    }
    ConnectionHandle(const ConnectionHandle&) = delete;
    ConnectionHandle& operator=(const ConnectionHandle&) = delete;

  private:
    ServerContext& context_;
    Registry<Connection>::Handle handle_;
};

}  // namespace session_buddy::server
