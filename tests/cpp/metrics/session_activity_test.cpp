// Active sessions and their metrics.
#include "session_buddy/metrics/session_activity.hpp"

#include <gtest/gtest.h>

#include "support/manual_clock.hpp"

namespace session_buddy::metrics {
namespace {

using namespace std::chrono_literals;

using test::kStart;

Invocation of(const std::string& session, bool completed = true) {
    Invocation invocation;
    invocation.session_id = session;
    invocation.completed = completed;
    return invocation;
}

TEST(SessionActivity, has_first_and_last_activity_and_counts) {
    SessionActivity activity{30min, 24h, 1000, 1000};
    activity.add(of("a"), 0, kStart, kStart);
    activity.add(of("a", false), 1, kStart + 5min, kStart + 5min);
    activity.add(of("a"), 0, kStart + 2min, kStart + 5min);  // late
    activity.advance(kStart + 5min);

    const auto active = activity.active();
    ASSERT_EQ(active.size(), 1U);
    EXPECT_EQ(active[0], (SessionMetrics{"a", kStart, kStart + 5min, 3, 2, 2}));
}

TEST(SessionActivity, a_session_becomes_inactive_after_a_pause_and_keeps_its_counts_when_it_resumes) {
    SessionActivity activity{30min, 24h, 1000, 1000};
    activity.add(of("a"), 0, kStart, kStart);
    activity.advance(kStart + 30min - 1us);
    EXPECT_EQ(activity.active().size(), 1U);
    activity.advance(kStart + 30min);
    EXPECT_TRUE(activity.active().empty());

    activity.add(of("a"), 0, kStart + 3h, kStart + 3h);
    activity.advance(kStart + 3h);
    ASSERT_EQ(activity.active().size(), 1U);
    EXPECT_EQ(activity.active()[0].invocations, 2);
    EXPECT_EQ(activity.active()[0].first_activity_at, kStart);
}

TEST(SessionActivity, is_removed_after_a_day) {
    SessionActivity activity{30min, 24h, 1000, 1000};
    activity.add(of("a"), 0, kStart, kStart);
    activity.advance(kStart + 31min);
    activity.advance(kStart + 24h);
    activity.add(of("a"), 0, kStart + 25h, kStart + 25h);
    activity.advance(kStart + 25h);
    EXPECT_EQ(activity.active()[0].invocations, 1);
}

TEST(SessionActivity, is_removed_a_day_after_its_last_activity_regardless_of_pauses) {
    SessionActivity activity{30min, 24h, 1000, 1000};
    for (const auto pause : {0h, 3h, 6h}) {
        activity.add(of("a"), 0, kStart + pause, kStart + pause);
        activity.advance(kStart + pause);
        activity.advance(kStart + pause + 1h);
    }
    activity.advance(kStart + 24h);
    activity.add(of("a"), 0, kStart + 29h, kStart + 29h);
    activity.advance(kStart + 29h);
    ASSERT_EQ(activity.active().size(), 1U);
    EXPECT_EQ(activity.active()[0].invocations, 4) << "its last activity was 23 hours ago";
    activity.advance(kStart + 53h);
    activity.add(of("a"), 0, kStart + 53h, kStart + 53h);
    activity.advance(kStart + 53h);
    EXPECT_EQ(activity.active()[0].invocations, 1);
}

TEST(SessionActivity, reports_each_change_once) {
    SessionActivity activity{30min, 24h, 1000, 1000};
    EXPECT_FALSE(activity.take_changed());
    activity.add(of("a"), 0, kStart, kStart);
    EXPECT_TRUE(activity.take_changed());
    EXPECT_FALSE(activity.take_changed());
    activity.advance(kStart + 1min);
    EXPECT_FALSE(activity.take_changed());
    activity.advance(kStart + 30min);
    EXPECT_TRUE(activity.take_changed());
}

TEST(SessionActivity, lists_the_most_recently_active_first_up_to_the_limit) {
    SessionActivity activity{30min, 24h, 2, 1000};
    activity.add(of("old"), 0, kStart, kStart);
    activity.add(of("b"), 0, kStart + 1s, kStart + 1s);
    activity.add(of("a"), 0, kStart + 1s, kStart + 1s);
    activity.advance(kStart + 1s);
    const auto active = activity.active();
    ASSERT_EQ(active.size(), 2U);
    EXPECT_EQ(active[0].session_id, "a");
    EXPECT_EQ(active[1].session_id, "b");
}

TEST(SessionActivity, a_new_session_evicts_the_longest_inactive_one_at_the_limit) {
    SessionActivity activity{30min, 24h, 1000, 2};
    activity.add(of("first"), 0, kStart, kStart);
    activity.add(of("second"), 0, kStart + 1min, kStart + 1min);
    activity.advance(kStart + 2h);
    activity.add(of("third"), 0, kStart + 2h, kStart + 2h);
    activity.add(of("second"), 0, kStart + 2h, kStart + 2h);
    activity.advance(kStart + 2h);
    const auto active = activity.active();
    ASSERT_EQ(active.size(), 2U);
    EXPECT_EQ(active[0].session_id, "second");
    EXPECT_EQ(active[0].invocations, 2) << "it was kept";
    EXPECT_EQ(active[1].session_id, "third");
    EXPECT_EQ(activity.tracked(), (TrackedNames{2, 0}));
}

TEST(SessionActivity, sessions_beyond_the_limit_of_active_ones_are_summed_as_other) {
    SessionActivity activity{30min, 24h, 1000, 2};
    for (int i = 0; i < 1000; ++i) {
        activity.add(of(std::to_string(i)), 0, kStart, kStart);
    }
    activity.advance(kStart);
    const auto active = activity.active();
    ASSERT_EQ(active.size(), 3U);
    EXPECT_EQ(active[2].session_id, "other");
    EXPECT_EQ(active[2].invocations, 998);
    EXPECT_EQ(activity.tracked(), (TrackedNames{3, 998}));
}

TEST(SessionActivity, counts_unknown_outcomes_of_the_completed_ones) {
    SessionActivity activity{30min, 24h, 1000, 1000};
    Invocation unknown = of("a");
    unknown.outcome_is_unknown = true;
    activity.add(unknown, 0, kStart, kStart);
    activity.add(of("a"), 0, kStart, kStart);
    activity.add(of("a", false), 0, kStart, kStart);
    activity.advance(kStart);
    ASSERT_EQ(activity.active().size(), 1U);
    EXPECT_EQ(activity.active()[0].completed, 2);
    EXPECT_EQ(activity.active()[0].unknown, 1);
}

}  // namespace
}  // namespace session_buddy::metrics
