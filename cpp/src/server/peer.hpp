// Who is at the other end of a connection, seen through a proxy that may speak for others.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/beast/http/fields.hpp>
#include <string>

#include "asio.hpp"
#include "session_buddy/core/ip_address.hpp"

namespace session_buddy::server {

struct Peer {
    IpAddress address;       ///< what limits count
    std::string name;        ///< for logs: "192.0.2.1:5555", "198.51.100.7 through 127.0.0.1:5555"
    bool secure = false;     ///< it came over TLS, to this server or to the proxy
    bool proxy = false;      ///< a trusted proxy, which may speak for anybody
    bool forwarded = false;  ///< the client that a trusted proxy speaks for
};

[[nodiscard]] IpAddress to_ip_address(const net::ip::address& address);

/// The client of one request. That is `direct` where it is no trusted proxy or says nothing of use; else, of the
/// addresses in X-Forwarded-For, the right-most one that is not itself a trusted proxy. What is left of an entry that
/// is no address could be anybody's invention and is not looked at. X-Forwarded-Proto decides over `secure`.
[[nodiscard]] Peer client_of_request(const Peer& direct, const boost::beast::http::fields& headers,
                                     const IpNetworks& trusted);

}  // namespace session_buddy::server
