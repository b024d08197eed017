// Extracts the bearer token of a request: from the Authorization header or, for browsers, from a WebSocket
// subprotocol. Never from the URL, which ends up in logs.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace session_buddy::server {

struct Credentials {
    enum class Source : std::uint8_t { none, header, subprotocol };
    Source source = Source::none;
    std::string token;        ///< empty if malformed
    std::string subprotocol;  ///< the subprotocol with the token, to be selected in the upgrade response; else empty
};

inline constexpr std::string_view kLacksRead = "The token lacks the scope read";
inline constexpr std::string_view kLacksMetrics = "The token has neither the scope metrics nor the scope read";

/// For a request that passed check_request(), which rejects a second Authorization header. The header takes precedence
/// over a subprotocol; a scheme other than Bearer yields no token.
[[nodiscard]] Credentials extract_credentials(const boost::beast::http::fields& headers);

}  // namespace session_buddy::server
