// See subscription.hpp.
#include "session_buddy/protocol/subscription.hpp"

#include <algorithm>
#include <utility>

namespace session_buddy::protocol {

Subscription::Subscription(std::vector<std::string> names) : names_(std::move(names)) {
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
    return key;
}

}  // namespace session_buddy::protocol
