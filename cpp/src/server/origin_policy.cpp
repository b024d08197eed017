// Compares Host and Origin with loopback, the own names, and the patterns of allow_host and allow_origin.
#include "origin_policy.hpp"

#include <iterator>

namespace session_buddy::server {

namespace http = boost::beast::http;

OriginPolicy::OriginPolicy(const Config& config)
    : origins_(OriginPatterns::parse(config.allow_origin)),
      hosts_(HostPatterns::parse(config.allow_host)),
      own_host_(Host::parse(config.host)) {}

void OriginPolicy::add_listener(const IpAddress& address) {
    beyond_loopback_ = beyond_loopback_ || !address.is_loopback();
}

OriginPolicy::Verdict OriginPolicy::check(const http::fields& headers, bool secure) const {
    const auto [host, hosts_end] = headers.equal_range(http::field::host);
    const auto [origin, origins_end] = headers.equal_range(http::field::origin);
    if (host == hosts_end) {
        // Browsers always send Host. A request without it comes from a program, such as an HTTP/1.0 health probe.
        return origin == origins_end ? Verdict::allowed : Verdict::host_refused;
    }
    const auto authority = std::next(host) == hosts_end ? Authority::parse(host->value()) : std::nullopt;
    if (!authority || !allows_host(authority->host)) {
        return Verdict::host_refused;
    }
    if (origin == origins_end) {
        return Verdict::allowed;
    }
    const bool allowed = std::next(origin) == origins_end && allows_origin(origin->value(), *authority, secure);
    return allowed ? Verdict::allowed : Verdict::origin_refused;
}

// Against DNS rebinding: if evil.example resolves to our address, the browser treats this server as same-origin with
// that page. The name in Host reveals it. A literal address cannot be rebound.
bool OriginPolicy::allows_host(const Host& host) const {
    return host.is_loopback() || (host.address && beyond_loopback_) || host == own_host_ || hosts_.contains(host);
}

bool OriginPolicy::allows_origin(std::string_view text, const Authority& host, bool secure) const {
    if (text == "null") {
        return origins_.contains_null();
    }
    const auto origin = Origin::parse(text);
    return origin &&
           (origin->is_loopback() || *origin == Origin::of_request(host, secure) || origins_.contains(*origin));
}

}  // namespace session_buddy::server
