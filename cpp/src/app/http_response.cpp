// Entity tags, 304 and gzip for API responses.
#include "http_response.hpp"

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

server::HttpReply to_response(protocol::ApiBody body, const server::QueryRequest& request) {
    const std::string tag = entity_tag(body);
    server::HttpReply response;
    response.headers = {{"ETag", tag}, {"Cache-Control", "no-cache"}, {"Vary", "Origin, Accept-Encoding"}};
    if (server::etag_matches(request.if_none_match, tag)) {
        response.status = 304;
    } else {
        response.body = std::move(body.text);
    }
    return response;
}

void compress(server::HttpReply& response, const server::QueryRequest& request) {
    if (response.body.size() >= kMinCompressedBytes && server::accepts_gzip(request.accept_encoding)) {
        response.body = server::gzip_compress({response.body.data(), response.body.size()}, kCompressionLevel);
        response.headers.emplace_back("Content-Encoding", "gzip");
    }
}

}  // namespace session_buddy::app
