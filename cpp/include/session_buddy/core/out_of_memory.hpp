// Handling of allocation failures and unexpected exceptions in threads: the process continues if that is safe, and
// otherwise shuts down gracefully.
#pragma once

#include <functional>
#include <thread>

namespace session_buddy::out_of_memory {

/// Allocates an emergency reserve and installs a new-handler that releases it at the first failed allocation, so that
/// handling the failure (unwinding, a log line, a 503 response) finds memory. Process-wide: only for the server
/// program, not for embedded servers.
void reserve();
/// Allocates the reserve again after memory was freed. Does nothing if reserve() was never called.
void refill() noexcept;

/// Starts a thread. If `body` throws, the error is logged and the handler of on_thread_failure(), if any, is called.
[[nodiscard]] std::thread start_thread(const char* name, std::function<void()> body);
void on_thread_failure(void (*handler)()) noexcept;

}  // namespace session_buddy::out_of_memory
