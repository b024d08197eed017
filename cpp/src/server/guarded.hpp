// Exception boundary of a connection: an exception in a handler ends that connection only, never the thread.
#pragma once

#include <exception>
#include <memory>
#include <utility>

#include "asio.hpp"

namespace session_buddy::server {

/// Calls `work()`; if it throws, connection.fail(text).
template <typename Target, typename Work>
void run_guarded(Target& connection, Work&& work) {
    try {
        std::forward<Work>(work)();
    } catch (const std::exception& failure) {
        connection.fail(failure.what());
    }
}

/// Returns a handler that keeps `connection` alive and calls `work(connection, error)`; if that throws,
/// connection.fail(text).
template <typename Target, typename Work>
auto guarded(std::shared_ptr<Target> connection, Work work) {
    // Asio may also pass a byte count, which no connection needs.
    return [connection = std::move(connection), work = std::move(work)](const error_code& error, auto&&...) mutable {
        run_guarded(*connection, [&] { work(*connection, error); });
    };
}

}  // namespace session_buddy::server
