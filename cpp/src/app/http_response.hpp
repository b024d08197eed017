// The HTTP parts of an API response: entity tag, conditional requests (304) and compression.
#pragma once

#include <string_view>

#include "session_buddy/protocol/api_response.hpp"
#include "session_buddy/server/queries.hpp"

namespace session_buddy::app {

/// 200 with a weak entity tag over the part of the body that does not vary, or 304 if the client has that already.
[[nodiscard]] server::HttpReply to_response(protocol::ApiBody body, const server::QueryRequest& request);

/// Compresses the body with gzip and sets Content-Encoding, if the client accepts gzip and the body is large enough.
void compress(server::HttpReply& response, const server::QueryRequest& request);

}  // namespace session_buddy::app
