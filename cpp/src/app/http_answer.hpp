// What HTTP asks of an answer beside its data: its entity tag, "not modified", and compression.
#pragma once

#include <string_view>

#include "session_buddy/protocol/api_response.hpp"
#include "session_buddy/server/queries.hpp"

namespace session_buddy::app {

/// 200 with a weak entity tag over what does not vary of the body, or 304 where the client has that already.
[[nodiscard]] server::QueryResponse to_answer(protocol::ApiBody body, const server::QueryRequest& request);

/// Puts gzip in the place of a body that is worth it, where the client takes it, and the headers that say so.
void compress(server::QueryResponse& answer, const server::QueryRequest& request);

}  // namespace session_buddy::app
