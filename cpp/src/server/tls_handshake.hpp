// One accepted connection until it speaks TLS; then HttpSession has it.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <memory>
#include <variant>

#include "asio.hpp"
#include "context.hpp"
#include "stream.hpp"

namespace session_buddy::server {

class TlsHandshake final : public std::enable_shared_from_this<TlsHandshake>, public Connection {
  public:
    /// `context` must outlive it and have TLS. `tcp` has its time limit set, which covers the first request, too.
    TlsHandshake(beast::tcp_stream tcp, Peer peer, Admission::Place place, ServerContext& context);

    void run();
    void shut_down() override;
    void cut() override;
    /// Logs what a handler threw, and cuts the connection.
    void fail(const char* what);

  private:
    void on_first_bytes(const error_code& error);
    void on_handshake(const error_code& error);

    ServerContext& context_;
    ConnectionHandle handle_;
    Peer peer_;
    Admission::Place place_;
    beast::flat_buffer buffer_;  // what came before the engine of TLS was there
    std::variant<beast::tcp_stream, Stream::Tls> stream_;
};

}  // namespace session_buddy::server
