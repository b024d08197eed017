// Checks tokens on its own thread: hashing and signature verification would block the network thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "asio.hpp"
#include "session_buddy/auth/authenticator.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/worker.hpp"

namespace session_buddy::server {

using AuthenticatorPtr = std::shared_ptr<const auth::Authenticator>;

/// Used by the network thread only. A connection has at most one pending check, so the queue is bounded by the number
/// of connections.
class TokenChecker {
  public:
    using Done = std::function<void(auth::Verdict)>;

    /// `io` and `clock` must outlive it, and `io` must not run after its destruction; `authenticator` is not nullptr.
    /// The destructor waits for the running check; `done` of queued checks is never called.
    TokenChecker(net::io_context& io, AuthenticatorPtr authenticator, const Clock& clock);

    /// Calls `done` asynchronously on the network thread.
    void check(std::string token, Done done);
    /// Applies to later checks and to pending ones.
    void replace(AuthenticatorPtr authenticator) { authenticator_ = std::move(authenticator); }
    [[nodiscard]] bool still_accepts(const auth::Identity& identity) const {
        return authenticator_->still_accepts(identity);
    }

  private:
    struct Check {
        AuthenticatorPtr authenticator;
        std::string token;
        Done done;
    };
    void run();

    net::io_context& io_;
    const Clock& clock_;
    AuthenticatorPtr authenticator_;
    JobWorker<Check> worker_{"token", JobWorker<Check>::kBoundedByCallers};
};

}  // namespace session_buddy::server
