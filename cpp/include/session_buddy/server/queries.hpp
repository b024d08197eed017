// Interface through which the network layer submits the queries of the HTTP API to other threads.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "session_buddy/protocol/api_request.hpp"
#include "session_buddy/server/http_reply.hpp"

namespace session_buddy::server {

struct QueryRequest {
    protocol::ApiQuery query{};
    std::string accept{};           ///< Accept, as sent; empty if missing
    std::string accept_encoding{};  ///< Accept-Encoding, likewise
    std::string if_none_match{};    ///< If-None-Match, likewise
    std::size_t clients = 0;        ///< connected WebSocket clients
    bool may_see_paths = false;     ///< the client is local or authenticated
};

class Queries {
  public:
    virtual ~Queries() = default;
    using Done = std::function<void(HttpReply)>;
    /// Called on the network thread: must not block or throw. `done` must be called exactly once, on any thread, before
    /// the NetworkServer is destroyed.
    virtual void submit(QueryRequest request, Done done) = 0;
};

}  // namespace session_buddy::server
