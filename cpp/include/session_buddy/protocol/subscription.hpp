// Which skills a client wants to hear of, and which of their anomalies. The same wishes are the same subscription,
// however they were asked for.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace session_buddy::protocol {

/// Names in one `skill_names` array.
inline constexpr std::size_t kMaxSkillNames = 50;

/// What a subscription wants of the anomalies of its skills.
struct AnomalyView {
    double min_deviation = 0.0;  ///< those with at least this deviation_score; finite, not negative
    bool details = false;        ///< with what explains each

    bool operator==(const AnomalyView&) const = default;
};

class Subscription {
  public:
    /// All skills.
    Subscription() = default;
    /// These skills alone; duplicates count once. An empty list means all skills.
    explicit Subscription(std::vector<std::string> names, AnomalyView anomalies = {});

    [[nodiscard]] bool all() const { return names_.empty(); }
    /// Sorted, each once; empty where all() is true.
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
    [[nodiscard]] const AnomalyView& anomalies() const { return anomalies_; }
    /// Equal for equal subscriptions and for no others. Names hold no control characters, so a newline ends each; what
    /// stands behind the last one is the view of the anomalies.
    [[nodiscard]] std::string key() const;

    bool operator==(const Subscription&) const = default;

  private:
    std::vector<std::string> names_;
    AnomalyView anomalies_;
};

}  // namespace session_buddy::protocol
