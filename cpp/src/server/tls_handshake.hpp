// The TLS handshake of an accepted connection, which then becomes an HttpConnection.
#pragma once

#include <memory>

#include "asio.hpp"
#include "context.hpp"
#include "stream.hpp"

namespace session_buddy::server {

class TlsHandshake final : public std::enable_shared_from_this<TlsHandshake>, public Connection {
  public:
    /// `context` must outlive it and have TLS. `deadline` covers the handshake and the first request.
    TlsHandshake(Stream stream, Peer peer, Admission::Slot slot, SteadyTime deadline, ServerContext& context);

    void run();
    void shut_down() override;
    void abort() override;
    void check_timeouts(SteadyTime now) override;
    /// Called when a handler has thrown: logs the exception and aborts the connection.
    void fail(const char* what);

  private:
    void detect_protocol();
    void continue_handshake();
    void wait();

    Stream stream_;
    ServerContext& context_;
    ConnectionHandle handle_;
    Peer peer_;
    Admission::Slot slot_;
    SteadyTime deadline_;
};

}  // namespace session_buddy::server
