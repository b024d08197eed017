// Accepts connections on one address until it is closed; retries after errors.
#pragma once

#include <functional>
#include <memory>

#include "asio.hpp"

namespace session_buddy::server {

class Listener : public std::enable_shared_from_this<Listener> {
  public:
    using OnSocket = std::function<void(Socket)>;

    Listener(Acceptor acceptor, OnSocket on_socket);

    /// Starts accepting on the thread of the acceptor's context. Idempotent.
    void run();
    /// Releases the port. Idempotent.
    void close();

  private:
    void accept();
    void on_accept(const error_code& error, Socket socket);

    Acceptor acceptor_;
    Timer retry_;
    OnSocket on_socket_;
    bool waiting_ = false;  // an accept or a retry is pending
    bool failing_ = false;  // the current error has been logged
};

}  // namespace session_buddy::server
