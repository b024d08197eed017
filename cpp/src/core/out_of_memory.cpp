// The emergency memory reserve, released by a new-handler.
#include "session_buddy/core/out_of_memory.hpp"

#include <atomic>
#include <cstddef>
#include <new>

namespace session_buddy::out_of_memory {
namespace {

constexpr std::size_t kReservedBytes = std::size_t{4} << 20U;

std::atomic<std::byte*> reserved{nullptr};

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

}  // namespace session_buddy::out_of_memory
