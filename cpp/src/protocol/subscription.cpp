// Canonical subscriptions and their keys.
#include "session_buddy/protocol/subscription.hpp"

#include <algorithm>
#include <utility>

#include "json_text.hpp"

namespace session_buddy::protocol {

Subscription::Subscription(std::vector<std::string> names, AnomalyView anomalies)
    : names_(std::move(names)), anomalies_(anomalies) {
    std::ranges::sort(names_);
    const auto repeated = std::ranges::unique(names_);
    names_.erase(repeated.begin(), repeated.end());
}

std::string Subscription::key() const {
    std::string key;
    for (const auto& name : names_) {
        key += name;
        key += '\n';
    }
    if (anomalies_.min_deviation > 0.0) {  // not for -0.0, which equals 0.0
        json_text::append_number(key, anomalies_.min_deviation);
    }
    if (anomalies_.details) {
        key += '+';
    }
    return key;
}

}  // namespace session_buddy::protocol
