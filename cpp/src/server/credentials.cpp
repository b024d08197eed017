// Parses "Authorization: Bearer …" and the subprotocol "bearer.…".
#include "credentials.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <string_view>

namespace session_buddy::server {

namespace {

namespace http = boost::beast::http;

constexpr std::string_view kScheme = "Bearer";
constexpr std::string_view kSubprotocolPrefix = "bearer.";

// The token of "Bearer <token>" (RFC 6750, section 2.1); empty for anything else.
std::string bearer_token(std::string_view value) {
    const auto blank = value.find(' ');
    if (blank == std::string_view::npos || !boost::beast::iequals(value.substr(0, blank), kScheme)) {
        return {};
    }
    const auto begin = value.find_first_not_of(' ', blank);
    return begin == std::string_view::npos ? std::string() : std::string(value.substr(begin));
}

}  // namespace

Credentials extract_credentials(const http::fields& headers) {
    Credentials credentials;
    const auto offered = headers.equal_range(http::field::sec_websocket_protocol);
    for (auto line = offered.first; line != offered.second && credentials.subprotocol.empty(); ++line) {
        for (const auto& item : http::token_list(line->value())) {
            const std::string_view name(item.data(), item.size());
            if (name.starts_with(kSubprotocolPrefix)) {
                credentials = {.source = Credentials::Source::subprotocol,
                               .token = std::string(name.substr(kSubprotocolPrefix.size())),
                               .subprotocol = std::string(name)};
                break;
            }
        }
    }
    if (const auto line = headers.find(http::field::authorization); line != headers.end()) {
        credentials.source = Credentials::Source::header;
        credentials.token = bearer_token({line->value().data(), line->value().size()});
    }
    return credentials;
}

}  // namespace session_buddy::server
