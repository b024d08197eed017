// Content negotiation and conditional requests: Content-Type, Accept-Encoding, If-None-Match, gzip and entity tags.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace session_buddy::server {

/// The media type of a Content-Type, without parameters such as charset, in lower case.
[[nodiscard]] std::string media_type(std::string_view content_type);

/// Whether Accept-Encoding (RFC 9110, 12.5.3) allows gzip, by name or "*", with a weight above 0.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding);

/// Whether If-None-Match (RFC 9110, 13.1.2) contains `etag`, by weak comparison; "*" matches every tag.
[[nodiscard]] bool etag_matches(std::string_view if_none_match, std::string_view etag);

/// `level`: of zlib; use 5 for a response sent once, 9 for one that is cached.
[[nodiscard]] std::string gzip_compress(std::string_view bytes, int level);

/// The opaque part of an entity tag: the first half of the SHA-256 of the concatenated parts, in hex.
[[nodiscard]] std::string etag_digest(std::initializer_list<std::string_view> parts);

}  // namespace session_buddy::server
