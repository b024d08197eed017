// Problem details of HTTP errors.
#include "session_buddy/protocol/problem.hpp"

#include <gtest/gtest.h>

namespace session_buddy::protocol {
namespace {

TEST(Problem, has_standard_and_extension_members) {
    EXPECT_EQ(problem(404, "not_found", "There is \"nothing\""),
              R"({"type":"about:blank","title":"Not Found","status":404,"detail":"There is \"nothing\"",)"
              R"("error":"not_found"})");
    EXPECT_EQ(problem(400, "bad", "x", {{"index", std::int64_t{3}}, {"field", "a\nb\xff"}}),
              R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"x","error":"bad","index":3,)"
              "\"field\":\"a\\nb\xef\xbf\xbd\"}");
}

}  // namespace
}  // namespace session_buddy::protocol
