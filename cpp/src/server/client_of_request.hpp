// The client of a connection or request, looking through trusted proxies.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/beast/http/fields.hpp>

#include "asio.hpp"
#include "peer.hpp"

namespace session_buddy::server {

[[nodiscard]] IpAddress to_ip_address(const net::ip::address& address);

/// The client of one request. For a trusted proxy it is the right-most address in X-Forwarded-For that is not a trusted
/// proxy; entries to the left of an invalid one are ignored, because any client could have forged them. Without a
/// usable header, or for any other peer, it is `direct`. X-Forwarded-Proto determines `secure`.
[[nodiscard]] Peer client_of_request(const Peer& direct, const boost::beast::http::fields& headers,
                                     const IpNetworks& trusted);

}  // namespace session_buddy::server
