// The session boundary: an exception in a handler ends that session alone, and never the thread.
#pragma once

#include <exception>
#include <memory>
#include <utility>

#include "asio.hpp"

namespace session_buddy::server {

/// Calls `work()`, and session.fail(text) where it throws.
template <typename Session, typename Work>
void run_guarded(Session& session, Work&& work) {
    try {
        std::forward<Work>(work)();
    } catch (const std::exception& failure) {
        session.fail(failure.what());
    }
}

/// A handler that keeps `session` alive, calls `work(session, error)`, and calls session.fail(text) where it throws.
template <typename Session, typename Work>
auto guarded(std::shared_ptr<Session> session, Work work) {
    // A count of bytes may come with the error; no session has a use for it.
    return [session = std::move(session), work = std::move(work)](const error_code& error, auto&&...) mutable {
        run_guarded(*session, [&] { work(*session, error); });
    };
}

}  // namespace session_buddy::server
