// Interface through which the network layer submits the queries of the HTTP API to other threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "session_buddy/server/body.hpp"

namespace session_buddy::server {

struct QueryRequest {
    enum class Kind : std::uint8_t {
        server_info,  ///< GET /api/v1/server
        skills,       ///< GET /api/v1/skills
        skill,        ///< GET /api/v1/skill
        series,       ///< GET /api/v1/series
        anomalies,    ///< GET /api/v1/anomalies
        sessions,     ///< GET /api/v1/sessions
        metrics,      ///< GET /metrics
    };
    Kind kind = Kind::server_info;
    std::string query{};            ///< the query string after "?", as sent
    std::string accept{};           ///< Accept, as sent; empty if missing
    std::string accept_encoding{};  ///< Accept-Encoding, likewise
    std::string if_none_match{};    ///< If-None-Match, likewise
    std::size_t clients = 0;        ///< connected WebSocket clients
    bool may_see_paths = false;     ///< the client is local or authenticated
};

struct QueryResponse {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;  ///< in addition to Content-Type and Content-Length
    Body body;
};

class Queries {
  public:
    virtual ~Queries() = default;
    using Done = std::function<void(QueryResponse)>;
    /// Called on the network thread: must not block or throw. `done` must be called exactly once, on any thread, before
    /// the NetworkServer is destroyed.
    virtual void submit(QueryRequest request, Done done) = 0;
};

}  // namespace session_buddy::server
