// Addresses of clients and networks of proxies, as limits, logs and settings use them. No name is ever resolved.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace session_buddy {

/// An IPv4 or IPv6 address. An IPv4 address that is written as IPv6 (::ffff:192.0.2.1) is the IPv4 address.
class IpAddress {
  public:
    using Bytes = std::array<std::uint8_t, 16>;  ///< network order; IPv4 as ::ffff:a.b.c.d

    IpAddress() = default;  ///< ::
    explicit IpAddress(const Bytes& bytes) : bytes_(bytes) {}
    /// Dotted quad or IPv6, without a zone, a port or brackets. Nothing for other text.
    [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

    [[nodiscard]] bool is_v4() const;
    [[nodiscard]] bool is_loopback() const;  ///< 127.0.0.0/8 or ::1
    /// What counts as one client: an IPv4 address itself, of an IPv6 address the /64, which is what one host gets.
    [[nodiscard]] IpAddress client_network() const;
    [[nodiscard]] std::string to_string() const;
    [[nodiscard]] const Bytes& bytes() const { return bytes_; }

    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

  private:
    Bytes bytes_{};
};

/// A set of addresses.
class IpNetworks {
  public:
    /// Items separated by commas: an address, a network ("10.0.0.0/8", "2001:db8::/32") or `loopback` (127.0.0.0/8 and
    /// ::1). Throws std::invalid_argument with the item that is none of these; so is an empty list, and a network with
    /// bits beyond its prefix.
    [[nodiscard]] static IpNetworks parse(std::string_view text);
    [[nodiscard]] bool contains(const IpAddress& address) const;

  private:
    struct Network {
        IpAddress base;
        unsigned prefix = 128;  // of the 16 bytes
    };
    std::vector<Network> networks_;
};

}  // namespace session_buddy
