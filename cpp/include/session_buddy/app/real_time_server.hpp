// The whole server: storage, metrics and network put together, with the threads that drive them.
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

/// Can be started again after a stop. All calls are thread-safe.
class RealTimeServer {
  public:
    /// `config` must be complete (db_path resolved, every value in range: options.hpp).
    explicit RealTimeServer(Config config);
    ~RealTimeServer();  // stops
    RealTimeServer(const RealTimeServer&) = delete;
    RealTimeServer& operator=(const RealTimeServer&) = delete;

    /// Binds, opens the database, computes the first snapshot and serves. Throws std::system_error (address taken or
    /// not allowed), server::TlsError, auth::AuthError, ConfigError, storage::StorageError, or std::logic_error where
    /// it runs already; nothing is left running then.
    void start();

    /// Closes every client with 1001, frees the port, ends the threads. Idempotent; returns when all is over.
    void stop();

    /// Reads the files anew that may change while it runs: certificates and tokens. Clients stay, but for those whose
    /// token is gone. Nothing where it does not run. Throws server::TlsError or auth::AuthError, and goes on with all
    /// that it had.
    void reload();

    [[nodiscard]] bool running() const;
    [[nodiscard]] std::uint16_t port() const;                  ///< 0 while not running
    [[nodiscard]] std::vector<std::string> endpoints() const;  ///< "127.0.0.1:8765", "[::1]:8765"
    [[nodiscard]] const Config& config() const;
    [[nodiscard]] SnapshotPtr latest() const;  ///< never null

    /// Called with every snapshot, on the collector's thread: must be quick and must not throw. Listeners stay over a
    /// restart.
    using Listener = std::function<void(const SnapshotPtr&)>;
    std::size_t add_listener(Listener listener);
    void remove_listener(std::size_t id);  ///< after it returns the listener is not called any more

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::app
