// What a process does when memory runs out, or when a thread fails in another way that nothing expects: it goes on
// where that is safe, and stops gracefully where it is not.
#pragma once

#include <functional>
#include <thread>

namespace session_buddy::out_of_memory {

/// Sets memory aside that is released when an allocation fails for the first time: what handles the failure (unwinding,
/// a log line, an answer with 503) finds some. For the whole process, so only a program that is nothing else calls it.
void reserve();
/// Sets it aside again, once much was freed. Nothing where reserve() was never called.
void refill() noexcept;

/// Starts a thread. What `body` throws is logged, and `on_thread_failure` is called; without one the thread just ends.
[[nodiscard]] std::thread start_thread(const char* name, std::function<void()> body);
void on_thread_failure(void (*handler)()) noexcept;

}  // namespace session_buddy::out_of_memory
