// A set of live objects; each is a member while it holds its handle. Not thread-safe.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace session_buddy::server {

template <typename T>
class Registry {
  public:
    /// Removes its object when destroyed. The registry must outlive it.
    class Handle {
      public:
        Handle() = default;
        Handle(Registry& registry, T& member) : registry_(&registry), index_(registry.entries_.size()) {
            registry.entries_.push_back({&member, this});
        }
        ~Handle() { reset(); }
        Handle(Handle&& other) noexcept : registry_(std::exchange(other.registry_, nullptr)), index_(other.index_) {
            update_entry();
        }
        Handle& operator=(Handle&& other) noexcept {
            if (this != &other) {
                reset();
                registry_ = std::exchange(other.registry_, nullptr);
                index_ = other.index_;
                update_entry();
            }
            return *this;
        }

        void reset() noexcept {
            if (auto* registry = std::exchange(registry_, nullptr)) {
                auto& entries = registry->entries_;
                entries[index_] = entries.back();
                entries[index_].handle->index_ = index_;
                entries.pop_back();
            }
        }
        explicit operator bool() const noexcept { return registry_ != nullptr; }

      private:
        void update_entry() noexcept {
            if (registry_ != nullptr) {
                registry_->entries_[index_].handle = this;
            }
        }
        Registry* registry_ = nullptr;
        std::size_t index_ = 0;  // in entries_
    };

    Registry() = default;
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    [[nodiscard]] Handle add(T& member) { return Handle(*this, member); }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    /// Calls visit(member) for each member. A visit may remove its own member, but no other, and may add members, which
    /// are not visited in this pass.
    template <typename Visit>
    void for_each(Visit visit) {
        // Backwards, because a removed entry is replaced by the last one.
        for (std::size_t index = entries_.size(); index-- > 0;) {
            // With thousands of members each visit would be a cache miss.
            if (index >= kPrefetchDistance) {
                __builtin_prefetch(entries_[index - kPrefetchDistance].member);
            }
            visit(*entries_[index].member);
        }
    }

  private:
    static constexpr std::size_t kPrefetchDistance = 4;
    struct Entry {
        T* member;
        Handle* handle;
    };
    std::vector<Entry> entries_;
};

}  // namespace session_buddy::server
