// Checks repeated headers, Host, message framing and the WebSocket handshake.
#include "request_check.hpp"

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include "replies.hpp"

namespace session_buddy::server {

namespace {

namespace http = boost::beast::http;
using Request = http::request<http::string_body>;

// If one of these is repeated, one server may use the first and another the last.
constexpr std::array kSingle{
    http::field::host,          http::field::content_length,    http::field::origin,
    http::field::authorization, http::field::sec_websocket_key, http::field::sec_websocket_version};

HttpReply bad_request(std::string_view message) {
    return http_error(400, "bad_request", message);
}

HttpReply bad_header(http::field name, std::string_view fault) {
    const auto text = http::to_string(name);
    return bad_request("The header " + std::string(text.data(), text.size()) + ' ' + std::string(fault));
}

std::string_view value_of(const Request& request, http::field name) {
    const auto value = request[name];
    return {value.data(), value.size()};
}

bool is_repeated(const Request& request, http::field name) {
    return request.count(name) > 1;
}

bool is_host(std::string_view value) {
    return value.find_first_of(" \t,/\\?#@") == std::string_view::npos;
}

// 16 bytes in base64.
bool is_websocket_key(std::string_view value) {
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    constexpr std::string_view kLast = "AQgw";  // digits whose four unused low bits are zero
    constexpr std::size_t kDigits = 22;
    return value.size() == kDigits + 2 && value.ends_with("==") &&
           value.substr(0, kDigits).find_first_not_of(kAlphabet) == std::string_view::npos &&
           kLast.find(value[kDigits - 1]) != std::string_view::npos;
}

// Beast has parsed "gzip, chunked" as chunked, too, and rejected a Content-Length next to it.
bool is_chunked_only(const Request& request) {
    constexpr unsigned kHttp11 = 11;  // a proxy of HTTP/1.0 may pass the header on without understanding it
    return request.version() >= kHttp11 && !is_repeated(request, http::field::transfer_encoding) &&
           boost::beast::iequals(value_of(request, http::field::transfer_encoding), "chunked");
}

std::optional<HttpReply> check_framing(const Request& request, BodyFraming framing) {
    // A proxy that parses this header differently finds the next request at another offset.
    if (request.count(http::field::transfer_encoding) > 0) {
        if (framing == BodyFraming::length) {
            return http_error(411, "length_required",
                              "A body needs a Content-Length; Transfer-Encoding is not accepted");
        }
        if (!is_chunked_only(request)) {
            return http_error(
                411, "length_required",
                "A body needs a Content-Length or, in HTTP/1.1, the Transfer-Encoding \"chunked\" and no other");
        }
    }
    if (value_of(request, http::field::content_length).find(',') != std::string_view::npos) {
        return bad_header(http::field::content_length, "must be a single number");
    }
    if (!request.body().empty() && (request.method() == http::verb::get || request.method() == http::verb::head)) {
        return bad_request("A GET request has no body");
    }
    return std::nullopt;
}

std::optional<HttpReply> check_handshake(const Request& request) {
    if (is_repeated(request, http::field::upgrade)) {
        return bad_header(http::field::upgrade, "is repeated");
    }
    // Beast would send the 100 from a moved-from message.
    if (request.count(http::field::expect) > 0) {
        return http_error(417, "expectation_failed", "A WebSocket handshake has no body to expect");
    }
    if (!is_websocket_key(value_of(request, http::field::sec_websocket_key))) {
        return bad_header(http::field::sec_websocket_key, "must be 16 bytes in base64");
    }
    if (request.count(http::field::sec_websocket_version) == 0) {
        return bad_header(http::field::sec_websocket_version, "is missing");
    }
    if (value_of(request, http::field::sec_websocket_version) != "13") {
        return upgrade_required("Unsupported WebSocket version: only 13 is supported", "13");
    }
    return std::nullopt;
}

std::optional<HttpReply> find_fault(const Request& request, BodyFraming framing) {
    const auto* const repeated =
        std::ranges::find_if(kSingle, [&](http::field name) { return is_repeated(request, name); });
    if (repeated != kSingle.end()) {
        return bad_header(*repeated, "is repeated");
    }
    if (request.version() >= 11 && request.count(http::field::host) == 0) {
        return bad_header(http::field::host, "is missing");
    }
    if (!is_host(value_of(request, http::field::host))) {
        return bad_header(http::field::host, "must be a host name or an address, with an optional port");
    }
    // An absolute URL contains a host, which may differ from the Host header.
    if (!request.target().starts_with('/')) {
        return bad_request("The target of the request must be a path");
    }
    if (auto reply = check_framing(request, framing)) {
        return reply;
    }
    return boost::beast::websocket::is_upgrade(request) ? check_handshake(request) : std::nullopt;
}

}  // namespace

std::optional<HttpReply> check_request(const Request& request, BodyFraming framing) {
    auto reply = find_fault(request, framing);
    if (reply) {
        reply->close = true;
    }
    return reply;
}

}  // namespace session_buddy::server
