// The engine for all skills: reported anomalies and their order, episode events, and restarts.
#include "session_buddy/anomaly/anomaly_engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "history.hpp"

namespace session_buddy::anomaly {
namespace {

using namespace history;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

class AnomalyEngineTest : public testing::Test {
  protected:
    static Invocation invocation(const std::string& skill, TimePoint at, bool completed, const std::string& error = {},
                                 std::optional<double> duration = std::nullopt) {
        Invocation made;
        made.skill_name = skill;
        made.invoked_at = at;
        made.completed = completed;
        made.error_type = error;
        made.duration_seconds = duration;
        return made;
    }
    void add(const std::string& skill, bool completed, const std::string& error = {}) {
        now_ += milliseconds(10);
        engine_.add(invocation(skill, now_, completed, error), now_);
    }
    void fail_after(const std::string& skill, int good, int failed, const std::string& error = "timeout") {
        for (int i = 0; i < good; ++i) {
            add(skill, true);
        }
        for (int i = 0; i < failed; ++i) {
            add(skill, false, error);
        }
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const Anomaly& anomaly : engine_.reported(now_)) {
            names.push_back(anomaly.skill_name);
        }
        return names;
    }

    using milliseconds = std::chrono::milliseconds;
    DetectorOptions options_;
    AnomalyEngine engine_{options_};
    TimePoint now_ = kStart;
};

TEST_F(AnomalyEngineTest, reports_the_largest_score_first_with_all_fields) {
    fail_after("b", 10, 5);
    fail_after("a", 10, 5);
    fail_after("worst", 30, 20);
    fail_after("fine", 30, 0);
    EXPECT_THAT(names(), ElementsAre("worst", "a", "b"));
    const Anomaly anomaly = engine_.reported(now_).back();
    EXPECT_EQ(anomaly.type, AnomalyType::performance_drop);
    EXPECT_EQ(anomaly.baseline_value, 1.0);
    EXPECT_EQ(anomaly.deviation_score, -anomaly.z_score);
    EXPECT_GE(anomaly.deviation_score, 2.0);
    EXPECT_EQ(anomaly.observed_samples, 7);
    EXPECT_GT(anomaly.tail_probability, 0.0);
    EXPECT_LT(anomaly.tail_probability, 0.05);
    EXPECT_GT(anomaly.since, kStart);
    EXPECT_LE(anomaly.since, kStart + milliseconds(150));
}

TEST_F(AnomalyEngineTest, names_the_three_most_common_errors) {
    fail_after("a", 30, 4, "timeout");
    for (const char* error : {"network", "network", "", "auth", "disk", "network", "timeout"}) {
        add("a", false, error);
    }
    const auto reported = engine_.reported(now_);
    ASSERT_EQ(reported.size(), 1U);
    EXPECT_THAT(reported[0].common_errors, ElementsAre(Pair("timeout", 5), Pair("network", 3), Pair("auth", 1)));
}

TEST_F(AnomalyEngineTest, returns_each_event_and_each_evaluated_skill_once) {
    fail_after("a", 5, 5);
    fail_after("b", 2, 0);
    EXPECT_THAT(engine_.take_evaluated(), UnorderedElementsAre("a", "b"));
    EXPECT_THAT(engine_.take_evaluated(), IsEmpty());
    const auto events = engine_.take_events();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].skill_name, "a");
    EXPECT_EQ(events[0].event.kind, EpisodeEvent::Kind::started);
    EXPECT_THAT(engine_.take_events(), IsEmpty());
    engine_.advance(now_ + milliseconds(1));
    EXPECT_THAT(engine_.take_evaluated(), IsEmpty());
    engine_.advance(now_ + hours(25));
    const auto ends = engine_.take_events();
    ASSERT_EQ(ends.size(), 1U);
    EXPECT_EQ(ends[0].event.kind, EpisodeEvent::Kind::resolved);
    EXPECT_EQ(ends[0].event.deviation.baseline_value, 1.0);
}

TEST_F(AnomalyEngineTest, the_state_of_a_skill_is_what_is_reported) {
    fail_after("a", 5, 4);
    EXPECT_EQ(engine_.state("a", now_), AnomalyEngine::SkillState{});
    EXPECT_EQ(engine_.state("never seen", now_), AnomalyEngine::SkillState{});
    add("a", false);
    const auto state = engine_.state("a", now_);
    EXPECT_TRUE(state.is_anomalous);
    EXPECT_EQ(state.score, engine_.reported(now_).at(0).deviation_score);
    EXPECT_FALSE(engine_.state("a", now_ + hours(1)).is_anomalous);
}

TEST_F(AnomalyEngineTest, an_invocation_from_the_future_counts_as_now) {
    fail_after("a", 5, 4);
    engine_.add(invocation("a", now_ + hours(100), false), now_);
    EXPECT_THAT(names(), ElementsAre("a"));
    EXPECT_EQ(engine_.take_events().at(0).event.at, now_);
    engine_.advance(now_ + hours(25));
    EXPECT_THAT(engine_.open_episodes(), IsEmpty());
}

TEST_F(AnomalyEngineTest, error_texts_do_not_fill_the_memory) {
    for (int i = 0; i < 10'050; ++i) {
        add("a", i % 2 == 0, "error " + std::to_string(i));
    }
    fail_after("b", 20, 0);
    for (int i = 0; i < 10'050; ++i) {
        add("filler", false, "other error " + std::to_string(i));
    }
    for (int i = 0; i < 10; ++i) {
        add("b", false, "new error " + std::to_string(i));
    }
    for (const Anomaly& anomaly : engine_.reported(now_)) {
        if (anomaly.skill_name == "b") {
            EXPECT_THAT(anomaly.common_errors, ElementsAre(Pair("other", 10)));
            return;
        }
    }
    FAIL() << "b is not reported";
}

TEST_F(AnomalyEngineTest, a_restart_in_the_middle_gives_the_same_events) {
    struct Row {
        Invocation invocation;
        TimePoint at;
    };
    std::vector<Row> rows;
    for (std::uint64_t skill = 0; skill < 5; ++skill) {
        for (const Sample& one : random_history(500 + skill, 400)) {
            const std::string error = one.error > 0 ? "error " + std::to_string(one.error) : "";
            std::optional<double> duration = one.duration_seconds;
            rows.push_back(
                {invocation("skill " + std::to_string(skill), one.at, one.completed, error, duration), one.at});
        }
    }
    std::ranges::stable_sort(rows, {}, &Row::at);
    const TimePoint end = rows.back().at + hours(30);
    const auto feed = [](AnomalyEngine& engine, const Row& row) {
        engine.advance(row.at);
        engine.add(row.invocation, row.at);
    };
    AnomalyEngine whole{options_};
    for (const Row& row : rows) {
        feed(whole, row);
    }
    whole.advance(end);
    const auto expected = whole.take_events();
    EXPECT_GT(expected.size(), 20U);

    for (std::size_t cut = 50; cut < rows.size(); cut += 173) {
        AnomalyEngine before{options_};
        AnomalyEngine after{options_};
        for (std::size_t i = 0; i < cut; ++i) {
            feed(before, rows[i]);
            after.preload(rows[i].invocation);
        }
        const TimePoint until = rows[cut - 1].at;
        after.begin(until, before.open_episodes());
        ASSERT_EQ(after.reported(until), before.reported(until)) << cut;
        auto events = before.take_events();
        for (std::size_t i = cut; i < rows.size(); ++i) {
            feed(after, rows[i]);
        }
        after.advance(end);
        for (auto& event : after.take_events()) {
            events.push_back(event);
        }
        ASSERT_TRUE(events == expected) << "restarted at " << cut;
    }
}

TEST_F(AnomalyEngineTest, evaluates_no_more_skills_than_its_limit_until_one_has_left_the_baseline_window) {
    AnomalyEngine engine{options_, {.skills = 2}};
    for (const char* skill : {"a", "b", "c"}) {
        engine.add(invocation(skill, now_, true), now_);
    }
    EXPECT_NE(engine.detector("b"), nullptr);
    EXPECT_EQ(engine.detector("c"), nullptr);
    engine.advance(now_ + hours(25));
    EXPECT_THAT(engine.take_evaluated(), UnorderedElementsAre("a", "b"));
    engine.add(invocation("c", now_ + hours(25), true), now_ + hours(25));
    EXPECT_NE(engine.detector("c"), nullptr);
    EXPECT_EQ(engine.detector("a"), nullptr);
}

TEST_F(AnomalyEngineTest, error_types_beyond_the_limit_count_as_other) {
    AnomalyEngine engine{options_, {.error_types = 10}};
    for (int i = 0; i < 10; ++i) {
        now_ += milliseconds(10);
        engine.add(invocation("a", now_, true), now_);
    }
    for (int i = 0; i < 30; ++i) {
        now_ += milliseconds(10);
        engine.add(invocation(i < 15 ? "filler" : "a", now_, false, "error-" + std::to_string(i)), now_);
    }
    EXPECT_EQ(engine.error_types_tracked().rows_in_other, 20U);
    EXPECT_LE(engine.error_types_tracked().count, 11U);
    ASSERT_FALSE(engine.reported(now_).empty());
    EXPECT_EQ(engine.reported(now_)[0].common_errors[0].first, "other");
}

TEST_F(AnomalyEngineTest, unknown_outcomes_are_left_out_before_and_after_a_restart) {
    AnomalyEngine without{options_};
    AnomalyEngine restarted{options_};
    TimePoint at = kStart;
    for (int i = 0; i < 60; ++i) {
        at += milliseconds(10);
        Invocation known = invocation("a", at, i < 40, "timeout", 1.0);
        Invocation unknown = invocation("a", at, true, {}, 500.0);
        unknown.outcome_is_unknown = true;
        for (int copies = 0; copies < 3; ++copies) {
            engine_.add(unknown, at);
            restarted.preload(unknown);
        }
        engine_.add(known, at);
        restarted.preload(known);
        without.add(known, at);
    }
    ASSERT_THAT(without.reported(at), testing::SizeIs(1));
    EXPECT_EQ(engine_.reported(at), without.reported(at));
    EXPECT_EQ(engine_.take_events(), without.take_events());
    restarted.begin(at, without.open_episodes());
    EXPECT_EQ(restarted.reported(at), without.reported(at));
}

TEST_F(AnomalyEngineTest, a_duration_that_is_an_upper_bound_is_no_pattern_shift) {
    const auto run = [&](bool is_bound) {
        AnomalyEngine engine{options_};
        TimePoint at = kStart;
        for (int i = 0; i < 60; ++i) {
            at += milliseconds(10);
            Invocation row = invocation("Edit", at, true, {}, i < 40 ? 0.1 + 0.01 * (i % 5) : 600.0);
            row.duration_is_bound = is_bound && i >= 40;
            engine.add(row, at);
        }
        return engine.reported(at).size();
    };
    EXPECT_EQ(run(false), 1U);
    EXPECT_EQ(run(true), 0U);
}

}  // namespace
}  // namespace session_buddy::anomaly
