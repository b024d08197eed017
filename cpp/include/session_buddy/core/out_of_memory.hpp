// A reserve of memory, so that the process can handle a failed allocation and continue.
#pragma once

namespace session_buddy::out_of_memory {

/// Allocates an emergency reserve and installs a new-handler that releases it at the first failed allocation, so that
/// handling the failure (unwinding, a log line, a 503 response) finds memory. Process-wide: only for the server
/// program, not for embedded servers.
void reserve();
/// Allocates the reserve again after memory was freed. Does nothing if reserve() was never called.
void refill() noexcept;

}  // namespace session_buddy::out_of_memory
