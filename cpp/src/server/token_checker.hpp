// Checks tokens on a thread of its own: hashes and signatures have no place on the network thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <string>

#include "asio.hpp"
#include "session_buddy/auth/authenticator.hpp"
#include "session_buddy/core/clock.hpp"

namespace session_buddy::server {

using AuthenticatorPtr = std::shared_ptr<const auth::Authenticator>;

/// For the network thread alone. A connection waits for its check before it asks for another, so no more checks wait
/// than there are connections.
class TokenChecker {
  public:
    using Done = std::function<void(auth::Verdict)>;

    /// `io` and `clock` must outlive it, and `io` must not run any more once it is gone; `authenticator` is not
    /// nullptr.
    TokenChecker(net::io_context& io, AuthenticatorPtr authenticator, const Clock& clock);
    /// Waits for the check under way. Those that wait are never done.
    ~TokenChecker();
    TokenChecker(const TokenChecker&) = delete;
    TokenChecker& operator=(const TokenChecker&) = delete;

    /// `done` is called on the network thread, later.
    void check(std::string token, Done done);
    /// For checks from here on, and for those under way.
    void replace(AuthenticatorPtr authenticator) { authenticator_ = std::move(authenticator); }
    [[nodiscard]] bool still_accepts(const auth::Identity& identity) const {
        return authenticator_->still_accepts(identity);
    }

  private:
    net::io_context& io_;
    const Clock& clock_;
    AuthenticatorPtr authenticator_;
    net::thread_pool thread_{1};
};

}  // namespace session_buddy::server
