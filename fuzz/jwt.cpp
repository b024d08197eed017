// Fuzzes JSON Web Tokens: arbitrary input as a token, and arbitrary headers and claims with a valid signature.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "auth/jwt_signer.hpp"
#include "auth/jwt_verifier.hpp"
#include "check.hpp"

namespace session_buddy::fuzz {
namespace {

constexpr std::string_view kSecret = "a secret that only the harness of the fuzzer knows";
constexpr TimePoint kNow{std::chrono::seconds{1'800'000'000}};

Config with_secret() {
    Config config;
    config.jwt_secret = kSecret;
    config.jwt_audience = "me";
    config.jwt_issuer = "you";
    return config;
}

// The first line is the header, the rest the claims.
std::string signed_by_us(std::string_view text) {
    const auto end = std::min(text.find('\n'), text.size());
    return test::signed_token(text.substr(std::min(end + 1, text.size())), kSecret, text.substr(0, end));
}

void check_verdict(const auth::Verdict& verdict) {
    if (const auto* identity = std::get_if<auth::Identity>(&verdict)) {
        check(identity->expires_at && *identity->expires_at > kNow, "an accepted token expires in the future");
        check(!identity->fingerprint.empty(), "an accepted token has a fingerprint");
    } else {
        check(!std::get<auth::Rejection>(verdict).reason.empty(), "a rejection has a reason");
    }
}

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    static const auth::JwtVerifier verifier = [] {
        fuzz::forbid_logged_errors();
        return auth::JwtVerifier(fuzz::with_secret());
    }();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto verdict = verifier.check(text, fuzz::kNow);
    fuzz::check(std::holds_alternative<auth::Rejection>(verdict), "a token without a valid signature is rejected");
    fuzz::check_verdict(verdict);
    fuzz::check_verdict(verifier.check(fuzz::signed_by_us(text), fuzz::kNow));
    return 0;
}
