// Parses and formats IP addresses with inet_pton and inet_ntop. IPv4 is stored as IPv4-mapped IPv6, so that one prefix
// match covers both.
#include "session_buddy/core/ip_address.hpp"

#include <arpa/inet.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "session_buddy/core/list_items.hpp"

namespace session_buddy {

namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned kMappedBits = 96;
constexpr unsigned kAllBits = 128;
constexpr std::size_t kClientNetworkBytes = 8;

IpAddress masked(const IpAddress& address, unsigned prefix) {
    auto bytes = address.bytes();
    for (std::size_t index = 0; index < bytes.size(); ++index) {
        const auto before = static_cast<unsigned>(index) * 8;
        const unsigned kept = prefix <= before ? 0 : std::min(8U, prefix - before);
        bytes.at(index) = static_cast<std::uint8_t>(bytes.at(index) & (0xff00U >> kept));
    }
    return IpAddress(bytes);
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    if (text.size() >= INET6_ADDRSTRLEN) {
        return std::nullopt;
    }
    const std::string terminated(text);
    Bytes bytes{};
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin());
    if (::inet_pton(AF_INET, terminated.c_str(), bytes.data() + kMappedPrefix.size()) == 1 ||
        ::inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) {
        // inet_pton stops at a zero byte, so a text that contains one is rejected.
        return terminated.find('\0') == std::string::npos ? std::optional(IpAddress(bytes)) : std::nullopt;
    }
    return std::nullopt;
}

bool IpAddress::is_v4() const {
    return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin());
}

bool IpAddress::is_loopback() const {
    constexpr Bytes kIpv6Loopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    constexpr std::uint8_t kIpv4LoopbackNetwork = 127;
    return is_v4() ? bytes_[kMappedPrefix.size()] == kIpv4LoopbackNetwork : bytes_ == kIpv6Loopback;
}

IpAddress IpAddress::client_network() const {
    return is_v4() ? *this : masked(*this, kClientNetworkBytes * 8);
}

std::string IpAddress::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const auto* result = is_v4() ? ::inet_ntop(AF_INET, bytes_.data() + kMappedPrefix.size(), text.data(), text.size())
                                 : ::inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
    return result == nullptr ? "?" : result;
}

IpNetworks IpNetworks::parse(std::string_view text) {
    IpNetworks parsed;
    for (const auto item : list_items(text)) {
        if (item == "loopback") {
            parsed.networks_.push_back({*IpAddress::parse("127.0.0.0"), kMappedBits + 8});
            parsed.networks_.push_back({*IpAddress::parse("::1"), kAllBits});
        } else {
            const auto slash = item.find('/');
            const auto base = IpAddress::parse(item.substr(0, slash));
            unsigned prefix = kAllBits;
            bool good = base.has_value();
            if (good && slash != std::string_view::npos) {
                const auto digits = item.substr(slash + 1);
                const auto* end = digits.data() + digits.size();
                const auto [stop, error] = std::from_chars(digits.data(), end, prefix);
                good = error == std::errc() && stop == end && prefix <= (base->is_v4() ? 32U : kAllBits);
                prefix += base->is_v4() ? kMappedBits : 0;
            }
            if (!good || masked(*base, prefix) != *base) {
                throw std::invalid_argument(std::string(item));
            }
            parsed.networks_.push_back({*base, prefix});
        }
    }
    return parsed;
}

bool IpNetworks::contains(const IpAddress& address) const {
    return std::any_of(networks_.begin(), networks_.end(),
                       [&address](const Network& network) { return masked(address, network.prefix) == network.base; });
}

}  // namespace session_buddy
