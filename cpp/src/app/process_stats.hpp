// What the system knows about this process.
#pragma once

#include <optional>

#include "session_buddy/core/server_stats.hpp"

namespace session_buddy::app {

/// Nothing where the system has no /proc.
[[nodiscard]] std::optional<ProcessStats> process_stats();

}  // namespace session_buddy::app
