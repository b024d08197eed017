// The engine: order of the top skills, sharing of unchanged state, and change tracking.
#include "session_buddy/metrics/metrics_engine.hpp"

#include <gtest/gtest.h>

#include "support/manual_clock.hpp"

namespace session_buddy::metrics {
namespace {

using namespace std::chrono_literals;

using test::kStart;

Invocation invocation_of(const std::string& skill, TimePoint at, bool completed = true,
                         std::optional<double> duration = 1.0) {
    Invocation invocation;
    invocation.skill_name = skill;
    invocation.invoked_at = at;
    invocation.session_id = "s";
    invocation.completed = completed;
    invocation.duration_seconds = duration;
    return invocation;
}

std::vector<std::string> top_names(const SkillTable& table) {
    std::vector<std::string> names;
    for (const std::uint32_t index : table.top()) {
        names.push_back(table.at(index).skill_name);
    }
    return names;
}

TEST(MetricsEngine, ranks_by_count_then_by_last_invocation_then_by_name) {
    MetricsEngine engine{{}};
    engine.add(invocation_of("twice", kStart), kStart + 10s);
    engine.add(invocation_of("twice", kStart + 1s), kStart + 10s);
    engine.add(invocation_of("later", kStart + 5s), kStart + 10s);
    engine.add(invocation_of("b", kStart + 3s), kStart + 10s);
    engine.add(invocation_of("a", kStart + 3s), kStart + 10s);
    engine.advance(kStart + 10s);
    EXPECT_EQ(top_names(*engine.table()), (std::vector<std::string>{"twice", "later", "a", "b"}));
}

TEST(MetricsEngine, top_is_limited_and_find_returns_the_rest) {
    MetricsEngine engine{{.top_skills = 2}};
    for (int i = 0; i < 5; ++i) {
        engine.add(invocation_of("skill-" + std::to_string(i), kStart + i * 1s), kStart + 10s);
    }
    engine.advance(kStart + 10s);
    const auto table = engine.table();
    EXPECT_EQ(top_names(*table), (std::vector<std::string>{"skill-4", "skill-3"}));
    ASSERT_NE(table->find("skill-0"), nullptr);
    EXPECT_EQ(table->find("skill-0")->window.invocation_count, 1);
    EXPECT_EQ(table->find("never"), nullptr);
}

TEST(MetricsEngine, counts_decay_without_any_new_invocation) {
    MetricsEngine engine{{.window = 2h}};
    engine.add(invocation_of("a", kStart), kStart);
    engine.advance(kStart + 2h - 1us);
    EXPECT_EQ(engine.table()->find("a")->window.invocation_count, 1);
    engine.advance(kStart + 2h);
    EXPECT_EQ(engine.table()->find("a")->window.invocation_count, 0);
    EXPECT_TRUE(engine.table()->top().empty());
}

TEST(MetricsEngine, returns_the_same_table_if_nothing_changed) {
    MetricsEngine engine{{}};
    engine.add(invocation_of("a", kStart), kStart);
    engine.advance(kStart);
    const auto before = engine.table();
    engine.advance(kStart + 1s);
    EXPECT_EQ(engine.table(), before);
}

TEST(MetricsEngine, a_published_table_never_changes) {
    MetricsEngine engine{{}};
    engine.add(invocation_of("a", kStart), kStart);
    const auto before = engine.table();
    engine.add(invocation_of("a", kStart + 1s), kStart + 1s);
    engine.add(invocation_of("b", kStart + 1s), kStart + 1s);
    EXPECT_EQ(engine.table()->find("a")->window.invocation_count, 2);
    EXPECT_EQ(before->find("a")->window.invocation_count, 1);
    EXPECT_EQ(before->find("b"), nullptr);
}

TEST(MetricsEngine, a_row_from_the_future_counts_as_now) {
    MetricsEngine engine{{}};
    engine.add(invocation_of("a", kStart + 100h), kStart);
    engine.advance(kStart);
    EXPECT_EQ(engine.table()->find("a")->window.last_invocation_at, kStart);
    engine.advance(kStart + 24h);
    EXPECT_EQ(engine.table()->find("a")->window.invocation_count, 0);
}

TEST(MetricsEngine, a_lifetime_never_ends_before_an_added_invocation) {
    MetricsEngine engine{{.window = 1h}};
    engine.add(invocation_of("a", kStart), kStart);
    engine.set_lifetime("a", {2, 2, 1.0, kStart - 1000h});
    engine.advance(kStart);
    EXPECT_EQ(engine.table()->find("a")->lifetime.last_invocation_at, kStart);
    engine.advance(kStart + 1000h);
    EXPECT_EQ(engine.table()->find("a")->lifetime.last_invocation_at, kStart) << "it has left all windows";
    EXPECT_EQ(engine.recent_metrics("a")->last_invocation_at, kStart);
}

TEST(MetricsEngine, lifetime_metrics_are_those_set_even_for_a_skill_without_recent_rows) {
    MetricsEngine engine{{}};
    engine.set_lifetime("old", {1523, 1401, 5.3, kStart - 1000h});
    engine.advance(kStart);
    const SkillMetrics* old = engine.table()->find("old");
    ASSERT_NE(old, nullptr);
    EXPECT_EQ(old->lifetime.total_invocations, 1523);
    EXPECT_NEAR(old->lifetime.completion_rate(), 0.9199, 1e-4);
    EXPECT_TRUE(engine.table()->top().empty());
}

TEST(MetricsEngine, a_small_backward_step_of_the_clock_changes_nothing) {
    MetricsEngine engine{{.window = 1h}};
    engine.add(invocation_of("a", kStart), kStart);
    engine.advance(kStart + 1h);
    engine.advance(kStart + 1h - 1s);
    EXPECT_EQ(engine.table()->find("a")->window.invocation_count, 0);
}

TEST(MetricsEngine, reports_recent_metrics_until_they_are_confirmed_and_again_when_they_decay) {
    MetricsEngine engine{{}};
    engine.add(invocation_of("a", kStart, false), kStart);
    engine.advance(kStart);
    const auto changes = engine.changed_recent();
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].metrics, (RecentMetrics{1, 1, 0, kStart}));
    EXPECT_EQ(engine.changed_recent().size(), 1U) << "not confirmed yet";
    engine.confirm_recent(changes);
    EXPECT_TRUE(engine.changed_recent().empty());

    engine.advance(kStart + 30min);
    EXPECT_TRUE(engine.changed_recent().empty());
    engine.advance(kStart + 1h);
    ASSERT_EQ(engine.changed_recent().size(), 1U);
    EXPECT_EQ(engine.changed_recent()[0].metrics.count_1h, 0);
}

TEST(MetricsEngine, a_change_between_report_and_confirmation_is_reported_again) {
    MetricsEngine engine{{}};
    engine.add(invocation_of("a", kStart), kStart);
    const auto changes = engine.changed_recent();
    engine.add(invocation_of("a", kStart), kStart);
    engine.confirm_recent(changes);
    ASSERT_EQ(engine.changed_recent().size(), 1U);
    EXPECT_EQ(engine.changed_recent()[0].metrics.count_1h, 2);
}

TEST(MetricsEngine, a_row_too_old_for_every_window_still_reports_the_skill) {
    MetricsEngine engine{{}};
    engine.add(invocation_of("a", kStart), kStart);
    engine.confirm_recent(engine.changed_recent());
    engine.add(invocation_of("a", kStart - 100h), kStart);  // the trigger has counted it in the cache
    ASSERT_EQ(engine.changed_recent().size(), 1U);
    EXPECT_EQ(engine.changed_recent()[0].metrics.count_24h, 1);
}

TEST(MetricsEngine, sessions_are_the_same_object_until_they_change) {
    MetricsEngine engine{{}};
    engine.add(invocation_of("a", kStart), kStart);
    engine.advance(kStart);
    const auto before = engine.sessions();
    ASSERT_EQ(before->size(), 1U);
    engine.advance(kStart + 1s);
    EXPECT_EQ(engine.sessions(), before);
    engine.advance(kStart + 30min);
    EXPECT_TRUE(engine.sessions()->empty());
}

TEST(MetricsEngine, skills_beyond_max_tracked_skills_are_summed_as_other) {
    MetricsEngine engine{{.max_tracked_skills = 3}};
    for (int i = 0; i < 1000; ++i) {
        engine.add(invocation_of("skill-" + std::to_string(i), kStart, i % 2 == 0), kStart);
    }
    engine.add(invocation_of("skill-1", kStart), kStart);
    engine.advance(kStart);
    const auto table = engine.table();
    EXPECT_EQ(table->size(), 4U);
    EXPECT_EQ(table->find("skill-1")->window.invocation_count, 2);
    EXPECT_EQ(table->find("skill-3"), nullptr);
    ASSERT_NE(table->find("other"), nullptr);
    EXPECT_EQ(table->find("other")->window.invocation_count, 997);
    EXPECT_EQ(table->find("other")->window.completed_count, 498);
    EXPECT_EQ(table->find("other")->lifetime.total_invocations, 997);
    EXPECT_EQ(top_names(*table).front(), "other");
    EXPECT_EQ(engine.skills_tracked(), (TrackedNames{4, 997}));
    for (const auto& change : engine.changed_recent()) {
        EXPECT_NE(change.skill_name, "other") << "the database has no such skill";
    }
}

TEST(MetricsEngine, a_skill_is_tracked_again_after_another_one_has_left_all_windows) {
    MetricsEngine engine{{.max_tracked_skills = 2}};
    engine.add(invocation_of("a", kStart), kStart);
    engine.add(invocation_of("b", kStart + 1h), kStart + 1h);
    engine.add(invocation_of("c", kStart + 1h), kStart + 1h);
    engine.advance(kStart + 1h);
    EXPECT_EQ(engine.table()->find("c"), nullptr);

    const TimePoint later = kStart + 24h;
    engine.advance(later);  // "a" has left; its change must be confirmed first
    engine.add(invocation_of("c", later), later);
    EXPECT_EQ(engine.table()->find("c"), nullptr);
    engine.confirm_recent(engine.changed_recent());
    engine.add(invocation_of("c", later), later);
    engine.advance(later);
    ASSERT_NE(engine.table()->find("c"), nullptr);
    EXPECT_EQ(engine.table()->find("c")->window.invocation_count, 1);
    EXPECT_EQ(engine.table()->find("a"), nullptr);
    EXPECT_EQ(engine.table()->find("b")->window.invocation_count, 1);
    EXPECT_EQ(engine.table()->find("other")->window.invocation_count, 2);
    engine.set_lifetime("c", {10, 9, 1.0, later});
    engine.set_lifetime("a", {10, 9, 1.0, kStart});
    EXPECT_EQ(engine.table()->find("c")->lifetime.total_invocations, 10);
    EXPECT_EQ(engine.table()->find("a"), nullptr);
}

TEST(MetricsEngine, names_that_come_and_go_do_not_accumulate) {
    MetricsEngine engine{{.max_tracked_skills = 100}};
    for (int day = 0; day < 50; ++day) {
        const TimePoint now = kStart + day * 25h;
        engine.advance(now);
        engine.confirm_recent(engine.changed_recent());
        for (int i = 0; i < 100; ++i) {
            engine.add(invocation_of(std::to_string(day) + '-' + std::to_string(i), now), now);
        }
        engine.advance(now);
        ASSERT_EQ(engine.table()->size(), 100U);
        ASSERT_EQ(engine.table()->find(std::to_string(day) + "-99")->window.invocation_count, 1);
    }
    EXPECT_EQ(engine.skills_tracked(), (TrackedNames{100, 0}));
}

}  // namespace
}  // namespace session_buddy::metrics
