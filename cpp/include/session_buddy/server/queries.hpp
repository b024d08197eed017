// The way of questions out of the network side: who answers GET requests that need more than the network thread has.
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
    std::string query{};            ///< what stands behind the question mark, as sent
    std::string accept{};           ///< of the headers, as sent; empty for none
    std::string accept_encoding{};  ///< likewise
    std::string if_none_match{};    ///< likewise
    std::size_t clients = 0;        ///< WebSocket clients at this moment
    bool may_see_paths = false;     ///< the client is on this machine, or has shown a token
};

struct QueryResponse {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;  ///< besides Content-Type, Content-Length
    Body body;
};

class Queries {
  public:
    virtual ~Queries() = default;
    using Done = std::function<void(QueryResponse)>;
    /// Called on the network thread: must not block, nor throw. `done` must be called exactly once, on any thread,
    /// before the network side is gone.
    virtual void submit(QueryRequest request, Done done) = 0;
};

}  // namespace session_buddy::server
