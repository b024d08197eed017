// The client of a connection or request.
#pragma once

#include <string>

#include "session_buddy/core/ip_address.hpp"

namespace session_buddy::server {

struct Peer {
    IpAddress address;       ///< limits count per address
    std::string name;        ///< for logs: "192.0.2.1:5555", "198.51.100.7 through 127.0.0.1:5555"
    bool secure = false;     ///< over TLS, to this server or to the proxy
    bool proxy = false;      ///< a trusted proxy, which forwards requests of any client
    bool forwarded = false;  ///< a client behind a trusted proxy
};

}  // namespace session_buddy::server
