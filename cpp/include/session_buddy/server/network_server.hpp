// The public interface of the network layer: bind, start, publish snapshots, stop. Free of Asio and Beast types.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/server_stats.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/server/alert_commands.hpp"
#include "session_buddy/server/intake.hpp"
#include "session_buddy/server/queries.hpp"

namespace session_buddy::server {

/// An unusable certificate or key. what() is one line that names the file and the reason.
class TlsError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Not restartable: bind() → start() → stop(). All calls except the constructor are thread-safe.
class NetworkServer {
  public:
    /// All pointers and `clock`, which is used for token expiry, must outlive it. Without `intake`, ingestion requests
    /// get 503, as do queries without `queries` and commands without `commands`.
    NetworkServer(const Config& config, const Clock& clock, Intake* intake = nullptr, Queries* queries = nullptr,
                  AlertCommands* commands = nullptr);
    ~NetworkServer();  // stops
    NetworkServer(const NetworkServer&) = delete;
    NetworkServer& operator=(const NetworkServer&) = delete;

    /// Reads the TLS and token files, then binds and listens on every address of `host`. Throws std::system_error with
    /// the errno value (EADDRINUSE, EACCES, …) in the generic category and "host:port" in its text; TlsError;
    /// auth::AuthError; ConfigError for a non-loopback address without TLS or authentication.
    void bind();

    /// Starts the network thread, which accepts connections.
    void start();

    /// Broadcasts the snapshot to all subscribers and keeps it for requests. Never blocks.
    void publish(SnapshotPtr snapshot);

    /// Reloads certificates and tokens, reading the files on the calling thread. Open connections keep their
    /// certificate; those whose token was removed are closed. No effect unless running. On TlsError or auth::AuthError
    /// the previous certificates and tokens stay in effect.
    void reload();

    /// Graceful shutdown: closes the listeners, closes every client with 1001, and joins the thread. Aborts clients
    /// that do not close within shutdown_timeout. Idempotent.
    void stop();

    /// Counters and gauges. Lock-free.
    [[nodiscard]] NetworkStats stats() const;

    /// The bound port; 0 before bind().
    [[nodiscard]] std::uint16_t port() const;
    /// "127.0.0.1:8765", "[::1]:8765".
    [[nodiscard]] std::vector<std::string> endpoints() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::server
