// The complete server: storage, metrics and network, and the threads that drive them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "session_buddy/core/config.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::app {

/// Can be restarted after stop(). Thread-safe.
class RealTimeServer {
  public:
    /// `config` must be complete (db_path resolved, every value in range: options.hpp).
    explicit RealTimeServer(Config config);
    ~RealTimeServer();  // stops
    RealTimeServer(const RealTimeServer&) = delete;
    RealTimeServer& operator=(const RealTimeServer&) = delete;

    /// Binds, opens the database, computes the first snapshot and serves. Throws std::system_error (address in use or
    /// not permitted), server::TlsError, auth::AuthError, ConfigError, storage::StorageError, or std::logic_error if it
    /// is running already; after an exception nothing is left running.
    void start();

    /// Graceful shutdown: closes every client with 1001, frees the port and joins the threads. Idempotent.
    void stop();

    /// Reloads certificates and tokens from their files. Clients stay connected unless their token was removed. Does
    /// nothing if the server is not running. Throws server::TlsError or auth::AuthError and then keeps the certificates
    /// and tokens it had.
    void reload();

    [[nodiscard]] bool running() const;
    [[nodiscard]] std::uint16_t port() const;                  ///< 0 while not running
    [[nodiscard]] std::vector<std::string> endpoints() const;  ///< "127.0.0.1:8765", "[::1]:8765"
    [[nodiscard]] const Config& config() const;
    [[nodiscard]] SnapshotPtr latest() const;  ///< never null

    /// Called with every snapshot on the collector's thread: must be quick and must not throw. Listeners survive a
    /// restart.
    using Listener = std::function<void(const SnapshotPtr&)>;
    std::size_t add_listener(Listener listener);
    void remove_listener(std::size_t id);  ///< the listener is not called after this returns

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::app
