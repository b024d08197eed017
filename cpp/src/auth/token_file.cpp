// Parses the token file, and finds tokens by their digest.
#include "token_file.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::auth {

namespace {

constexpr std::string_view kBlanks = " \t\r,";
constexpr std::string_view kDigestPrefix = "sha256:";
// 128 bits in base64. Shorter tokens are probably not random.
constexpr std::size_t kMinStrongTokenLength = 22;

// Splits a line into words, without its comment. A # starts a comment only at the start of a word.
std::vector<std::string_view> split_words(std::string_view line) {
    std::vector<std::string_view> words;
    while (true) {
        const auto begin = line.find_first_not_of(kBlanks);
        if (begin == std::string_view::npos || line[begin] == '#') {
            return words;
        }
        line.remove_prefix(begin);
        const auto end = std::min(line.find_first_of(kBlanks), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

// Whether this is a b64token (RFC 6750, section 2.1).
bool is_bearer_token(std::string_view word) {
    const auto body = word.substr(0, word.find_last_not_of('=') + 1);
    return !body.empty() && std::ranges::all_of(body, [](char c) { return ascii::is_alphanumeric_or("-._~+/", c); });
}

std::optional<Digest> parse_digest(const std::string& digits) {
    Digest digest{};
    std::size_t size = 0;
    const bool read = digits.size() == 2 * digest.size() &&
                      OPENSSL_hexstr2buf_ex(digest.data(), digest.size(), &size, digits.c_str(), '\0') == 1;
    ERR_clear_error();
    return read && size == digest.size() ? std::optional(digest) : std::nullopt;
}

}  // namespace

TokenFile TokenFile::parse(std::string_view text, const std::string& path) {
    TokenFile file;
    std::map<Digest, std::size_t> lines;
    std::size_t short_tokens = 0;
    std::size_t first_short_line = 0;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const auto words = split_words(line);
        if (words.empty()) {
            continue;
        }
        const auto fail = [&](std::string_view reason) {
            return AuthError(fmt::format("cannot use the token file {}: line {}: {}", path, number, reason));
        };
        Entry entry;
        if (words.front().starts_with(kDigestPrefix)) {
            const auto digest = parse_digest(std::string(words.front().substr(kDigestPrefix.size())));
            if (!digest) {
                throw fail("sha256: must be followed by 64 hexadecimal digits");
            }
            entry.digest = *digest;
        } else if (!is_bearer_token(words.front())) {
            throw fail("a token consists of letters, digits and - . _ ~ + /, with = only at the end");
        } else if (words.front().size() > kMaxTokenBytes) {
            throw fail(fmt::format("the token is too long: at most {} bytes are accepted", kMaxTokenBytes));
        } else {
            if (words.front().size() < kMinStrongTokenLength && ++short_tokens == 1) {
                first_short_line = number;
            }
            entry.digest = sha256(words.front());
        }
        for (auto word = words.begin() + 1; word != words.end(); ++word) {
            const auto scope = kScopes.find(*word);
            if (!scope) {
                throw fail("unknown scope: the token may be followed by read, write and metrics");
            }
            entry.scopes.add(*scope);
        }
        if (entry.scopes.empty()) {
            entry.scopes.add(Scope::read);
        }
        if (const auto [line_before, is_new] = lines.emplace(entry.digest, number); !is_new) {
            throw fail(fmt::format("it repeats the token of line {}", line_before->second));
        }
        file.entries_.push_back(entry);
    }
    if (short_tokens > 0) {
        log::kAuth.warning(
            "{} tokens in {} are short enough to be guessed (the first in line {}): generate tokens with openssl rand "
            "-hex 32",
            short_tokens, path, first_short_line);
    }
    if (file.entries_.empty()) {
        throw AuthError(fmt::format("cannot use the token file {}: there is no token in it", path));
    }
    return file;
}

std::optional<Identity> TokenFile::find(std::string_view token) const {
    const Digest digest = sha256(token);
    const Entry* found = nullptr;
    for (const Entry& entry : entries_) {
        if (equal_in_constant_time(entry.digest, digest)) {
            found = &entry;
        }
    }
    if (found == nullptr) {
        return std::nullopt;
    }
    return Identity{.scopes = found->scopes, .expires_at = std::nullopt, .fingerprint = to_bytes(digest)};
}

bool TokenFile::still_accepts(const Identity& identity) const {
    return std::ranges::any_of(entries_, [&identity](const Entry& entry) {
        return std::ranges::equal(
                   entry.digest, identity.fingerprint,
                   [](unsigned char left, char right) { return left == static_cast<unsigned char>(right); }) &&
               entry.scopes == identity.scopes;
    });
}

}  // namespace session_buddy::auth
