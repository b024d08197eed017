// The network side as the rest of the program sees it: bind, start, publish snapshots, stop. No Beast type shows here.
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
#include "session_buddy/server/intake.hpp"
#include "session_buddy/server/queries.hpp"

namespace session_buddy::server {

/// A certificate or key that cannot be used. what() is one line that names the file and the reason.
class TlsError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One object is one run: bind() → start() → stop(). All calls but the constructor are thread-safe.
class NetworkServer {
  public:
    /// `clock`, `intake` and `queries` must outlive it. `clock` tells whether a token has expired; without `intake` no
    /// data is taken in, without `queries` none is answered.
    NetworkServer(const Config& config, const Clock& clock, Intake* intake = nullptr, Queries* queries = nullptr);
    ~NetworkServer();  // stops
    NetworkServer(const NetworkServer&) = delete;
    NetworkServer& operator=(const NetworkServer&) = delete;

    /// Reads the files of TLS and of tokens, binds and listens on every address of `host`. Throws
    /// std::system_error with the errno value (EADDRINUSE, EACCES, …) in the generic category and "host:port" in its
    /// text, TlsError, auth::AuthError, or ConfigError where it would listen beyond loopback without TLS or
    /// authentication.
    void bind();

    /// Starts the network thread, which accepts from here on.
    void start();

    /// Broadcasts to every subscribed client; keeps it for requests that come in between. Never blocks.
    void publish(SnapshotPtr snapshot);

    /// Reads certificates and tokens anew, on this thread. Connections that are there keep their certificate; those
    /// whose token is gone are closed. Nothing where it does not run. Throws TlsError or auth::AuthError, and goes on
    /// with all that it had.
    void reload();

    /// Closes the listeners, then every client with 1001, and joins the thread; clients that do not close within
    /// shutdown_timeout are cut. Idempotent.
    void stop();

    /// What it has counted so far. Takes no lock and holds nobody up.
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
