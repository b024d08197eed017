// Creates valid and invalid JSON Web Tokens with OpenSSL, independently of cjose.
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <string>
#include <string_view>

namespace session_buddy::test {

inline std::string base64url(std::string_view bytes) {
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                    static_cast<int>(bytes.size()));
    text.pop_back();
    text.resize(text.find_last_not_of('=') + 1);
    for (char& character : text) {
        character = character == '+' ? '-' : character == '/' ? '_' : character;
    }
    return text;
}

/// Signs with HMAC-SHA256, regardless of `header`.
inline std::string signed_token(std::string_view claims, std::string_view secret, std::string_view header) {
    const std::string body = base64url(header) + '.' + base64url(claims);
    std::array<unsigned char, EVP_MAX_MD_SIZE> signature{};
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(body.data()), body.size(), signature.data(), &size);
    return body + '.' + base64url({reinterpret_cast<const char*>(signature.data()), size});
}

}  // namespace session_buddy::test
