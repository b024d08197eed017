// Interface through which the network layer submits the bodies of ingestion requests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

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

struct IntakeResponse {
    unsigned status = 202;
    std::string body{};        ///< JSON, or empty
    unsigned retry_after = 0;  ///< seconds; 0: no Retry-After header
};

class Intake {
  public:
    virtual ~Intake() = default;
    using Done = std::function<void(IntakeResponse)>;
    /// Called on the network thread: must not block or throw. `done` must be called exactly once, on any thread, before
    /// the NetworkServer is destroyed.
    virtual void submit(IntakeRequest request, Done done) = 0;
};

}  // namespace session_buddy::server
