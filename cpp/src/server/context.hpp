// What all connections of one server share. Everything here belongs to the network thread.
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
#include "session_buddy/server/intake.hpp"
#include "session_buddy/server/queries.hpp"
#include "tls_context.hpp"
#include "token_checker.hpp"

namespace session_buddy::server {

/// A connection as what reaches all of them at once sees it. Neither call may destroy the connection before it returns.
class Connection {
  public:
    virtual ~Connection() = default;
    /// Ends it in order: a WebSocket client gets 1001.
    virtual void shut_down() = 0;
    /// Ends it at once.
    virtual void abort() = 0;
    /// Other tokens count from here on.
    virtual void on_tokens_replaced() {}
    /// Again and again, for everything that has a time limit. May take this connection's entry out of the registry.
    virtual void check_timeouts(SteadyTime now) = 0;
};

/// What the connections with permessage-deflate share, as no message refers to one before it.
struct Compression {
    Deflater deflater;
    Inflater inflater;
};

/// What no other part counts; read by other threads, too.
struct Counters {
    AtomicDurationHistogram broadcasts;
    Counter messages_sent;
    Counter messages_received;
    Counter bytes_sent;
    Counter refused_by_origin;
    Counter refused_tokens;
    Counter hook_requests;
    Counter invocation_requests;
    Counter failures;
};

/// Read from a socket at a time.
inline constexpr std::size_t kReadBytes = 65536;

struct ServerContext {
    ServerContext(const Config& settings, const Clock& wall_clock, Intake* data_intake = nullptr,
                  Queries* query_side = nullptr)
        : config(settings),
          clock(wall_clock),
          intake(data_intake),
          queries(query_side),
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
    Intake* const intake;          // nullptr where no data is taken in
    Queries* const queries;        // nullptr where nobody answers any
    std::size_t intake_bytes = 0;  // of bodies that are being read or wait for an answer of `intake`
    const IpNetworks trusted_proxies;
    OriginPolicy origin_policy;
    TlsContextPtr tls;                         // of new connections; nullptr for plain ones
    TokenChecker* tokens = nullptr;            // where clients must show one
    std::unique_ptr<Compression> compression;  // where clients may have it
    Counters counters;
    Broadcaster broadcaster;
    Admission admission;
    Registry<Connection> connections;
    SteadyTime published_at;              // of broadcaster.latest()
    LogThrottle refused_connections_log;  // connections
    LogThrottle refused_origins_log;      // requests, for their Origin or Host
    // What a connection has received and deals with before the next one's turn comes: none has a buffer of its own.
    std::vector<char> received = std::vector<char>(kReadBytes);
    bool stopping = false;
    std::function<void()> on_connection_closed;  // set while stopping; called when a connection has left the registry
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

  private:
    ServerContext& context_;
    Registry<Connection>::Handle handle_;
};

}  // namespace session_buddy::server
