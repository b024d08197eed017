// Loads the key, verifies signatures with cjose, and checks the claims.
#include "jwt_verifier.hpp"

#include <cjose/base64.h>
#include <cjose/cjose.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include "digest.hpp"
#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/releaser.hpp"
#include "session_buddy/core/small_file.hpp"

namespace session_buddy::auth {

struct SigningKey {
    const char* algorithm;
    std::unique_ptr<cjose_jwk_t, Releaser<cjose_jwk_release>> jwk;
    Digest fingerprint;
};

namespace {

using Json = nlohmann::json;

constexpr std::size_t kMinSecretBytes = 32;
constexpr int kMinRsaBits = 2048;
// Later NumericDates (after the year 9999) are mistakes, and would overflow TimePoint.
constexpr double kMaxNumericDate = 253402300800.0;

using Bio = std::unique_ptr<BIO, Releaser<BIO_free>>;
using PublicKey = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, Releaser<BN_free>>;
using Jwk = decltype(SigningKey::jwk);
using Jws = std::unique_ptr<cjose_jws_t, Releaser<cjose_jws_release>>;

[[noreturn]] void fail_key(const Config& config, std::string_view reason) {
    ERR_clear_error();
    throw AuthError(fmt::format("cannot use the JWT public key {}: {}", config.jwt_public_key, reason));
}

std::vector<std::uint8_t> bignum_parameter(const EVP_PKEY* key, const char* name) {
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) {
        return {};
    }
    const Number number(raw);
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(BN_num_bytes(number.get())));
    BN_bn2bin(number.get(), bytes.data());
    return bytes;
}

SigningKey from_secret(const std::string& secret) {
    if (secret.size() < kMinSecretBytes) {
        throw AuthError(fmt::format(
            "jwt_secret is too short: HS256 needs {} bytes or more; generate one with openssl rand -base64 48",
            kMinSecretBytes));
    }
    if (secret.starts_with("-----BEGIN")) {
        throw AuthError(
            "jwt_secret must not be a PEM key; store a public key in a file and set jwt_public_key to its path");
    }
    cjose_err error{};
    return {.algorithm = CJOSE_HDR_ALG_HS256,
            .jwk = Jwk(
                cjose_jwk_create_oct_spec(reinterpret_cast<const std::uint8_t*>(secret.data()), secret.size(), &error)),
            .fingerprint = sha256(secret)};
}

SigningKey from_rsa(const EVP_PKEY* key, const Config& config, const Digest& fingerprint) {
    if (EVP_PKEY_get_bits(key) < kMinRsaBits) {
        fail_key(config,
                 fmt::format("its {} bits are too few: RS256 needs at least {}", EVP_PKEY_get_bits(key), kMinRsaBits));
    }
    auto modulus = bignum_parameter(key, OSSL_PKEY_PARAM_RSA_N);
    auto exponent = bignum_parameter(key, OSSL_PKEY_PARAM_RSA_E);
    cjose_jwk_rsa_keyspec spec{};
    spec.n = modulus.data();
    spec.nlen = modulus.size();
    spec.e = exponent.data();
    spec.elen = exponent.size();
    cjose_err error{};
    return {.algorithm = CJOSE_HDR_ALG_RS256,
            .jwk = Jwk(cjose_jwk_create_RSA_spec(&spec, &error)),
            .fingerprint = fingerprint};
}

SigningKey from_ec(const EVP_PKEY* key, const Config& config, const Digest& fingerprint) {
    std::string curve(64, '\0');
    std::size_t size = 0;
    const bool known = EVP_PKEY_get_group_name(key, curve.data(), curve.size(), &size) == 1;
    if (!known || curve.substr(0, size) != SN_X9_62_prime256v1) {
        fail_key(config, "it is not on the curve P-256, which ES256 needs");
    }
    auto x = bignum_parameter(key, OSSL_PKEY_PARAM_EC_PUB_X);
    auto y = bignum_parameter(key, OSSL_PKEY_PARAM_EC_PUB_Y);
    cjose_jwk_ec_keyspec spec{};
    spec.crv = CJOSE_JWK_EC_P_256;
    spec.x = x.data();
    spec.xlen = x.size();
    spec.y = y.data();
    spec.ylen = y.size();
    cjose_err error{};
    return {.algorithm = CJOSE_HDR_ALG_ES256,
            .jwk = Jwk(cjose_jwk_create_EC_spec(&spec, &error)),
            .fingerprint = fingerprint};
}

SigningKey from_public_key(const Config& config) {
    std::string text;
    try {
        text = read_trusted_file(config.jwt_public_key);
    } catch (const FileError& reason) {
        throw AuthError(fmt::format("cannot read the JWT public key {}: {}", config.jwt_public_key, reason.what()));
    }
    const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    const PublicKey key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
    if (!key) {
        fail_key(config, "there is no PEM public key in it (-----BEGIN PUBLIC KEY-----)");
    }
    const Digest fingerprint = sha256(text);
    switch (EVP_PKEY_get_base_id(key.get())) {
        case EVP_PKEY_RSA:
            return from_rsa(key.get(), config, fingerprint);
        case EVP_PKEY_EC:
            return from_ec(key.get(), config, fingerprint);
        default:
            fail_key(config, "it is neither an RSA key, for RS256, nor a P-256 key, for ES256");
    }
}

constexpr bool is_base64url(char character) {
    return ascii::is_alphanumeric_or("-_", character);
}

Rejection invalid() {
    return {"The token is not valid"};
}

// Whether this is a compact JWS: three parts in base64url without padding (RFC 7515, section 7.1). Other input may make
// cjose abort the process, because it is compiled with assertions.
bool is_compact_jws(std::string_view token) {
    std::size_t parts = 0;
    while (true) {
        const auto dot = token.find('.');
        const auto part = token.substr(0, dot);
        if (part.size() % 4 == 1 || !std::ranges::all_of(part, is_base64url)) {
            return false;
        }
        ++parts;
        if (dot == std::string_view::npos) {
            return parts == 3;
        }
        token.remove_prefix(dot + 1);
    }
}

// Parses JSON; rejects any NUL, because parsers differ in how they treat the text after it.
Json parse_strictly(std::string_view text) {
    bool has_nul = text.find('\0') != std::string_view::npos;
    Json parsed = Json::parse(
        text,
        [&has_nul](int /*depth*/, Json::parse_event_t /*event*/, const Json& value) {
            has_nul =
                has_nul || (value.is_string() && value.get_ref<const std::string&>().find('\0') != std::string::npos);
            return true;
        },
        /*allow_exceptions=*/false);
    return has_nul ? Json(Json::value_t::discarded) : parsed;
}

// Whether the header has `crit` (RFC 7515, section 4.1.11); no extension is supported. cjose overlooks a `crit` that is
// neither an object nor an array.
bool has_critical_extensions(std::string_view token) {
    const auto part = token.substr(0, token.find('.'));
    cjose_err error{};
    std::uint8_t* decoded = nullptr;
    std::size_t size = 0;
    if (!cjose_base64url_decode(part.data(), part.size(), &decoded, &size, &error)) {
        return true;
    }
    const Json header = parse_strictly({reinterpret_cast<const char*>(decoded), size});
    cjose_get_dealloc()(decoded);
    return !header.is_object() || header.contains("crit");
}

// The claims if the signature is valid, else nullopt.
std::optional<Json> verified_claims(std::string_view token, const SigningKey& key) {
    if (!is_compact_jws(token)) {
        return std::nullopt;
    }
    cjose_err error{};
    const Jws jws(cjose_jws_import(token.data(), token.size(), &error));
    if (!jws) {
        return std::nullopt;
    }
    auto* header = cjose_jws_get_protected(jws.get());  // lives in jws
    const char* named = cjose_header_get(header, CJOSE_HDR_ALG, &error);
    if (named == nullptr || std::string_view(named) != key.algorithm) {
        return std::nullopt;
    }
    if (has_critical_extensions(token)) {
        return std::nullopt;
    }
    std::uint8_t* payload = nullptr;  // lives in jws
    std::size_t size = 0;
    if (!cjose_jws_verify(jws.get(), key.jwk.get(), &error) ||
        !cjose_jws_get_plaintext(jws.get(), &payload, &size, &error)) {
        return std::nullopt;
    }
    return parse_strictly({reinterpret_cast<const char*>(payload), size});
}

// A NumericDate (RFC 7519, section 2); nullopt if the claim is missing or invalid.
std::optional<TimePoint> numeric_date(const Json& claims, const char* name) {
    const auto found = claims.find(name);
    if (found == claims.end() || !found->is_number()) {
        return std::nullopt;
    }
    const auto seconds = found->get<double>();
    if (!(std::abs(seconds) <= kMaxNumericDate)) {
        return std::nullopt;
    }
    return TimePoint(std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::duration<double>(seconds)));
}

bool claim_contains(const Json& claims, const char* name, const std::string& wanted) {
    const auto found = claims.find(name);
    if (found == claims.end()) {
        return false;
    }
    if (found->is_array()) {
        return std::ranges::any_of(*found, [&wanted](const Json& item) { return item == wanted; });
    }
    return *found == wanted;
}

// The claim `scope` (RFC 8693, section 4.2): words separated by spaces; many issuers write an array. Unknown scopes are
// ignored. Without the claim the scope is read.
Scopes parse_scopes(const Json& claims) {
    const auto found = claims.find("scope");
    if (found == claims.end()) {
        return {Scope::read};
    }
    Scopes scopes;
    const auto add = [&scopes](const std::string& words) {
        std::istringstream stream(words);
        for (std::string word; stream >> word;) {
            if (const auto scope = kScopes.find(word)) {
                scopes.add(*scope);
            }
        }
    };
    if (found->is_string()) {
        add(found->get_ref<const std::string&>());
    } else if (found->is_array()) {
        for (const auto& item : *found) {
            if (item.is_string()) {
                add(item.get_ref<const std::string&>());
            }
        }
    }
    return scopes;
}

}  // namespace

JwtVerifier::JwtVerifier(const Config& config)
    : audience_(config.jwt_audience),
      issuer_(config.jwt_issuer),
      leeway_(std::chrono::duration_cast<std::chrono::microseconds>(config.jwt_leeway)) {
    auto key = config.jwt_public_key.empty() ? from_secret(config.jwt_secret) : from_public_key(config);
    if (!key.jwk) {
        throw AuthError(fmt::format("cannot set up JWT: the {} key cannot be used", key.algorithm));
    }
    key_ = std::make_unique<const SigningKey>(std::move(key));
}

JwtVerifier::~JwtVerifier() = default;
JwtVerifier::JwtVerifier(JwtVerifier&&) noexcept = default;

Verdict JwtVerifier::check(std::string_view token, TimePoint now) const {
    const auto verified = verified_claims(token, *key_);
    if (!verified || !verified->is_object()) {
        return invalid();
    }
    const Json& claims = *verified;
    const auto expiry = numeric_date(claims, "exp");
    if (!expiry) {
        return Rejection{claims.contains("exp") ? "The token's expiry (exp) is not a number of seconds"
                                                : "The token has no expiry (exp)"};
    }
    if (now >= *expiry + leeway_) {
        return Rejection{"The token has expired"};
    }
    if (claims.contains("nbf")) {
        const auto not_before = numeric_date(claims, "nbf");
        if (!not_before || now + leeway_ < *not_before) {
            return Rejection{"The token is not valid yet (nbf)"};
        }
    }
    // A token with an audience must be rejected by any other recipient (RFC 7519, section 4.1.3).
    if (claims.contains("aud") ? audience_.empty() || !claim_contains(claims, "aud", audience_) : !audience_.empty()) {
        return Rejection{"The token is for another audience (aud)"};
    }
    if (!issuer_.empty() && !(claims.contains("iss") && claims.at("iss") == issuer_)) {
        return Rejection{"The token is from another issuer (iss)"};
    }
    return Identity{
        .scopes = parse_scopes(claims), .expires_at = *expiry + leeway_, .fingerprint = to_bytes(key_->fingerprint)};
}

bool JwtVerifier::still_accepts(const Identity& identity) const {
    return identity.fingerprint == to_bytes(key_->fingerprint);
}

std::string_view JwtVerifier::algorithm() const {
    return key_->algorithm;
}

}  // namespace session_buddy::auth
