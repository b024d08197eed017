// SHA-256 and constant-time comparison.
#pragma once

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <array>
#include <string>
#include <string_view>

namespace session_buddy::auth {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

[[nodiscard]] inline Digest sha256(std::string_view bytes) {
    Digest digest{};
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
    return digest;
}

[[nodiscard]] inline bool equal_in_constant_time(const Digest& left, const Digest& right) {
    return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

[[nodiscard]] inline std::string to_bytes(const Digest& digest) {
    return {digest.begin(), digest.end()};
}

}  // namespace session_buddy::auth
