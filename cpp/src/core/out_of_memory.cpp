// The emergency memory reserve, released by a new-handler, and threads that log an escaping exception.
#include "session_buddy/core/out_of_memory.hpp"

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <utility>

#include "session_buddy/core/log.hpp"

namespace session_buddy::out_of_memory {
namespace {

constexpr log::Logger kLogger{"session_buddy.server"};
constexpr std::size_t kReservedBytes = std::size_t{4} << 20U;

std::atomic<std::byte*> reserved{nullptr};
std::atomic<void (*)()> failure_handler{nullptr};

// The new-handler: operator new calls it and retries if it returns.
void release() {
    std::byte* const memory = reserved.exchange(nullptr);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    ::operator delete(memory);
}

}  // namespace

void reserve() {
    reserved = static_cast<std::byte*>(::operator new(kReservedBytes));
    std::set_new_handler(&release);
}

void refill() noexcept {
    if (std::get_new_handler() != &release || reserved != nullptr) {
        return;
    }
    try {
        auto* const memory = static_cast<std::byte*>(::operator new(kReservedBytes));
        std::byte* expected = nullptr;
        if (!reserved.compare_exchange_strong(expected, memory)) {
            ::operator delete(memory);
        }
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the next call tries again
    }
}

std::thread start_thread(const char* name, std::function<void()> body) {
    return std::thread([name, body = std::move(body)] {
        try {
            body();
        } catch (const std::exception& error) {
            kLogger.error("the {} thread failed: {}", name, error.what());
            if (auto* const handler = failure_handler.load(); handler != nullptr) {
                handler();
            }
        }
    });
}

void on_thread_failure(void (*handler)()) noexcept {
    failure_handler = handler;
}

}  // namespace session_buddy::out_of_memory
