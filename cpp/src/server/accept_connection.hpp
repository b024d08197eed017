// Admission of an accepted socket, and the start of its connection object.
#pragma once

#include "asio.hpp"
#include "context.hpp"

namespace session_buddy::server {

/// Starts a TlsHandshake if TLS is on, else an HttpConnection; closes the socket if a limit is reached. `context` must
/// outlive the connection.
void accept_connection(Socket socket, ServerContext& context);

}  // namespace session_buddy::server
