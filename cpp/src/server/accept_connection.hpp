// What happens to an accepted socket before anybody reads from it.
#pragma once

#include "asio.hpp"
#include "context.hpp"

namespace session_buddy::server {

/// Starts the session of a new connection: TLS where the server has it, else HTTP. `context` must outlive the session.
void accept_connection(Socket socket, ServerContext& context);

}  // namespace session_buddy::server
