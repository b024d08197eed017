// Posts checks to a one-thread pool and their verdicts back to the network thread.
#include "token_checker.hpp"

#include <boost/asio/post.hpp>
#include <exception>
#include <new>
#include <utility>

#include "session_buddy/core/log.hpp"
#include "signals.hpp"

namespace session_buddy::server {

namespace {

constexpr log::Logger kLogger{"session_buddy.server.auth"};

auth::Verdict check_or_reject(const auth::Authenticator& authenticator, const std::string& token, TimePoint now) {
    try {
        return authenticator.check(token, now);
    } catch (const std::exception& failure) {
        kLogger.error("a token could not be checked: {}", failure.what());
        return auth::Rejection{"The token could not be checked"};
    }
}

}  // namespace

TokenChecker::TokenChecker(net::io_context& io, AuthenticatorPtr authenticator, const Clock& clock)
    : io_(io), clock_(clock), authenticator_(std::move(authenticator)) {
    net::post(thread_, &block_signals);
}

TokenChecker::~TokenChecker() {
    thread_.stop();
    thread_.join();
}

void TokenChecker::check(std::string token, Done done) {
    net::post(thread_,
              [this, authenticator = authenticator_, token = std::move(token), done = std::move(done)]() mutable {
                  auto verdict = check_or_reject(*authenticator, token, clock_.now());
                  try {
                      net::post(io_, [this, authenticator = std::move(authenticator), token = std::move(token),
                                      done = std::move(done), verdict = std::move(verdict)]() mutable {
                          if (authenticator == authenticator_) {
                              done(std::move(verdict));
                          } else {  // the tokens were reloaded meanwhile
                              check(std::move(token), std::move(done));
                          }
                      });
                  } catch (const std::bad_alloc&) {
                      kLogger.error("a token could not be checked: out of memory");
                  }
              });
}

}  // namespace session_buddy::server
