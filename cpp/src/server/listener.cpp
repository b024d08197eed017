// The accept loop and its retry timer.
#include "listener.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include "session_buddy/core/log.hpp"

namespace session_buddy::server {

namespace {

// Delay after an error such as "too many open files", where an immediate retry would fail again.
constexpr std::chrono::milliseconds kAcceptRetry{100};

}  // namespace

Listener::Listener(Acceptor acceptor, OnSocket on_socket)
    : acceptor_(std::move(acceptor)), retry_(acceptor_.get_executor()), on_socket_(std::move(on_socket)) {}

void Listener::run() {
    if (!waiting_) {
        accept();
    }
}

void Listener::close() {
    error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
}

void Listener::accept() {
    if (!acceptor_.is_open()) {
        return;
    }
    acceptor_.async_accept([self = shared_from_this()](const error_code& error, Socket socket) {
        self->waiting_ = false;
        self->on_accept(error, std::move(socket));
    });
    waiting_ = true;
}

void Listener::on_accept(const error_code& error, Socket socket) {
    if (!acceptor_.is_open()) {
        return;
    }
    if (error && error != net::error::connection_aborted) {
        if (!failing_) {
            failing_ = true;
            log::kServer.warning("cannot accept connections for now: {}", error.message());
        }
        retry_.expires_after(kAcceptRetry);
        retry_.async_wait([self = shared_from_this()](const error_code&) {
            self->waiting_ = false;
            self->accept();
        });
        waiting_ = true;
        return;
    }
    if (!error) {
        if (failing_) {
            failing_ = false;
            log::kServer.info("accepting connections again");
        }
        try {
            on_socket_(std::move(socket));
        } catch (const std::exception& failure) {
            log::kServer.error("a new connection failed: {}", failure.what());
        }
    }
    accept();
}

}  // namespace session_buddy::server
