// Content negotiation of the exposition format.
#include <gtest/gtest.h>

#include <string>

#include "session_buddy/prometheus/exposition.hpp"

namespace session_buddy::prometheus {
namespace {

struct Case {
    std::string accept;
    Format format;
};

class Negotiation : public testing::TestWithParam<Case> {};

TEST_P(Negotiation, follows_the_header) {
    EXPECT_EQ(negotiate(GetParam().accept), GetParam().format) << GetParam().accept;
}

INSTANTIATE_TEST_SUITE_P(
    Headers, Negotiation,
    testing::Values(
        Case{"", Format::text}, Case{"*/*", Format::text},
        Case{"text/html,application/xhtml+xml,*/*;q=0.8", Format::text}, Case{"text/plain", Format::text},
        Case{"text/plain;version=0.0.4", Format::text}, Case{"application/json", Format::text},
        Case{"application/openmetrics-text", Format::openmetrics},
        Case{"application/openmetrics-text; version=1.0.0; charset=utf-8", Format::openmetrics},
        Case{"Application/OpenMetrics-Text;Version=1.0.0", Format::openmetrics},
        Case{"application/openmetrics-text;version=\"1.0.0\"", Format::openmetrics},
        Case{"application/openmetrics-text;version=2.0.0", Format::text},
        Case{"application/openmetrics-text;q=0", Format::text},
        Case{"application/openmetrics-text;version=1.0.0;q=0,*/*", Format::text},
        // The headers of Prometheus 2.42, 2.53 and 3.0.
        Case{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
             "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
             Format::openmetrics},
        Case{"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
             "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
             Format::openmetrics},
        Case{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
             "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
             "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
             Format::openmetrics},
        Case{"text/plain;version=0.0.4;q=0.9, application/openmetrics-text;version=1.0.0;q=0.8", Format::text},
        Case{"text/plain;q=0.2,application/*;q=0.3", Format::openmetrics},
        Case{"*/*;q=0.5,text/plain;q=0.1", Format::openmetrics}, Case{"text/*;q=0.5,*/*;q=0.4", Format::text},
        Case{"text/plain,application/openmetrics-text", Format::text},
        // Malformed.
        Case{"application/openmetrics-text;q=2", Format::text}, Case{"application/openmetrics-text;q=x", Format::text},
        Case{"application/openmetrics-text;q=-1", Format::text},
        Case{"application/openmetrics-text;q=nan", Format::text}, Case{"application/openmetrics-text;q=", Format::text},
        Case{",,;;=,\"", Format::text}, Case{"a;b=\"\\", Format::text},
        Case{"a;b=\",\";q=1,application/openmetrics-text", Format::openmetrics}));

TEST(ContentType, names_the_negotiated_format) {
    EXPECT_EQ(content_type(Format::text), "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(content_type(Format::openmetrics), "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

}  // namespace
}  // namespace session_buddy::prometheus
