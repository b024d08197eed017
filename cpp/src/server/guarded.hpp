// The connection boundary: an exception in a handler ends that connection alone, and never the thread.
#pragma once

#include <exception>
#include <memory>
#include <utility>

#include "asio.hpp"

namespace session_buddy::server {

/// Calls `work()`, and connection.fail(text) where it throws.
template <typename Connection_, typename Work>
void run_guarded(Connection_& connection, Work&& work) {
    try {
        std::forward<Work>(work)();
    } catch (const std::exception& failure) {
        connection.fail(failure.what());
    }
}

/// A handler that keeps `connection` alive, calls `work(connection, error)`, and calls connection.fail(text) where it
/// throws.
template <typename Connection_, typename Work>
auto guarded(std::shared_ptr<Connection_> connection, Work work) {
    // A count of bytes may come with the error; no connection has a use for it.
    return [connection = std::move(connection), work = std::move(work)](const error_code& error, auto&&...) mutable {
        run_guarded(*connection, [&] { work(*connection, error); });
    };
}

}  // namespace session_buddy::server
