// Checks tokens one by one, and posts the verdicts to the network thread.
#include "token_checker.hpp"

#include <boost/asio/post.hpp>
#include <exception>
#include <new>
#include <utility>

#include "session_buddy/core/log.hpp"

namespace session_buddy::server {

namespace {

auth::Verdict check_or_reject(const auth::Authenticator& authenticator, const std::string& token, TimePoint now) {
    try {
        return authenticator.check(token, now);
    } catch (const std::exception& failure) {
        log::kServerAuth.error("a token could not be checked: {}", failure.what());
        return auth::Rejection{"The token could not be checked"};
    }
}

}  // namespace

TokenChecker::TokenChecker(net::io_context& io, AuthenticatorPtr authenticator, const Clock& clock)
    : io_(io), clock_(clock), authenticator_(std::move(authenticator)) {
    worker_.start([this] { run(); });
}

void TokenChecker::check(std::string token, Done done) {
    Check check{.authenticator = authenticator_, .token = std::move(token), .done = std::move(done)};
    static_cast<void>(worker_.push(check));  // stopped only by the destructor
}

void TokenChecker::run() {
    while (auto next = worker_.pop()) {
        auto verdict = check_or_reject(*next->authenticator, next->token, clock_.now());
        try {
            net::post(io_, [this, checked = *std::move(next), verdict = std::move(verdict)]() mutable {
                if (checked.authenticator == authenticator_) {
                    checked.done(std::move(verdict));
                } else {  // the tokens were reloaded meanwhile
                    check(std::move(checked.token), std::move(checked.done));
                }
            });
        } catch (const std::bad_alloc&) {
            log::kServerAuth.error("a token could not be checked: out of memory");
        }
    }
}

}  // namespace session_buddy::server
