// Time of the connections: monotonic, passed in by those that read the clock.
#pragma once

#include <chrono>

#include "session_buddy/core/config.hpp"

namespace session_buddy::server {

using SteadyTime = std::chrono::steady_clock::time_point;

[[nodiscard]] inline SteadyTime::duration steady(Seconds seconds) {
    return std::chrono::duration_cast<SteadyTime::duration>(seconds);
}

}  // namespace session_buddy::server
