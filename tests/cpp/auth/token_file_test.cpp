// The token file: syntax of its lines, and which tokens it accepts.
#include "auth/token_file.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace session_buddy::auth {
namespace {

constexpr const char* kDigestOfSecret = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";  // "secret"

std::string why_refused(const std::string& text) {
    try {
        static_cast<void>(TokenFile::parse(text, "/etc/tokens"));
        return "not refused";
    } catch (const AuthError& error) {
        return error.what();
    }
}

TEST(TokenFile, reads_tokens_digests_scopes_and_comments) {
    const auto file = TokenFile::parse(std::string("# a comment\r\n") +
                                           "\n"
                                           "   \t\n"
                                           "plain-token\r\n"
                                           "  indented write  # trailing comment\n"
                                           "both\tread,metrics\n"
                                           "sha256:" +
                                           kDigestOfSecret + " metrics\nlast-without-newline==",
                                       "/etc/tokens");
    EXPECT_EQ(file.size(), 5U);
    struct Case {
        const char* token;
        Scopes scopes;
    };
    for (const auto& [token, scopes] : {Case{"plain-token", {Scope::read}}, Case{"indented", {Scope::write}},
                                        Case{"both", {Scope::read, Scope::metrics}}, Case{"secret", {Scope::metrics}},
                                        Case{"last-without-newline==", {Scope::read}}}) {
        const auto identity = file.find(token);
        ASSERT_TRUE(identity) << token;
        EXPECT_EQ(identity->scopes, scopes) << token;
        EXPECT_FALSE(identity->expires_at) << token;
        EXPECT_TRUE(file.still_accepts(*identity)) << token;
    }
}

TEST(TokenFile, rejects_unknown_tokens) {
    const auto file = TokenFile::parse(std::string("token\nsha256:") + kDigestOfSecret, "/etc/tokens");
    for (const std::string token :
         {"", "toke", "token ", "TOKEN", "token\n", "secre", "#", "sha256:", "read", kDigestOfSecret}) {
        EXPECT_FALSE(file.find(token)) << token;
    }
    EXPECT_FALSE(file.find(std::string("token\0", 6)));
    EXPECT_FALSE(file.find("sha256:" + std::string(kDigestOfSecret)));
}

TEST(TokenFile, rejects_identities_whose_token_was_removed_or_has_other_scopes) {
    const auto before = TokenFile::parse("first\nsecond read write\n", "/etc/tokens");
    const auto after = TokenFile::parse("second read\n", "/etc/tokens");
    EXPECT_FALSE(after.still_accepts(*before.find("first")));
    EXPECT_FALSE(after.still_accepts(*before.find("second")));
    EXPECT_TRUE(after.still_accepts(*after.find("second")));
}

TEST(TokenFile, errors_name_the_line_but_not_its_contents) {
    struct Case {
        std::string text;
        std::string message;
    };
    const std::string start = "cannot use the token file /etc/tokens: ";
    for (const auto& [text, message] : std::vector<Case>{
             {"", "there is no token in it"},
             {"# nothing\n\n", "there is no token in it"},
             {"good\nse,cret", "line 2: unknown scope: the token may be followed by read, write and metrics"},
             {"good\nsecret read everything",
              "line 2: unknown scope: the token may be followed by read, write and metrics"},
             {"se\"cret", "line 1: a token consists of letters, digits and - . _ ~ + /, with = only at the end"},
             {"se=cret", "line 1: a token consists of letters, digits and - . _ ~ + /, with = only at the end"},
             {"==", "line 1: a token consists of letters, digits and - . _ ~ + /, with = only at the end"},
             {"\n\nsha256:secret", "line 3: sha256: must be followed by 64 hexadecimal digits"},
             {std::string("sha256:") + kDigestOfSecret + "0",
              "line 1: sha256: must be followed by 64 hexadecimal digits"},
             {std::string(kMaxTokenBytes + 1, 'x'), "line 1: the token is too long: at most 8192 bytes are accepted"},
         }) {
        EXPECT_EQ(why_refused(text), start + message);
    }
}

}  // namespace
}  // namespace session_buddy::auth
