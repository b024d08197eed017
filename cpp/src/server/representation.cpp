// Parses Accept-Encoding and If-None-Match, compresses with zlib, and hashes with OpenSSL.
#include "session_buddy/server/representation.hpp"

#include <openssl/evp.h>
#include <zlib.h>

#include <array>
#include <boost/beast/core/string.hpp>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <span>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/list_items.hpp"

namespace session_buddy::server {

namespace {

using boost::beast::iequals;

// "0", "0.", "0.0", …
bool is_zero(std::string_view weight) {
    return !weight.empty() && weight.find_first_not_of("0.") == std::string_view::npos;
}

std::string_view without_weakness(std::string_view etag) {
    return etag.starts_with("W/") ? etag.substr(2) : etag;
}

}  // namespace

std::string media_type(std::string_view content_type) {
    return ascii::lower(split_next(content_type, ';'));
}

// Not with Beast's ext_list: it gives an item without parameters at the end of a list those of the item before it.
bool accepts_gzip(std::string_view accept_encoding) {
    std::optional<bool> named;
    std::optional<bool> any;
    while (!accept_encoding.empty()) {
        auto item = split_next(accept_encoding, ',');
        const auto coding = split_next(item, ';');
        bool wanted = true;
        while (!item.empty()) {
            auto parameter = split_next(item, ';');
            const auto name = split_next(parameter, '=');
            wanted = wanted && !(iequals(name, "q") && is_zero(trimmed(parameter)));
        }
        if (iequals(coding, "gzip") || iequals(coding, "x-gzip")) {
            named = wanted;
        } else if (coding == "*") {
            any = wanted;
        }
    }
    return named.value_or(any.value_or(false));
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
    if (trimmed(if_none_match) == "*") {
        return true;
    }
    while (!if_none_match.empty()) {
        if (without_weakness(split_next(if_none_match, ',')) == without_weakness(etag)) {
            return true;
        }
    }
    return false;
}

std::string gzip_compress(std::string_view bytes, int level) {
    constexpr int kGzip = 16;  // added to the window bits: gzip format
    constexpr int kMemoryLevel = 9;
    z_stream stream{};
    if (deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS + kGzip, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::bad_alloc();
    }
    const std::unique_ptr<z_stream, decltype(&deflateEnd)> end(&stream, deflateEnd);
    std::string out(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
    // zlib only reads the input, although its type is not const.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) {  // deflateBound() is the worst case
        throw std::bad_alloc();
    }
    out.resize(stream.total_out);
    out.shrink_to_fit();  // the worst case was reserved
    return out;
}

std::string etag_digest(std::initializer_list<std::string_view> parts) {
    constexpr std::size_t kBytes = 16;
    constexpr std::string_view kHex = "0123456789abcdef";
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    bool good = context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
    for (const auto part : parts) {
        good = good && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    }
    if (!good || EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
        throw std::bad_alloc();  // SHA-256 fails only for lack of memory
    }
    std::string hex;
    for (const unsigned char byte : std::span(digest).first<kBytes>()) {
        hex += kHex[byte >> 4U];
        hex += kHex[byte & 0xfU];
    }
    return hex;
}

}  // namespace session_buddy::server
