// Parses origins, hosts and patterns of them, with remedies for the usual mistakes.
#include "session_buddy/core/origin.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/list_items.hpp"

namespace session_buddy {

namespace {

constexpr std::size_t kMaxNameLength = 253;  // limit of DNS
constexpr std::size_t kMaxPortDigits = 5;

bool is_name(std::string_view text) {
    const bool known = std::ranges::all_of(text, [](char c) { return ascii::is_alphanumeric_or("-_.", c); });
    return known && !text.empty() && text.size() <= kMaxNameLength && !text.starts_with('.') && !text.ends_with('.') &&
           text.find("..") == std::string_view::npos;
}

bool is_scheme(std::string_view text) {
    return !text.empty() && !ascii::is_digit(text.front()) && ascii::is_alphanumeric(text.front()) &&
           std::ranges::all_of(text, [](char c) { return ascii::is_alphanumeric_or("+-.", c); });
}

std::optional<std::uint16_t> default_port(std::string_view scheme) {
    if (scheme == "http") {
        return 80;
    }
    return scheme == "https" ? std::optional<std::uint16_t>(443) : std::nullopt;
}

struct HostAndPort {
    std::string_view host;
    std::optional<std::uint16_t> port;
};

std::optional<HostAndPort> split_port(std::string_view text) {
    // The colons of an IPv6 address are inside brackets.
    const auto colon = text.find(':', text.starts_with('[') ? std::min(text.find(']'), text.size()) : 0);
    if (colon == std::string_view::npos) {
        return HostAndPort{text, std::nullopt};
    }
    const auto digits = text.substr(colon + 1);
    const auto* end = digits.data() + digits.size();
    std::uint16_t port = 0;
    const auto [stop, error] = std::from_chars(digits.data(), end, port);
    if (error != std::errc() || stop != end || digits.size() > kMaxPortDigits) {
        return std::nullopt;
    }
    return HostAndPort{text.substr(0, colon), port};
}

struct SchemeAndRest {
    std::string scheme;
    std::string_view rest;
};

std::optional<SchemeAndRest> split_scheme(std::string_view text) {
    constexpr std::string_view kSeparator = "://";
    const auto end = text.find(kSeparator);
    if (end == std::string_view::npos || !is_scheme(text.substr(0, end))) {
        return std::nullopt;
    }
    return SchemeAndRest{ascii::lower(text.substr(0, end)), text.substr(end + kSeparator.size())};
}

constexpr const char* kEmptyItem = "it is an empty item; remove the comma";
constexpr const char* kNotAscii = "write the name as browsers send it, in ASCII (xn--…)";

const char* remedy_of_origin(std::string_view item, const std::optional<SchemeAndRest>& split) {
    if (item.empty()) {
        return kEmptyItem;
    }
    if (item == "*" || (split && split->rest == "*")) {
        return "it would allow every web page to read the metrics; list the origins, such as "
               "https://app.example.org or https://*.example.org";
    }
    if (!ascii::is_ascii(item)) {
        return kNotAscii;
    }
    if (!split) {
        return "write it with its scheme, such as https://app.example.org";
    }
    if (split->scheme == "ws" || split->scheme == "wss") {
        return "the origin of a page begins with http:// or https://";
    }
    if (split->rest.find_first_of("/?#") != std::string_view::npos) {
        return "leave out the path and the slash after the host";
    }
    return "it is not an origin: write scheme, host and, unless it is the default, port, such as "
           "https://app.example.org:8443";
}

const char* remedy_of_host(std::string_view item) {
    if (item.empty()) {
        return kEmptyItem;
    }
    if (item == "*") {
        return "it would allow DNS rebinding from any web page; list the hosts, such as app.example.org or "
               "*.example.org";
    }
    return ascii::is_ascii(item)
               ? "write only the name, without scheme, port and path, such as app.example.org or *.example.org"
               : kNotAscii;
}

}  // namespace

std::optional<Host> Host::parse(std::string_view text) {
    if (text.starts_with('[')) {
        const auto inside = text.ends_with(']') ? text.substr(1, text.size() - 2) : std::string_view();
        const auto address = inside.find(':') == std::string_view::npos ? std::nullopt : IpAddress::parse(inside);
        return address ? std::optional(Host{{}, address}) : std::nullopt;
    }
    if (!is_name(text)) {
        return std::nullopt;
    }
    const auto address = IpAddress::parse(text);
    return address ? Host{{}, address} : Host{ascii::lower(text), std::nullopt};
}

bool Host::is_loopback() const {
    return address ? address->is_loopback() : name == "localhost" || name.ends_with(".localhost");
}

std::optional<Authority> Authority::parse(std::string_view text) {
    const auto split = split_port(text);
    auto host = split ? Host::parse(split->host) : std::nullopt;
    return host ? std::optional(Authority{*std::move(host), split->port}) : std::nullopt;
}

std::optional<Origin> Origin::parse(std::string_view text) {
    auto split = split_scheme(text);
    auto authority = split ? Authority::parse(split->rest) : std::nullopt;
    if (!authority) {
        return std::nullopt;
    }
    const auto port = authority->port ? authority->port : default_port(split->scheme);
    return Origin{std::move(split->scheme), std::move(authority->host), port};
}

Origin Origin::of_request(const Authority& host, bool secure) {
    const char* scheme = secure ? "https" : "http";
    return {scheme, host.host, host.port ? host.port : default_port(scheme)};
}

bool Origin::is_loopback() const {
    return (scheme == "http" || scheme == "https") && host.is_loopback();
}

std::optional<HostPattern> HostPattern::parse(std::string_view text) {
    HostPattern pattern;
    const bool names_below = text.starts_with("*.");
    auto host = Host::parse(names_below ? text.substr(2) : text);
    if (!host || (names_below && host->address)) {
        return std::nullopt;
    }
    if (names_below) {
        pattern.suffix_ = '.' + host->name;
    } else {
        pattern.exact_ = *std::move(host);
    }
    return pattern;
}

bool HostPattern::matches(const Host& host) const {
    return suffix_.empty() ? host == exact_ : host.name.ends_with(suffix_);
}

HostPatterns HostPatterns::parse(std::string_view text) {
    HostPatterns parsed;
    if (text.empty()) {
        return parsed;
    }
    for (const auto item : list_items(text)) {
        auto pattern = HostPattern::parse(item);
        if (!pattern) {
            throw PatternError(item, remedy_of_host(item));
        }
        parsed.patterns_.push_back(*std::move(pattern));
    }
    return parsed;
}

bool HostPatterns::contains(const Host& host) const {
    return std::any_of(patterns_.begin(), patterns_.end(),
                       [&host](const HostPattern& pattern) { return pattern.matches(host); });
}

OriginPatterns OriginPatterns::parse(std::string_view text) {
    OriginPatterns parsed;
    if (text.empty()) {
        return parsed;
    }
    for (const auto item : list_items(text)) {
        if (item == "null") {
            parsed.null_ = true;
            continue;
        }
        const auto split = split_scheme(item);
        const auto authority = split ? split_port(split->rest) : std::nullopt;
        auto host = authority ? HostPattern::parse(authority->host) : std::nullopt;
        if (!host || split->scheme == "ws" || split->scheme == "wss") {
            throw PatternError(item, remedy_of_origin(item, split));
        }
        parsed.patterns_.push_back(
            {split->scheme, *std::move(host), authority->port ? authority->port : default_port(split->scheme)});
    }
    return parsed;
}

bool OriginPatterns::contains(const Origin& origin) const {
    return std::any_of(patterns_.begin(), patterns_.end(), [&origin](const Pattern& pattern) {
        return pattern.scheme == origin.scheme && pattern.port == origin.port && pattern.host.matches(origin.host);
    });
}

}  // namespace session_buddy
