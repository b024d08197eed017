// A set of living objects of one kind, each in it for as long as it holds its handle. For one thread.
#pragma once

#include <unordered_set>
#include <utility>
#include <vector>

namespace session_buddy::server {

template <typename T>
class Registry {
  public:
    /// Takes its object out again when it goes. The registry must outlive it.
    class Handle {
      public:
        Handle() = default;
        Handle(Registry& registry, T& member) : registry_(&registry), member_(&member) {
            registry_->members_.insert(member_);
        }
        ~Handle() { reset(); }
        Handle(Handle&& other) noexcept
            : registry_(std::exchange(other.registry_, nullptr)), member_(std::exchange(other.member_, nullptr)) {}
        Handle& operator=(Handle&& other) noexcept {
            if (this != &other) {
                reset();
                registry_ = std::exchange(other.registry_, nullptr);
                member_ = std::exchange(other.member_, nullptr);
            }
            return *this;
        }

        void reset() noexcept {
            if (registry_ != nullptr) {
                registry_->members_.erase(member_);
                registry_ = nullptr;
                member_ = nullptr;
            }
        }
        explicit operator bool() const noexcept { return registry_ != nullptr; }

      private:
        Registry* registry_ = nullptr;
        T* member_ = nullptr;
    };

    Registry() = default;
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    [[nodiscard]] Handle add(T& member) { return Handle(*this, member); }
    [[nodiscard]] bool empty() const { return members_.empty(); }
    [[nodiscard]] const std::unordered_set<T*>& members() const { return members_; }
    /// The members of this moment, for calls that may change the set.
    [[nodiscard]] std::vector<T*> copy() const { return {members_.begin(), members_.end()}; }

  private:
    std::unordered_set<T*> members_;
};

}  // namespace session_buddy::server
