// Entity tags, 304 and gzip for API responses.
#include "http_answer.hpp"

#include <string>
#include <string_view>
#include <utility>

#include "session_buddy/server/representation.hpp"

namespace session_buddy::app {
namespace {

// A smaller body fits into one packet.
constexpr std::size_t kMinCompressedBytes = 1024;
constexpr int kCompressionLevel = 5;

std::string entity_tag(const protocol::ApiBody& body) {
    const std::string_view text = body.text;
    return "W/\"" + server::etag_digest({text.substr(0, body.volatile_begin), text.substr(body.volatile_end)}) + '"';
}

}  // namespace

server::QueryResponse to_answer(protocol::ApiBody body, const server::QueryRequest& request) {
    const std::string tag = entity_tag(body);
    server::QueryResponse answer;
    answer.headers = {{"ETag", tag}, {"Cache-Control", "no-cache"}, {"Vary", "Origin, Accept-Encoding"}};
    if (server::etag_matches(request.if_none_match, tag)) {
        answer.status = 304;
    } else {
        answer.body = std::move(body.text);
    }
    return answer;
}

void compress(server::QueryResponse& answer, const server::QueryRequest& request) {
    if (answer.body.size() >= kMinCompressedBytes && server::accepts_gzip(request.accept_encoding)) {
        answer.body = server::gzip_compress({answer.body.data(), answer.body.size()}, kCompressionLevel);
        answer.headers.emplace_back("Content-Encoding", "gzip");
    }
}

}  // namespace session_buddy::app
