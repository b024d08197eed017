// Validates Host and Origin: protection against DNS rebinding, cross-site WebSockets and cross-origin requests.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

#include "session_buddy/core/config.hpp"
#include "session_buddy/core/origin.hpp"

namespace session_buddy::server {

class OriginPolicy {
  public:
    enum class Verdict : std::uint8_t { allowed, host_refused, origin_refused };

    /// Throws PatternError for patterns that options::check() rejects.
    explicit OriginPolicy(const Config& config);

    /// Must be called for every address that the server listens on.
    void add_listener(const IpAddress& address);

    /// `secure`: the request came over TLS, to this server or to a proxy in front of it.
    [[nodiscard]] Verdict check(const boost::beast::http::fields& headers, bool secure) const;

  private:
    [[nodiscard]] bool allows_host(const Host& host) const;
    [[nodiscard]] bool allows_origin(std::string_view text, const Authority& host, bool secure) const;

    const OriginPatterns origins_;
    const HostPatterns hosts_;
    const std::optional<Host> own_host_;  // the option `host`; nullopt for an IPv6 address
    bool beyond_loopback_ = false;
};

}  // namespace session_buddy::server
