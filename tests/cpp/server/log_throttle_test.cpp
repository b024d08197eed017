// Frequent events are reported immediately, then once per interval with their count.
#include "server/log_throttle.hpp"

#include <gtest/gtest.h>

namespace session_buddy::server {
namespace {

TEST(LogThrottle, reports_immediately_and_then_once_per_interval_with_the_count) {
    LogThrottle report;
    const LogThrottle::TimePoint start;  // the epoch of the clock
    EXPECT_EQ(report.count(start), 1U);
    EXPECT_EQ(report.count(start), 0U);
    EXPECT_EQ(report.count(start + LogThrottle::kInterval - std::chrono::milliseconds{1}), 0U);
    EXPECT_EQ(report.count(start + LogThrottle::kInterval), 3U);
    EXPECT_EQ(report.count(start + LogThrottle::kInterval), 0U);
    EXPECT_EQ(report.count(start + 5 * LogThrottle::kInterval), 2U);
}

}  // namespace
}  // namespace session_buddy::server
