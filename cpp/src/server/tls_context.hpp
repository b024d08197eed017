// Loads and validates certificates and keys, and builds the TLS context from them.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "asio.hpp"
#include "session_buddy/core/config.hpp"

namespace session_buddy::server {

/// An open connection keeps the context, and so the certificate, it was created with.
using TlsContextPtr = std::shared_ptr<net::ssl::context>;

/// nullptr if TLS is not configured. TLS 1.2 and 1.3 with the ciphers of Mozilla's intermediate configuration
/// (without finite-field Diffie-Hellman); no renegotiation, compression or resumption. Blocks on file I/O. Throws
/// TlsError (network_server.hpp).
[[nodiscard]] TlsContextPtr load_tls(const Config& config);

}  // namespace session_buddy::server
