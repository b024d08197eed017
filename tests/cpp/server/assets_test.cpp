// Embedded files, content negotiation and conditional requests.
#include "server/assets.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "server/replies.hpp"
#include "session_buddy/server/representation.hpp"
#include "support/gzip.hpp"

namespace session_buddy::test {
namespace {

namespace http_ns = boost::beast::http;

const std::string kScript(2000, 'x');

const std::array kFiles{server::EmbeddedFile{"assets/app.js", kScript}, server::EmbeddedFile{"assets/tiny.css", "a{}"},
                        server::EmbeddedFile{"index.html", "<!doctype html>"}};

const std::string& header(const server::HttpReply& reply, std::string_view name) {
    static const std::string kNone;
    for (const auto& [key, value] : reply.headers) {
        if (key == name) {
            return value;
        }
    }
    return kNone;
}

TEST(Assets, are_found_by_request_path_with_their_content_type) {
    const server::Assets assets(kFiles);
    ASSERT_NE(assets.find("/"), nullptr);
    EXPECT_TRUE(assets.find("/")->is_page);
    EXPECT_EQ(assets.find("/")->content_type, "text/html; charset=utf-8");
    ASSERT_NE(assets.find("/assets/app.js"), nullptr);
    EXPECT_EQ(assets.find("/assets/app.js")->content_type, "text/javascript; charset=utf-8");
    for (const char* path : {"", "index.html", "/index.html", "/assets", "/assets/", "/assets/../index.html", "//"}) {
        EXPECT_EQ(assets.find(path), nullptr) << path;
    }
}

TEST(Assets, are_compressed_if_that_is_smaller) {
    const server::Assets assets(kFiles);
    EXPECT_EQ(unzipped(assets.find("/assets/app.js")->gzip), kScript);
    EXPECT_LT(assets.find("/assets/app.js")->gzip.size(), 100U);
    EXPECT_EQ(assets.find("/assets/tiny.css")->gzip, "");
}

TEST(Assets, are_sent_in_the_negotiated_representation) {
    const server::Assets assets(kFiles);
    const auto& script = *assets.find("/assets/app.js");
    http_ns::request_header<> request;
    auto reply = server::asset_reply(script, request);
    EXPECT_EQ(reply.status, 200U);
    EXPECT_EQ(reply.body, kScript);
    EXPECT_EQ(header(reply, "Content-Encoding"), "");
    const auto plain = header(reply, "ETag");

    request.set(http_ns::field::accept_encoding, "br, gzip");
    reply = server::asset_reply(script, request);
    EXPECT_EQ(unzipped(reply.body), kScript);
    EXPECT_EQ(header(reply, "Content-Encoding"), "gzip");
    EXPECT_NE(header(reply, "ETag"), plain);
    EXPECT_EQ(header(reply, "Vary"), "Accept-Encoding, Origin");

    request.set(http_ns::field::if_none_match, header(reply, "ETag"));
    const auto known = server::asset_reply(script, request);
    EXPECT_EQ(known.status, 304U);
    EXPECT_EQ(known.body, "");
    request.set(http_ns::field::if_none_match, plain);
    EXPECT_EQ(server::asset_reply(script, request).status, 200U) << "another representation has another entity tag";
}

TEST(Assets, repeated_list_headers_are_joined) {
    const server::Assets assets(kFiles);
    http_ns::request_header<> request;
    request.insert(http_ns::field::accept_encoding, "br");
    request.insert(http_ns::field::accept_encoding, "gzip");
    const auto reply = server::asset_reply(*assets.find("/assets/app.js"), request);
    EXPECT_EQ(header(reply, "Content-Encoding"), "gzip");
    request.insert(http_ns::field::if_none_match, R"("other")");
    request.insert(http_ns::field::if_none_match, header(reply, "ETag"));
    EXPECT_EQ(server::asset_reply(*assets.find("/assets/app.js"), request).status, 304U);
}

TEST(Assets, the_content_security_policy_allows_own_resources_only) {
    const server::Assets assets(kFiles);
    const auto policy = header(server::asset_reply(*assets.find("/"), {}), "Content-Security-Policy");
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
    EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_EQ(policy.find("http"), std::string::npos);
    EXPECT_EQ(header(server::asset_reply(*assets.find("/assets/app.js"), {}), "X-Content-Type-Options"), "nosniff");
}

TEST(Assets, the_dashboard_is_embedded) {
    ASSERT_NE(server::dashboard().find("/"), nullptr);
    EXPECT_NE(server::dashboard().find("/")->bytes.find("<!doctype html>"), std::string_view::npos);
}

TEST(Representation, gzip_is_accepted_by_name_or_by_star_unless_its_weight_is_zero) {
    struct Case {
        const char* header;
        bool accepted;
    };
    for (const auto& [header, accepted] :
         {Case{"gzip", true}, Case{"GZIP", true}, Case{"br;q=1, gzip;q=0.5", true}, Case{"*", true},
          Case{"x-gzip", true}, Case{"", false}, Case{"identity", false}, Case{"gzip;q=0", false},
          Case{"gzip;q=0.000", false}, Case{"*;q=0", false}, Case{"gzip;q=0, *", false}, Case{"*;q=0, gzip", true},
          Case{"gzipped", false}, Case{",,;=", false}}) {
        EXPECT_EQ(server::accepts_gzip(header), accepted) << header;
    }
}

TEST(Representation, an_etag_matches_in_a_list_by_weak_comparison) {
    struct Case {
        const char* header;
        bool matches;
    };
    for (const auto& [header, matches] :
         {Case{R"("a")", true}, Case{R"(W/"a")", true}, Case{R"("b", "a")", true}, Case{R"("b",W/"a" )", true},
          Case{"*", true}, Case{" * ", true}, Case{R"("b")", false}, Case{"a", false}, Case{"", false},
          Case{R"("aa")", false}, Case{",", false}}) {
        EXPECT_EQ(server::etag_matches(header, R"("a")"), matches) << header;
        EXPECT_EQ(server::etag_matches(header, R"(W/"a")"), matches) << header;
    }
}

}  // namespace
}  // namespace session_buddy::test
