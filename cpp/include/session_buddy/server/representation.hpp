// The forms of an answer: which one a client takes (Accept-Encoding), whether it has it already (If-None-Match), and
// the making of both.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace session_buddy::server {

/// Whether an Accept-Encoding (RFC 9110, 12.5.3) takes gzip: by its name or "*", with a weight above 0.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding);

/// Whether an If-None-Match (RFC 9110, 13.1.2) holds `etag`, weak and strong ones being the same; "*" holds every one.
[[nodiscard]] bool etag_matches(std::string_view if_none_match, std::string_view etag);

/// Zlib's levels: 5 for what is sent once, 9 for what is kept.
[[nodiscard]] std::string gzip_compress(std::string_view bytes, int level);

/// What an entity tag has between its quotes: half a SHA-256 of the parts one after the other, in hex.
[[nodiscard]] std::string etag_digest(std::initializer_list<std::string_view> parts);

}  // namespace session_buddy::server
