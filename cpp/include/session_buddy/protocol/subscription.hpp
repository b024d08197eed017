// A subscription: the skills and anomalies a client receives, in canonical form, so that equal subscriptions share one
// rendered message.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace session_buddy::protocol {

/// Maximum names in a `skill_names` array.
inline constexpr std::size_t kMaxSkillNames = 50;

/// Which anomalies of its skills a subscription receives, and with how much detail.
struct AnomalyView {
    double min_deviation = 0.0;  ///< minimum deviation_score; finite, not negative
    bool details = false;        ///< include the details of each anomaly and skill

    bool operator==(const AnomalyView&) const = default;
};

class Subscription {
  public:
    /// All skills.
    Subscription() = default;
    /// These skills only; duplicates count once. An empty list means all skills.
    explicit Subscription(std::vector<std::string> names, AnomalyView anomalies = {});

    [[nodiscard]] bool all() const { return names_.empty(); }
    /// Sorted and unique; empty if all() is true.
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
    [[nodiscard]] const AnomalyView& anomalies() const { return anomalies_; }
    /// A unique key: equal if and only if the subscriptions are equal. Each name ends with a newline, as names have no
    /// control characters; the anomaly view follows the last one.
    [[nodiscard]] std::string key() const;

    bool operator==(const Subscription&) const = default;

  private:
    std::vector<std::string> names_;
    AnomalyView anomalies_;
};

}  // namespace session_buddy::protocol
