// Memory for the one operation that a connection waits for nearly all of its life.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace session_buddy::server {

/// Asio keeps blocks of operations that are over for those to come, whatever their size: what waits for long in one
/// that was made for something larger holds all of it. In here it takes what it needs, and nothing is allocated each
/// time. One operation at a time has the memory; another one gets memory of its own. Must outlive the operation.
class HandlerSlot {
  public:
    HandlerSlot() = default;
    HandlerSlot(const HandlerSlot&) = delete;
    HandlerSlot& operator=(const HandlerSlot&) = delete;

    [[nodiscard]] void* acquire(std::size_t bytes) {
        if (in_use_ || bytes > sizeof storage_) {
            return ::operator new(bytes);
        }
        in_use_ = true;
        return storage_.data();
    }
    void release(void* memory) noexcept {
        if (memory == storage_.data()) {
            in_use_ = false;
        } else {
            ::operator delete(memory);
        }
    }

    /// As Asio asks a handler for it.
    template <typename T>
    struct Allocator {
        using value_type = T;
        explicit Allocator(HandlerSlot& its_slot) noexcept : slot(&its_slot) {}
        template <typename U>
        Allocator(const Allocator<U>& other) noexcept : slot(other.slot) {}  // NOLINT(google-explicit-constructor)
        [[nodiscard]] T* allocate(std::size_t count) {
            static_assert(alignof(T) <= alignof(void*));
            return static_cast<T*>(slot->acquire(count * sizeof(T)));
        }
        void deallocate(T* memory, std::size_t /*count*/) noexcept { slot->release(memory); }
        template <typename U>
        bool operator==(const Allocator<U>& other) const noexcept {
            return slot == other.slot;
        }
        HandlerSlot* slot;
    };

  private:
    static constexpr std::size_t kBytes = 112;  // of a wait, on 64 bits
    alignas(void*) std::array<std::byte, kBytes> storage_{};
    bool in_use_ = false;
};

}  // namespace session_buddy::server
