// What happens often is reported at once and then once an interval, and nothing of it goes uncounted.
#include "server/log_throttle.hpp"

#include <gtest/gtest.h>

namespace session_buddy::server {
namespace {

TEST(LogThrottle, comes_at_once_and_then_once_an_interval_with_the_number_since_the_last) {
    LogThrottle report;
    const LogThrottle::TimePoint start;  // the epoch of the clock is as good a time as any
    EXPECT_EQ(report.count(start), 1U);
    EXPECT_EQ(report.count(start), 0U);
    EXPECT_EQ(report.count(start + LogThrottle::kInterval - std::chrono::milliseconds{1}), 0U);
    EXPECT_EQ(report.count(start + LogThrottle::kInterval), 3U);
    EXPECT_EQ(report.count(start + LogThrottle::kInterval), 0U);
    EXPECT_EQ(report.count(start + 5 * LogThrottle::kInterval), 2U);
}

}  // namespace
}  // namespace session_buddy::server
