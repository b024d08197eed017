// Inline storage for the asynchronous wait that a connection has pending nearly all of its life.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace session_buddy::server {

/// Asio recycles the memory of completed operations, so a long wait may occupy a block that was allocated for something
/// larger. This slot holds one operation at a time without an allocation; further or larger ones get heap memory. Must
/// outlive the operation.
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

    /// The associated allocator of a handler.
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
    static constexpr std::size_t kBytes = 112;  // size of a wait operation on 64-bit platforms
    alignas(void*) std::array<std::byte, kBytes> storage_{};
    bool in_use_ = false;
};

}  // namespace session_buddy::server
