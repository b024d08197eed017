// JSON Web Tokens (RFC 7519): signatures by cjose, claims by the rules of the RFC. One key, and so one algorithm.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "session_buddy/auth/authenticator.hpp"

namespace session_buddy::auth {

struct SigningKey;  // of cjose, which shows in no header

/// The algorithm follows from the key: HS256 from a secret, RS256 from an RSA key, ES256 from a P-256 key. A token that
/// names another one is refused before its signature is looked at, so a public key is never taken for a secret.
class JwtVerifier {
  public:
    /// With `config.jwt_secret`, else the PEM public key in the file `config.jwt_public_key`. Throws AuthError: a
    /// secret under 32 bytes (RFC 7518, section 3.2), an RSA key under 2048 bits (section 3.3), another curve.
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
