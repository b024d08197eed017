// Which skills a client wants to hear of. The same set of names is the same subscription, however it was asked for.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace session_buddy::protocol {

/// Names in one `skill_names` array.
inline constexpr std::size_t kMaxSkillNames = 50;

class Subscription {
  public:
    /// All skills.
    Subscription() = default;
    /// These skills alone; duplicates count once. An empty list means all skills.
    explicit Subscription(std::vector<std::string> names);

    [[nodiscard]] bool all() const { return names_.empty(); }
    /// Sorted, each once; empty where all() is true.
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
    /// Equal for equal subscriptions and for no others. Names hold no control characters, so a newline can join them.
    [[nodiscard]] std::string key() const;

    bool operator==(const Subscription&) const = default;

  private:
    std::vector<std::string> names_;
};

}  // namespace session_buddy::protocol
