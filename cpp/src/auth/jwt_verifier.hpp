// JSON Web Tokens (RFC 7519): cjose verifies signatures, this class checks the claims. One key, one algorithm.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "session_buddy/auth/authenticator.hpp"

namespace session_buddy::auth {

struct SigningKey;  // keeps cjose out of this header

/// The key determines the algorithm: HS256 for a secret, RS256 for an RSA key, ES256 for a P-256 key. A token with
/// another `alg` is rejected before its signature is verified, which rules out algorithm confusion attacks.
class JwtVerifier {
  public:
    /// Uses the PEM public key in the file `config.jwt_public_key`, else `config.jwt_secret`. Throws AuthError for a
    /// secret under 32 bytes (RFC 7518, section 3.2), an RSA key under 2048 bits (section 3.3), or another curve.
    explicit JwtVerifier(const Config& config);
    ~JwtVerifier();
    JwtVerifier(JwtVerifier&&) noexcept;
    JwtVerifier& operator=(JwtVerifier&&) = delete;

    [[nodiscard]] Verdict check(std::string_view token, TimePoint now) const;
    [[nodiscard]] bool still_accepts(const Identity& identity) const;
    [[nodiscard]] std::string_view algorithm() const;

  private:
    std::unique_ptr<const SigningKey> key_;
    std::string audience_;
    std::string issuer_;
    std::chrono::microseconds leeway_;
};

}  // namespace session_buddy::auth
