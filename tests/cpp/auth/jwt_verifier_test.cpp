// JSON Web Tokens: the examples of the RFCs, and claims at their boundaries.
#include "auth/jwt_verifier.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <string>

#include "auth/jwt_signer.hpp"

namespace session_buddy::auth {
namespace {

using std::chrono::seconds;

const std::string kSecret = "0123456789abcdef0123456789abcdef";
constexpr TimePoint kNow{seconds{1'800'000'000}};

std::string signed_token(const std::string& claims, const std::string& secret = kSecret,
                         const std::string& header = R"({"alg":"HS256"})") {
    return test::signed_token(claims, secret, header);
}

std::string numeric_date_at(int offset) {
    return std::to_string((kNow + seconds{offset}).time_since_epoch() / seconds{1});
}

Config with_secret() {
    Config config;
    config.jwt_secret = kSecret;
    config.jwt_leeway = Seconds{10};
    return config;
}

std::string answer(const Config& config, const std::string& token, TimePoint now = kNow) {
    const auto verdict = JwtVerifier(config).check(token, now);
    const auto* rejection = std::get_if<Rejection>(&verdict);
    return rejection == nullptr ? "accepted" : rejection->reason;
}

// RFC 7515, appendix A.1: a 64-byte key, and a token that expired in 2011.
TEST(Jwt, accepts_the_example_of_rfc_7515_until_it_expires) {
    Config config = with_secret();
    const std::string key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    std::string base64 = key + "==";
    for (char& character : base64) {
        character = character == '-' ? '+' : character == '_' ? '/' : character;
    }
    std::string bytes(base64.size(), '\0');
    const int size =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                        reinterpret_cast<const unsigned char*>(base64.data()), static_cast<int>(base64.size()));
    ASSERT_EQ(size, 66);
    config.jwt_secret = bytes.substr(0, 64);
    config.jwt_issuer = "joe";
    const std::string token =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const TimePoint expiry{seconds{1'300'819'380}};
    EXPECT_EQ(answer(config, token, expiry - seconds{1}), "accepted");
    EXPECT_EQ(answer(config, token, expiry + seconds{9}), "accepted");
    EXPECT_EQ(answer(config, token, expiry + seconds{10}), "The token has expired");
    config.jwt_issuer = "jane";
    EXPECT_EQ(answer(config, token, expiry), "The token is from another issuer (iss)");
}

TEST(Jwt, applies_the_leeway_to_exp_and_nbf) {
    struct Case {
        std::string claims;
        std::string answer;
    };
    for (const auto& [claims, expected] : std::vector<Case>{
             {R"({"exp":)" + numeric_date_at(-9) + "}", "accepted"},
             {R"({"exp":)" + numeric_date_at(-10) + "}", "The token has expired"},
             {R"({"exp":)" + numeric_date_at(-10) + ".5}", "accepted"},
             {R"({"exp":-1})", "The token has expired"},
             {R"({"exp":-1e300})", "The token's expiry (exp) is not a number of seconds"},
             {R"({"exp":null})", "The token's expiry (exp) is not a number of seconds"},
             {R"({"exp":true})", "The token's expiry (exp) is not a number of seconds"},
             {R"({"exp":)" + numeric_date_at(60) + R"(,"nbf":)" + numeric_date_at(10) + "}", "accepted"},
             {R"({"exp":)" + numeric_date_at(60) + R"(,"nbf":)" + numeric_date_at(11) + "}",
              "The token is not valid yet (nbf)"},
             {R"({"exp":)" + numeric_date_at(60) + R"(,"nbf":null})", "The token is not valid yet (nbf)"},
         }) {
        EXPECT_EQ(answer(with_secret(), signed_token(claims)), expected) << claims;
    }
}

TEST(Jwt, returns_expiry_and_scopes) {
    const JwtVerifier verifier(with_secret());
    struct Case {
        std::string scope;
        Scopes scopes;
    };
    for (const auto& [scope, scopes] : std::vector<Case>{
             {"", {Scope::read}},
             {R"(,"scope":"")", {}},
             {R"(,"scope":"write  openid metrics")", {Scope::write, Scope::metrics}},
             {R"(,"scope":["read write",7,null])", {Scope::read, Scope::write}},
             {R"(,"scope":{"read":true})", {}},
             {R"(,"scope":"READ")", {}},
         }) {
        const auto verdict = verifier.check(signed_token(R"({"exp":)" + numeric_date_at(60) + scope + "}"), kNow);
        const auto* identity = std::get_if<Identity>(&verdict);
        ASSERT_NE(identity, nullptr) << scope;
        EXPECT_EQ(identity->scopes, scopes) << scope;
        EXPECT_EQ(identity->expires_at, kNow + seconds{70});
        EXPECT_TRUE(verifier.still_accepts(*identity));
        Config other = with_secret();
        other.jwt_secret += "x";
        EXPECT_FALSE(JwtVerifier(other).still_accepts(*identity));
    }
}

TEST(Jwt, rejects_a_nul_anywhere_in_the_claims) {
    const std::string exp = R"("exp":)" + numeric_date_at(60);
    EXPECT_EQ(answer(with_secret(), signed_token("{" + exp + R"(,"sub":"a"})")), "accepted");
    for (const std::string& claims :
         {"{" + exp + R"(,"sub":"a\u0000b"})", "{" + exp + R"(,"scope":"read\u0000"})", "{" + exp + R"(,"a\u0000":1})",
          "{" + exp + R"(,"list":["a",{"deep":"\u0000"}]})", "{" + exp + "}" + std::string(1, '\0'),
          "{" + exp + "}" + std::string(1, '\0') + "{}"}) {
        EXPECT_EQ(answer(with_secret(), signed_token(claims)), "The token is not valid") << claims;
    }
}

TEST(Jwt, rejects_tokens_not_signed_with_the_algorithm_of_the_key) {
    const std::string claims = R"({"exp":)" + numeric_date_at(60) + "}";
    for (const std::string header :
         {R"({"alg":"none"})", R"({"alg":"hs256"})", R"({"alg":"HS384"})", R"({"alg":"RS256"})", R"({"alg":null})",
          R"({"alg":["HS256"]})", R"({})", R"([])", R"("HS256")", R"({"alg":"HS256","crit":["exp"]})",
          R"({"alg":"HS256","crit":null})", R"({"alg":"HS256","crit":[]})", R"({"alg":"HS256","crit":true})",
          R"({"alg":"HS256","crit":"exp"})", R"({"alg":"HS256","crit":0})", R"({"alg":"HS256","\u0063rit":null})",
          R"({"alg":"HS256","kid":"a\u0000b"})", ""}) {
        EXPECT_EQ(answer(with_secret(), signed_token(claims, kSecret, header)), "The token is not valid") << header;
    }
    const std::string good = signed_token(claims);
    EXPECT_EQ(answer(with_secret(), good), "accepted");
    for (const std::string& token :
         {std::string(), std::string("."), std::string(".."), std::string("..."), good + ".", good + "A", "." + good,
          good.substr(0, good.rfind('.') + 1), good.substr(0, good.rfind('.')), signed_token(claims, kSecret + "x"),
          std::string("a.b.c"), std::string(5000, '.'), std::string(5000, 'A')}) {
        EXPECT_EQ(answer(with_secret(), token), "The token is not valid") << token;
    }
}

// On such input an assertion in cjose would abort the process.
TEST(Jwt, rejects_parts_that_are_not_base64url) {
    const std::string good = signed_token(R"({"exp":)" + numeric_date_at(60) + "}");
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (const char wrong : {'=', '+', '/', ' ', '\0', '\xff'}) {
            std::string token = good;
            token[at] = wrong;
            EXPECT_EQ(answer(with_secret(), token), "The token is not valid") << token;
        }
    }
    for (const std::string part : {"=", "A", "A=", "A==", "A===", "AB=", "AB==", "AAAAA", "AAAAA===", "AAA=A"}) {
        for (const std::string& token : {part + ".e30.AAAA", "e30." + part + ".AAAA", "e30.e30." + part}) {
            EXPECT_EQ(answer(with_secret(), token), "The token is not valid") << token;
        }
    }
}

}  // namespace
}  // namespace session_buddy::auth
