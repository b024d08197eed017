// See http_answer.hpp.
#include "http_answer.hpp"

#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace session_buddy::app {
namespace {

constexpr std::size_t kTagBytes = 16;  // of SHA-256
// A smaller body fits into one packet anyway.
constexpr std::size_t kWorthCompressing = 1024;

std::string tag_of(const protocol::ApiBody& body) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    const std::string_view text = body.text;
    const auto add = [&](std::string_view part) {
        return EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    };
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1 ||
        !add(text.substr(0, body.varies_from)) || !add(text.substr(body.varies_to)) ||
        EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
        throw std::bad_alloc();  // nothing else can be wrong with it
    }
    std::string tag = "W/\"";
    for (std::size_t i = 0; i < kTagBytes; ++i) {
        fmt::format_to(std::back_inserter(tag), "{:02x}", digest.at(i));
    }
    return tag + '"';
}

std::string_view trimmed(std::string_view text) {
    const auto first = std::min(text.find_first_not_of(" \t"), text.size());
    text.remove_prefix(first);
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// Calls `visit` with each part of a list in a header.
template <typename Visit>
void for_each_item(std::string_view list, char separator, Visit visit) {
    while (!list.empty()) {
        const auto end = std::min(list.find(separator), list.size());
        visit(trimmed(list.substr(0, end)));
        list.remove_prefix(std::min(end + 1, list.size()));
    }
}

// By weak comparison: the tag is the same, weak or not.
bool names_tag(std::string_view if_none_match, std::string_view weak_tag) {
    const std::string_view opaque = weak_tag.substr(2);
    bool found = false;
    for_each_item(if_none_match, ',', [&](std::string_view item) {
        item = item.starts_with("W/") ? item.substr(2) : item;
        found = found || item == "*" || item == opaque;
    });
    return found;
}

bool equal_ignoring_case(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right,
                              [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

bool takes_gzip(std::string_view accept_encoding) {
    bool any = false;
    bool named = false;
    bool gzip = false;
    for_each_item(accept_encoding, ',', [&](std::string_view item) {
        std::string_view coding = trimmed(item.substr(0, item.find(';')));
        // A weight of nothing but zeros: "not this one".
        bool wanted = true;
        for_each_item(item, ';', [&](std::string_view parameter) {
            if (parameter.starts_with("q=") || parameter.starts_with("Q=")) {
                wanted = parameter.substr(2).find_first_of("123456789") != std::string_view::npos;
            }
        });
        if (equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip")) {
            named = true;
            gzip = gzip || wanted;
        } else if (coding == "*") {
            any = wanted;
        }
    });
    return named ? gzip : any;
}

std::string gzipped(std::string_view text) {
    constexpr int kLevel = 5;
    constexpr int kGzip = 16;  // with a header of gzip, says zlib's manual
    constexpr int kMemoryLevel = 8;
    z_stream stream{};
    if (deflateInit2(&stream, kLevel, Z_DEFLATED, MAX_WBITS + kGzip, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::bad_alloc();
    }
    const std::unique_ptr<z_stream, decltype(&deflateEnd)> end(&stream, deflateEnd);
    std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
    // zlib reads it alone, though its type does not say so.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // NOLINT
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());  // NOLINT
    stream.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) {
        throw std::bad_alloc();
    }
    out.resize(stream.total_out);
    return out;
}

}  // namespace

server::QueryAnswer to_answer(protocol::ApiBody body, const server::QueryRequest& request) {
    const std::string tag = tag_of(body);
    server::QueryAnswer answer;
    answer.headers = {{"ETag", tag}, {"Cache-Control", "no-cache"}, {"Vary", "Origin, Accept-Encoding"}};
    if (names_tag(request.if_none_match, tag)) {
        answer.status = 304;
    } else {
        answer.body = std::move(body.text);
    }
    return answer;
}

void compress(server::QueryAnswer& answer, const server::QueryRequest& request) {
    if (answer.body.size() >= kWorthCompressing && takes_gzip(request.accept_encoding)) {
        answer.body = gzipped(answer.body);
        answer.headers.emplace_back("Content-Encoding", "gzip");
    }
}

}  // namespace session_buddy::app
