// Interface through which the network layer submits the bodies of ingestion requests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "session_buddy/server/http_reply.hpp"

namespace session_buddy::server {

struct IntakeRequest {
    enum class Kind : std::uint8_t {
        hook,         ///< POST /hooks/claude-code: one hook event
        invocations,  ///< POST /api/v1/invocations
    };
    Kind kind = Kind::hook;
    std::string content_type;  ///< as sent; empty if missing
    std::string body;
};

class Intake {
  public:
    virtual ~Intake() = default;
    using Done = std::function<void(HttpReply)>;
    /// Called on the network thread: must not block or throw. `done` must be called exactly once, on any thread, before
    /// the NetworkServer is destroyed.
    virtual void submit(IntakeRequest request, Done done) = 0;
};

}  // namespace session_buddy::server
