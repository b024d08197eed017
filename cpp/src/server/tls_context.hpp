// Certificates and keys: reads the files, checks them, and makes of them what TLS connections start from.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "asio.hpp"
#include "session_buddy/core/config.hpp"

namespace session_buddy::server {

/// A connection that has begun keeps the certificate it began with.
using TlsContextPtr = std::shared_ptr<net::ssl::context>;

/// nullptr where the config asks for no TLS. TLS 1.2 and 1.3 with the ciphers that Mozilla's guide calls intermediate
/// (without finite-field Diffie-Hellman); no renegotiation, compression or resumption. Blocks on files. Throws TlsError
/// (network_server.hpp).
[[nodiscard]] TlsContextPtr load_tls(const Config& config);

}  // namespace session_buddy::server
