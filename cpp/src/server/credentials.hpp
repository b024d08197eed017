// Where a request shows a token: in a header, or, from a browser, among the WebSocket subprotocols. Never in its URL,
// which ends in logs.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace session_buddy::server {

struct Credentials {
    enum class Source : std::uint8_t { none, header, subprotocol };
    Source source = Source::none;
    std::string token;        ///< empty where it could not be made out
    std::string subprotocol;  ///< the one that carries a token, to be chosen in the answer to an upgrade; else empty
};

inline constexpr std::string_view kLacksRead = "The token lacks the scope read";
inline constexpr std::string_view kLacksMetrics = "The token lacks the scopes metrics and read";
inline constexpr std::string_view kLacksWrite = "The token lacks the scope write";

/// Of a request that passed check_request, which refuses a second Authorization. A header wins over a subprotocol; one
/// of another scheme than Bearer holds no token.
[[nodiscard]] Credentials extract_credentials(const boost::beast::http::fields& headers);

}  // namespace session_buddy::server
