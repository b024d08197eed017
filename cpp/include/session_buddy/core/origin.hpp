// Web origins (RFC 6454) and hosts in requests and settings. Names are compared as ASCII and never resolved.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/ip_address.hpp"

namespace session_buddy {

/// A host name in lower case, or an address.
struct Host {
    std::string name;  ///< empty if it is an address
    std::optional<IpAddress> address;

    /// Parses "example.org", "192.0.2.1" or "[2001:db8::1]"; nullopt for other text, such as a name with a final dot.
    [[nodiscard]] static std::optional<Host> parse(std::string_view text);
    /// localhost, a name under it, 127.0.0.0/8 or ::1.
    [[nodiscard]] bool is_loopback() const;
    friend bool operator==(const Host&, const Host&) = default;
};

/// The value of a Host header.
struct Authority {
    Host host;
    std::optional<std::uint16_t> port;

    [[nodiscard]] static std::optional<Authority> parse(std::string_view text);
};

struct Origin {
    std::string scheme;  ///< in lower case
    Host host;
    std::optional<std::uint16_t> port;  ///< always set for http and https

    /// Parses "https://example.org:8443"; nullopt for other text, including `null` (an opaque origin).
    [[nodiscard]] static std::optional<Origin> parse(std::string_view text);
    /// The origin of a resource of this server.
    [[nodiscard]] static Origin of_request(const Authority& host, bool secure);
    /// Whether the host is loopback and the scheme http or https, on any port.
    [[nodiscard]] bool is_loopback() const;
    friend bool operator==(const Origin&, const Origin&) = default;
};

/// An invalid item in a list of patterns; what() says how to fix it.
class PatternError : public std::invalid_argument {
  public:
    PatternError(std::string_view item, const char* remedy) : std::invalid_argument(remedy), item_(item) {}
    [[nodiscard]] const std::string& item() const noexcept { return item_; }

  private:
    std::string item_;
};

/// An exact host, or "*.name" for every name below `name`, but not `name` itself.
class HostPattern {
  public:
    [[nodiscard]] static std::optional<HostPattern> parse(std::string_view text);
    [[nodiscard]] bool matches(const Host& host) const;

  private:
    Host exact_;
    std::string suffix_;  // ".example.org"; empty for an exact host
};

/// A set of hosts.
class HostPatterns {
  public:
    /// Comma-separated hosts and "*.example.org"; empty for none. Throws PatternError.
    [[nodiscard]] static HostPatterns parse(std::string_view text);
    [[nodiscard]] bool contains(const Host& host) const;

  private:
    std::vector<HostPattern> patterns_;
};

/// A set of origins.
class OriginPatterns {
  public:
    /// Comma-separated origins, "https://*.example.org" and "null"; empty for none. Throws PatternError.
    [[nodiscard]] static OriginPatterns parse(std::string_view text);
    [[nodiscard]] bool contains(const Origin& origin) const;
    [[nodiscard]] bool contains_null() const { return null_; }

  private:
    struct Pattern {
        std::string scheme;
        HostPattern host;
        std::optional<std::uint16_t> port;
    };
    std::vector<Pattern> patterns_;
    bool null_ = false;
};

}  // namespace session_buddy
