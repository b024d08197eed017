// Accepts connections on one address until it is closed. No accept error ends it.
#pragma once

#include <functional>
#include <memory>

#include "asio.hpp"

namespace session_buddy::server {

class Listener : public std::enable_shared_from_this<Listener> {
  public:
    using OnSocket = std::function<void(Socket)>;

    Listener(Acceptor acceptor, OnSocket on_socket);

    /// Starts to accept, on the thread of the acceptor's context; nothing where it does so already.
    void run();
    /// Frees the port. Idempotent.
    void close();

  private:
    void accept();
    void on_accept(const error_code& error, Socket socket);

    Acceptor acceptor_;
    Timer retry_;
    OnSocket on_socket_;
    bool waiting_ = false;  // for a connection, or to try again
    bool failing_ = false;  // the trouble is logged already
};

}  // namespace session_buddy::server
