// The network side as the rest of the program sees it: bind, start, publish snapshots, stop. No Beast type shows here.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "session_buddy/core/config.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::server {

/// A certificate or key that cannot be used. what() is one line that names the file and the reason.
class TlsError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One object is one run: bind() → start() → stop(). All calls but the constructor are thread-safe.
class NetworkServer {
  public:
    explicit NetworkServer(const Config& config);
    ~NetworkServer();  // stops
    NetworkServer(const NetworkServer&) = delete;
    NetworkServer& operator=(const NetworkServer&) = delete;

    /// Reads the files of TLS, binds and listens on every address of `host`. Throws std::system_error with the errno
    /// value (EADDRINUSE, EACCES, …) in the generic category and "host:port" in its text, or TlsError.
    void bind();

    /// Starts the network thread, which accepts from here on.
    void start();

    /// Broadcasts to every subscribed client; keeps it for requests that come in between. Never blocks.
    void publish(SnapshotPtr snapshot);

    /// Reads the certificates anew, on this thread, for connections that come from here on; those that are there stay
    /// as they are. Nothing where it does not run. Throws TlsError, and goes on with what it had.
    void reload();

    /// Closes the listeners, then every client with 1001, and joins the thread; clients that do not close within
    /// shutdown_timeout are cut. Idempotent.
    void stop();

    /// The bound port; 0 before bind().
    [[nodiscard]] std::uint16_t port() const;
    /// "127.0.0.1:8765", "[::1]:8765".
    [[nodiscard]] std::vector<std::string> endpoints() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::server
