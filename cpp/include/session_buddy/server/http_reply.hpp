// One HTTP response, from the thread that answers the request.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "session_buddy/protocol/api_request.hpp"
#include "session_buddy/protocol/problem.hpp"
#include "session_buddy/server/body.hpp"

namespace session_buddy::server {

struct HttpReply {
    unsigned status = 200;
    Body body{};
    std::string content_type = "application/json";               ///< not sent if the body is empty
    std::vector<std::pair<std::string, std::string>> headers{};  ///< in addition to Content-Type and Content-Length
    bool close = false;                                          ///< close the connection after it
};

/// 202, without a body.
[[nodiscard]] inline HttpReply accepted() {
    return {.status = 202};
}

/// A problem document (protocol/problem.hpp); `detail` is a sentence. `retry_after`: seconds; 0: no Retry-After.
[[nodiscard]] HttpReply http_error(unsigned status, std::string_view code, std::string_view detail,
                                   const std::vector<protocol::ProblemMember>& members = {}, unsigned retry_after = 0);

/// 400 that names the parameter.
[[nodiscard]] HttpReply bad_parameter(const protocol::BadParameter& bad);

}  // namespace session_buddy::server
