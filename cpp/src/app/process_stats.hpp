// CPU time, memory and file descriptors of this process.
#pragma once

#include <optional>

#include "session_buddy/core/server_stats.hpp"

namespace session_buddy::app {

/// nullopt on systems without /proc.
[[nodiscard]] std::optional<ProcessStats> process_stats();

}  // namespace session_buddy::app
