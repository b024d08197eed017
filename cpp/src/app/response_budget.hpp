// A memory budget for the bodies of HTTP responses that clients have not read yet.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>

#include "session_buddy/server/body.hpp"

namespace session_buddy::app {

/// A body counts once, until the last connection that shares it has sent it. Thread-safe.
class ResponseBudget {
  public:
    explicit ResponseBudget(std::size_t limit) : limit_(limit) {}

    /// Whether the budget is used up.
    [[nodiscard]] bool exhausted() const { return *used_ >= limit_; }

    /// Returns the same body, counted until it is released; nullopt if it would exceed the limit. A body larger than
    /// the limit is admitted if no other is being sent, because otherwise no client could ever get it.
    [[nodiscard]] std::optional<server::Body> admit(const server::Body& body) {
        const std::size_t size = body.size();
        if (const std::size_t before = used_->fetch_add(size); before > 0 && before + size > limit_) {
            *used_ -= size;
            return std::nullopt;
        }
        const std::shared_ptr<const void> counted(body.data(),
                                                  [used = used_, owner = body.owner(), size](auto) mutable {
                                                      owner.reset();
                                                      *used -= size;
                                                  });
        return server::Body({body.data(), size}, counted);
    }

  private:
    std::size_t limit_;
    std::shared_ptr<std::atomic<std::size_t>> used_ = std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace session_buddy::app
