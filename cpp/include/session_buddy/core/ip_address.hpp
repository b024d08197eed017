// IP addresses of clients and networks of proxies, for limits, logs and settings. No name is ever resolved.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace session_buddy {

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address (::ffff:192.0.2.1) equals the IPv4 address.
class IpAddress {
  public:
    using Bytes = std::array<std::uint8_t, 16>;  ///< network order; IPv4 as ::ffff:a.b.c.d

    IpAddress() = default;  ///< ::
    explicit IpAddress(const Bytes& bytes) : bytes_(bytes) {}
    /// Dotted quad or IPv6, without a zone, a port or brackets; nullopt for other text.
    [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

    [[nodiscard]] bool is_v4() const;
    [[nodiscard]] bool is_loopback() const;  ///< 127.0.0.0/8 or ::1
    /// What per-address limits count as one client: an IPv4 address, or the /64 of an IPv6 address, which one host
    /// gets.
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
    /// Comma-separated items: an address, a network ("10.0.0.0/8", "2001:db8::/32") or `loopback` (127.0.0.0/8 and
    /// ::1). Throws std::invalid_argument with the first invalid item; an empty item and a network with host bits set
    /// are invalid.
    [[nodiscard]] static IpNetworks parse(std::string_view text);
    [[nodiscard]] bool contains(const IpAddress& address) const;

  private:
    struct Network {
        IpAddress base;
        unsigned prefix = 128;  // in bits of the 16 bytes
    };
    std::vector<Network> networks_;
};

}  // namespace session_buddy
