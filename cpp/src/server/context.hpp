// State shared by all connections of one server. Used by the network thread only, unless noted.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "admission.hpp"
#include "asio.hpp"
#include "assets.hpp"
#include "broadcaster.hpp"
#include "deflate.hpp"
#include "log_throttle.hpp"
#include "origin_policy.hpp"
#include "registry.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/counter.hpp"
#include "session_buddy/server/alert_commands.hpp"
#include "session_buddy/server/intake.hpp"
#include "session_buddy/server/queries.hpp"
#include "tls_context.hpp"
#include "token_checker.hpp"

namespace session_buddy::server {

/// Interface for operations on all connections. No call may destroy the connection before it returns.
class Connection {
  public:
    virtual ~Connection() = default;
    /// Closes gracefully: a WebSocket client gets close code 1001.
    virtual void shut_down() = 0;
    /// Closes immediately, without a close handshake.
    virtual void abort() = 0;
    /// The accepted tokens have changed.
    virtual void on_tokens_replaced() {}
    /// Called periodically; enforces the timeouts. May remove this connection from the registry.
    virtual void check_timeouts(SteadyTime now) = 0;
};

/// Compressors shared by all connections with permessage-deflate, possible without context takeover.
struct Compression {
    Deflater deflater;
    Inflater inflater;
};

/// Counters that no other component has. Readable from any thread.
struct Counters {
    AtomicDurationHistogram broadcasts;
    Counter messages_sent;
    Counter messages_received;
    Counter bytes_sent;
    Counter hook_requests;
    Counter invocation_requests;
    Counter failures;
};

/// Bytes read from a socket at a time.
inline constexpr std::size_t kReadBytes = 65536;

struct ServerContext {
    ServerContext(const Config& settings, const Clock& wall_clock, Intake* data_intake = nullptr,
                  Queries* query_side = nullptr, AlertCommands* command_side = nullptr)
        : config(settings),
          clock(wall_clock),
          intake(data_intake),
          queries(query_side),
          commands(command_side),
          trusted_proxies(IpNetworks::parse(settings.trusted_proxies)),
          origin_policy(settings),
          admission(settings) {
        if (config.compression) {
            compression = std::make_unique<Compression>();
        }
    }

    const Config config;
    const Clock& clock;
    const Assets& assets = dashboard();
    Intake* const intake;           // nullptr: ingestion is not enabled
    Queries* const queries;         // nullptr: queries are not enabled
    AlertCommands* const commands;  // nullptr: commands about alerts are not enabled
    std::size_t intake_bytes = 0;   // bytes of request bodies in flight: being read or waiting for `intake`
    const IpNetworks trusted_proxies;
    OriginPolicy origin_policy;
    TlsContextPtr tls;                         // for new connections; nullptr: no TLS
    TokenChecker* tokens = nullptr;            // nullptr: no tokens required
    std::unique_ptr<Compression> compression;  // nullptr: compression is off
    Counters counters;
    Broadcaster broadcaster;
    Admission admission;
    Registry<Connection> connections;
    SteadyTime published_at;              // time of broadcaster.latest()
    LogThrottle refused_connections_log;  // connections closed because of a limit
    LogThrottle refused_origins_log;      // requests rejected for their Origin or Host
    // Read buffer shared by all connections: each processes its input before the next one reads.
    std::vector<char> received = std::vector<char>(kReadBytes);
    bool stopping = false;
    std::function<void()> on_connection_closed;  // set during shutdown; called after a connection has left the registry
};

/// A connection's entry in ServerContext::connections.
class ConnectionHandle {
  public:
    ConnectionHandle(ServerContext& context, Connection& connection)
        : context_(context), handle_(context.connections.add(connection)) {}
    ~ConnectionHandle() {
        handle_.reset();
        if (context_.on_connection_closed) {
            context_.on_connection_closed();
        }
    }
    ConnectionHandle(const ConnectionHandle&) = delete;
    ConnectionHandle& operator=(const ConnectionHandle&) = delete;
    [[nodiscard]] ServerContext& context() const noexcept { return context_; }

  private:
    ServerContext& context_;
    Registry<Connection>::Handle handle_;
};

}  // namespace session_buddy::server
