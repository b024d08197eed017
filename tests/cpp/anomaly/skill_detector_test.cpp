// The detector on handwritten histories: what is compared with what, and how episodes start, continue and end.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "history.hpp"

namespace session_buddy::anomaly {
namespace {

using namespace history;

constexpr auto kCompletion = SkillDetector::completion;
constexpr auto kDuration = SkillDetector::duration;

class SkillDetectorTest : public testing::Test {
  protected:
    void add(TimePoint at, bool completed, std::optional<double> duration = std::nullopt) {
        detector_.add({at, completed, duration, completed ? 0U : 7U}, events_);
        now_ = std::max(now_, at);
    }
    void advance(microseconds time) {
        now_ += time;
        detector_.advance(now_, events_);
    }
    /// Adds `total` samples, `gap` apart, the first one a gap from now; `good` of them completed, evenly spread.
    void add_many(int total, int good, microseconds gap, std::optional<double> duration = std::nullopt) {
        for (int i = 0; i < total; ++i) {
            add(now_ + gap, (i + 1) * good / total > i * good / total, duration);
        }
    }
    [[nodiscard]] const Deviation& deviation(SkillDetector::Channel channel = kCompletion) const {
        return detector_.episode(channel).value().deviation;
    }
    [[nodiscard]] bool reported(SkillDetector::Channel channel = kCompletion) const {
        return detector_.is_reported(channel, now_);
    }
    [[nodiscard]] std::string history_of_episodes() const {
        std::string text;
        for (const EpisodeEvent& event : events_) {
            text += event.kind == EpisodeEvent::Kind::started ? '+' : '-';
            text += event.deviation.type == AnomalyType::performance_drop    ? 'd'
                    : event.deviation.type == AnomalyType::performance_spike ? 'u'
                                                                             : 's';
        }
        return text;
    }

    DetectorOptions options_;
    SkillDetector detector_{options_};
    std::vector<EpisodeEvent> events_;
    TimePoint now_ = kStart;
};

TEST_F(SkillDetectorTest, compares_the_last_hour_with_the_day_before_it) {
    add_many(100, 85, minutes(10));
    advance(hours(1));
    add_many(8, 8, minutes(1));
    add_many(5, 0, minutes(1));
    const double p = 85.5 / 101.0;
    const double z = (8.0 / 13.0 - 0.85) / std::sqrt(p * (1 - p) * (1 / 13.0 + 1 / 101.0));
    ASSERT_TRUE(reported());
    EXPECT_EQ(deviation().type, AnomalyType::performance_drop);
    EXPECT_EQ(deviation().baseline_value, 0.85);
    EXPECT_EQ(deviation().observed_value, 8.0 / 13.0);
    EXPECT_EQ(deviation().baseline_samples, 100);
    EXPECT_EQ(deviation().observed_samples, 13);
    EXPECT_NEAR(deviation().z, z, 1e-12);
    const double tail = beta_binomial_tail(8, 13, 85.5, 15.5).lower;
    EXPECT_DOUBLE_EQ(deviation().tail_probability, tail);
    EXPECT_EQ(history_of_episodes(), "+d");
    EXPECT_EQ(detector_.observed_errors(), std::vector<std::uint32_t>(5, 7U));
}

TEST_F(SkillDetectorTest, observes_the_last_hour_or_five_but_at_most_fifty_and_half) {
    struct Row {
        int before;
        microseconds gap;
        int recent;
        std::size_t observed;
    };
    for (const auto& [before, gap, recent, observed] : {Row{20, minutes(40), 1, 5},
                                                        {20, minutes(40), 5, 5},
                                                        {20, minutes(40), 12, 12},
                                                        {200, minutes(5), 90, 50},
                                                        {10, minutes(70), 30, 20},
                                                        {6, minutes(70), 6, 6},
                                                        {0, minutes(1), 9, 4},
                                                        {0, minutes(1), 1, 0}}) {
        SCOPED_TRACE(testing::Message() << before << " before, " << recent << " recent");
        // A skill that always fails: the error identifies each observed sample.
        SkillDetector detector{options_};
        TimePoint at = kStart;
        for (int i = 0; i < before; ++i) {
            detector.add({at += gap, false, {}, 7}, events_);
        }
        at += hours(1);
        for (int i = 0; i < recent; ++i) {
            detector.add({at += seconds(1), false, {}, 7}, events_);
        }
        EXPECT_EQ(detector.observed_errors().size(), observed);
    }
    EXPECT_TRUE(events_.empty());
}

TEST_F(SkillDetectorTest, an_hour_and_a_day_end_to_the_microsecond) {
    add_many(20, 0, minutes(2));  // failures, observed until an hour later
    const TimePoint first = kStart + minutes(2);
    EXPECT_EQ(detector_.observed_errors().size(), 10U);
    add_many(40, 40, microseconds(1));
    detector_.advance(first + hours(1) - microseconds(1), events_);
    const auto before = detector_.next_change();
    EXPECT_EQ(before, first + hours(1));
    detector_.advance(first + hours(1), events_);
    EXPECT_EQ(detector_.next_change(), first + minutes(2) + hours(1));
    detector_.advance(first + hours(24) - microseconds(1), events_);
    EXPECT_EQ(detector_.next_change(), first + hours(24));
    detector_.advance(now_ + hours(48), events_);
    EXPECT_EQ(detector_.next_change(), TimePoint::max());
    EXPECT_EQ(detector_.score(), std::nullopt);
}

TEST_F(SkillDetectorTest, reports_nothing_below_five_on_either_side) {
    add_many(5, 5, seconds(1));
    add_many(4, 0, seconds(1));
    EXPECT_EQ(detector_.score(), std::nullopt);
    EXPECT_TRUE(events_.empty());
    add_many(1, 0, seconds(1));
    EXPECT_TRUE(reported());
    EXPECT_EQ(deviation().baseline_samples, 5);
    EXPECT_EQ(deviation().observed_samples, 5);
    EXPECT_EQ(deviation().observed_value, 0.0);
}

TEST_F(SkillDetectorTest, five_good_and_three_failed_are_too_few) {
    add_many(5, 5, microseconds(0));
    add_many(3, 0, microseconds(0));
    EXPECT_EQ(detector_.score(), std::nullopt);
    EXPECT_TRUE(events_.empty());
}

TEST_F(SkillDetectorTest, reports_the_specified_drop_for_any_baseline) {
    for (int baseline = 40; baseline <= 500; baseline += 20) {
        SkillDetector detector{options_};
        std::vector<EpisodeEvent> events;
        TimePoint at = kStart;
        const auto gap = hours(20) / baseline;
        for (int i = 0; i < baseline; ++i) {
            detector.add({at += gap, (i + 1) * 85 / 100 > i * 85 / 100, {}, 0}, events);
        }
        at += hours(1);
        for (int i = 0; i < 13; ++i) {
            detector.add({at += minutes(1), i < 8, {}, 0}, events);
        }
        SCOPED_TRACE(baseline);
        ASSERT_TRUE(detector.is_reported(kCompletion, at));
        const Deviation& deviation = detector.episode(kCompletion)->deviation;
        EXPECT_EQ(deviation.baseline_samples, baseline);
        EXPECT_EQ(deviation.observed_samples, 13);
        EXPECT_NEAR(deviation.baseline_value, 0.85, 1e-9);
        EXPECT_NEAR(deviation.observed_value, 0.62, 0.005);
        EXPECT_NEAR(-deviation.z, 2.3, baseline < 80 ? 0.3 : 0.2);
    }
}

TEST_F(SkillDetectorTest, reports_a_spike) {
    add_many(100, 80, minutes(10));
    advance(hours(1));
    add_many(1, 0, minutes(1));
    add_many(39, 39, minutes(1));
    ASSERT_TRUE(reported());
    EXPECT_EQ(deviation().type, AnomalyType::performance_spike);
    EXPECT_EQ(deviation().baseline_value, 0.8);
    EXPECT_EQ(deviation().observed_value, 39.0 / 40.0);
    EXPECT_GT(deviation().z, 2.0);
    EXPECT_EQ(deviation().tail_probability, beta_binomial_tail(39, 40, 80.5, 20.5).upper);
}

TEST_F(SkillDetectorTest, reports_a_shift_of_durations_in_seconds) {
    for (int i = 0; i < 100; ++i) {
        add(now_ + minutes(10), true, i % 2 == 0 ? 4.0 : 6.0);
    }
    advance(hours(1));
    add_many(10, 10, minutes(1), 15.0);
    ASSERT_TRUE(reported(kDuration));
    const Deviation& shift = deviation(kDuration);
    EXPECT_EQ(shift.type, AnomalyType::pattern_shift);
    EXPECT_EQ(shift.baseline_value, 5.0);
    EXPECT_EQ(shift.observed_samples, 10);
    EXPECT_EQ(shift.observed_value, 15.0);
    const double n_b = static_cast<double>(shift.baseline_samples);
    // The episode started while some of the five observed samples were still old ones.
    EXPECT_GE(shift.baseline_samples, 95);
    const double sd = std::sqrt((n_b - (shift.baseline_samples % 2 == 0 ? 0.0 : 1.0 / n_b)) / (n_b - 1.0));
    EXPECT_NEAR(shift.z, 10.0 / (sd * std::sqrt(1 / 10.0 + 1 / n_b)), 0.2);
    EXPECT_FALSE(detector_.episode(kCompletion));
}

TEST_F(SkillDetectorTest, failures_and_samples_without_a_duration_are_ignored_for_durations) {
    for (int i = 0; i < 60; ++i) {
        add(now_ + minutes(10), i % 3 != 0, i % 3 == 0 ? std::optional{900.0} : std::nullopt);
    }
    advance(hours(1));
    for (int i = 0; i < 30; ++i) {
        add(now_ + seconds(1), i % 3 != 0, i % 3 == 0 ? std::optional{1.0} : std::nullopt);
    }
    EXPECT_FALSE(detector_.episode(kDuration));
}

TEST_F(SkillDetectorTest, means_that_differ_by_less_than_a_tenth_are_no_shift) {
    add_many(100, 100, minutes(10), 10.0);
    advance(hours(1));
    add_many(40, 40, minutes(1), 10.99);  // z of about 11 with the minimum spread
    EXPECT_GT(detector_.score().value(), 5.0);
    EXPECT_FALSE(detector_.episode(kDuration));
    advance(hours(30));
    SkillDetector other{options_};
    for (int i = 0; i < 140; ++i) {
        other.add({now_ + (i < 100 ? minutes(10 * i) : hours(18) + minutes(i)), true, i < 100 ? 10.0 : 11.2, 0},
                  events_);
    }
    EXPECT_EQ(history_of_episodes(), "+s");
}

TEST_F(SkillDetectorTest, constant_and_zero_durations_have_the_minimum_spread) {
    add_many(60, 60, minutes(10), 0.0);
    advance(hours(1));
    add_many(10, 10, minutes(1), 0.0);
    EXPECT_EQ(detector_.score(), 0.0);
    add_many(20, 20, minutes(1), 0.002);
    EXPECT_TRUE(reported(kDuration));
    EXPECT_TRUE(std::isfinite(deviation(kDuration).z));
}

TEST_F(SkillDetectorTest, skills_that_never_change_are_not_anomalous) {
    for (const bool completed : {true, false}) {
        SkillDetector detector{options_};
        for (int i = 0; i < 300; ++i) {
            detector.add({kStart + minutes(7) * i, completed, 5.0, 0}, events_);
        }
        EXPECT_EQ(detector.score(), 0.0);
    }
    EXPECT_TRUE(events_.empty());
}

TEST_F(SkillDetectorTest, a_skill_that_never_failed_can_drop_and_one_that_always_failed_can_rise) {
    add_many(50, 50, minutes(10));
    advance(hours(1));
    add_many(6, 0, minutes(1));
    EXPECT_EQ(history_of_episodes(), "+d");
    EXPECT_EQ(deviation().baseline_value, 1.0);
    SkillDetector other{options_};
    for (int i = 0; i < 56; ++i) {
        other.add({kStart + (i < 50 ? minutes(10) * i : hours(10) + minutes(i)), i >= 50, 1.0, 0}, events_);
    }
    EXPECT_EQ(history_of_episodes(), "+d+u");
    EXPECT_EQ(events_.back().deviation.baseline_value, 0.0);
}

TEST_F(SkillDetectorTest, one_sample_is_not_enough) {
    add(kStart, false, 3.0);
    EXPECT_EQ(detector_.score(), std::nullopt);
    advance(hours(48));
    EXPECT_TRUE(events_.empty());
    EXPECT_EQ(detector_.next_change(), TimePoint::max());
}

TEST_F(SkillDetectorTest, odd_durations_count_as_none) {
    add_many(60, 60, minutes(10), 5.0);
    for (const double odd :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1.0, 1e9}) {
        add(now_ + seconds(1), true, odd);
    }
    add_many(5, 5, seconds(1), 5.0);
    EXPECT_EQ(detector_.score(), 0.0);
    EXPECT_TRUE(events_.empty());
}

TEST_F(SkillDetectorTest, a_late_sample_is_sorted_in_and_one_older_than_a_day_is_ignored) {
    SkillDetector in_order{options_};
    std::vector<EpisodeEvent> ignored;
    std::vector<Sample> all;
    for (int i = 0; i < 60; ++i) {
        all.push_back({kStart + minutes(20) * i, i % 4 != 0, 5.0 + i % 3, static_cast<std::uint32_t>(i % 4 == 0)});
    }
    for (const Sample& one : all) {
        in_order.add(one, ignored);
    }
    // The newest first, then the late ones.
    detector_.add(all.back(), events_);
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
        detector_.add(all[i], events_);
    }
    EXPECT_EQ(detector_.score(), in_order.score());
    EXPECT_EQ(detector_.observed_errors(), in_order.observed_errors());
    EXPECT_EQ(detector_.next_change(), in_order.next_change());
    const auto score = detector_.score();
    detector_.add({all.back().at - hours(24), false, {}, 0}, events_);
    EXPECT_EQ(detector_.score(), score);
    EXPECT_EQ(detector_.next_change(), in_order.next_change());
}

TEST_F(SkillDetectorTest, a_clock_that_jumps_a_year_ahead_and_back_does_no_harm) {
    add_many(60, 54, minutes(10));
    add(now_ + hours(24 * 365), true);
    EXPECT_EQ(detector_.score(), std::nullopt);  // by that clock all the others are older than a day
    const TimePoint ahead = now_;
    now_ = kStart + hours(12);
    add_many(60, 0, minutes(1));  // ignored: older than a day
    EXPECT_TRUE(events_.empty());
    EXPECT_EQ(detector_.score(), std::nullopt);
    now_ = ahead;
    add_many(60, 54, minutes(10));
    EXPECT_TRUE(detector_.score().has_value());
    EXPECT_TRUE(events_.empty());
}

TEST_F(SkillDetectorTest, samples_of_the_same_microsecond_keep_their_order) {
    for (int i = 0; i < 5; ++i) {
        add(kStart, true);
    }
    for (int i = 0; i < 5; ++i) {
        add(kStart, false);
    }
    EXPECT_EQ(history_of_episodes(), "+d");
    EXPECT_EQ(events_[0].at, kStart);
    EXPECT_EQ(detector_.observed_errors().size(), 5U);
}

TEST_F(SkillDetectorTest, an_episode_ends_under_three_quarters_of_the_threshold_and_may_begin_again) {
    add_many(200, 170, minutes(5));
    advance(hours(1));
    add_many(10, 10, minutes(2));
    add_many(10, 0, minutes(2));
    EXPECT_EQ(history_of_episodes(), "+d");
    double last = detector_.score().value();
    while (history_of_episodes() == "+d") {
        last = std::abs(deviation().z);
        EXPECT_EQ(reported(), last >= 2.0);
        add_many(1, 1, minutes(2));
    }
    EXPECT_GE(last, 1.5);
    EXPECT_LT(last, 1.8);  // with one sample more or less
    EXPECT_EQ(history_of_episodes(), "+d-d");
    EXPECT_EQ(events_.back().at, now_);
    EXPECT_FALSE(reported());
    add_many(20, 0, minutes(1));
    EXPECT_EQ(history_of_episodes(), "+d-d+d");
}

TEST_F(SkillDetectorTest, a_lasting_drop_is_compared_with_the_baseline_before_it) {
    add_many(200, 190, minutes(5));
    advance(hours(1));
    for (int hour = 0; hour < 6; ++hour) {
        add_many(20, 8, minutes(3));
        ASSERT_TRUE(reported()) << hour;
        EXPECT_NEAR(deviation().baseline_value, 0.95, 0.006);
        EXPECT_NEAR(deviation().observed_value, 0.4, 0.11);
    }
    EXPECT_EQ(history_of_episodes(), "+d");
    EXPECT_GT(detector_.episode(kCompletion)->excluded, 90);
}

TEST_F(SkillDetectorTest, a_level_that_lasts_a_day_is_normal) {
    add_many(700, 700, minutes(2));
    const auto ends = [&] { return history_of_episodes().find('-') != std::string::npos; };
    for (int i = 0; i < 600 && !ends(); ++i) {
        add(now_ + minutes(5), i % 3 != 0);
    }
    ASSERT_EQ(history_of_episodes(), "+d-d");
    const auto lasted = events_[1].at - events_[0].at;
    EXPECT_EQ(lasted, hours(24));
    for (int i = 0; i < 100; ++i) {
        add(now_ + minutes(5), i % 3 != 0);
    }
    EXPECT_EQ(history_of_episodes(), "+d-d") << "and stays resolved";
}

TEST_F(SkillDetectorTest, a_small_baseline_is_extended_by_as_many_samples_as_it_has) {
    add_many(10, 10, seconds(1));
    add_many(10, 0, seconds(1));
    EXPECT_LE(deviation().baseline_samples, 10);
    std::int64_t largest = 0;
    while (detector_.episode(kCompletion) && largest < 1000) {
        largest = std::max(largest, deviation().baseline_samples);
        add_many(1, 0, seconds(1));
    }
    EXPECT_EQ(history_of_episodes(), "+d-d") << "accepted without a new episode";
    EXPECT_GE(largest, 20);
    EXPECT_LE(largest, 320);
}

TEST_F(SkillDetectorTest, a_small_baseline_is_extended_by_samples_that_are_no_longer_recent) {
    add_many(18, 18, hours(1));
    add_many(2, 0, hours(1));
    ASSERT_TRUE(reported());
    EXPECT_EQ(deviation().baseline_samples, 15);
    add_many(3, 0, hours(1));
    EXPECT_EQ(deviation().baseline_samples, 18) << "the good ones that were observed at the start have joined it";
    add_many(3, 0, hours(1));
    EXPECT_EQ(deviation().baseline_samples, 19) << "24 samples of the last day without the 5 observed ones";
    EXPECT_EQ(deviation().baseline_value, 16.0 / 19.0);
    EXPECT_EQ(history_of_episodes(), "+d") << "accepted without an end of the episode";
}

TEST_F(SkillDetectorTest, an_idle_hour_hides_an_episode_and_keeps_it) {
    add_many(100, 95, minutes(10));
    advance(hours(1));
    add_many(12, 2, minutes(2));
    ASSERT_TRUE(reported());
    const TimePoint last = now_;
    advance(hours(1) - microseconds(1));
    EXPECT_TRUE(reported());
    advance(microseconds(1));
    EXPECT_EQ(now_, last + hours(1));
    EXPECT_FALSE(reported());
    advance(hours(5));
    EXPECT_TRUE(detector_.episode(kCompletion));
    EXPECT_EQ(history_of_episodes(), "+d");
    add_many(1, 0, minutes(1));
    EXPECT_TRUE(reported());
    advance(hours(25));
    EXPECT_EQ(history_of_episodes(), "+d-d");
    EXPECT_FALSE(detector_.episode(kCompletion));
}

TEST_F(SkillDetectorTest, one_outlier_among_few_samples_is_no_shift) {
    for (int i = 0; i < 100; ++i) {
        add(now_ + minutes(10), true, 5.0 * std::exp(0.5 * ((i * 37) % 100 - 49.5) / 28.9));
    }
    advance(hours(1));
    add_many(4, 4, minutes(1), 5.0);
    add_many(1, 1, minutes(1), 25.0);
    EXPECT_GT(detector_.score().value(), 2.0);
    EXPECT_FALSE(detector_.episode(kDuration));
}

TEST_F(SkillDetectorTest, a_regular_daily_rhythm_is_no_anomaly) {
    // 40 an hour, the rate swings between 70 % and 100 % every four hours.
    double owed = 0.0;
    for (int i = 0; i < 40 * 48; ++i) {
        owed += 0.85 + 0.15 * std::sin(i / 40.0 * 1.5707963);
        const bool completed = owed >= 1.0;
        owed -= completed ? 1.0 : 0.0;
        add(now_ + seconds(90), completed);
    }
    const auto late = std::ranges::count_if(events_, [&](const EpisodeEvent& e) { return e.at > kStart + hours(24); });
    EXPECT_LE(late, 2);
    EXPECT_GT(events_.size(), 0U) << "before the drift was known, the swing was reported";
}

TEST_F(SkillDetectorTest, keeps_no_more_samples_than_its_limit) {
    for (int i = 0; i < 45'000; ++i) {
        add(now_ + microseconds(10), i % 10 != 0, 1.0);
    }
    // Its oldest sample is the 20,000th from the end; its expiry is the next change after one hour.
    advance(hours(2));
    EXPECT_EQ(detector_.next_change(), kStart + hours(24) + microseconds(10) * 25'001);
    for (int i = 0; i < 10; ++i) {
        add(now_ + microseconds(10), false);
    }
    const Deviation& start = events_.back().deviation;
    EXPECT_EQ(start.baseline_samples + start.observed_samples, 20'000);
}

TEST(SkillDetector, keeps_the_latest_samples_in_any_order_of_arrival) {
    const DetectorOptions options;
    std::vector<Sample> samples;
    for (int i = 0; i < 30'000; ++i) {
        samples.push_back({kStart + i * seconds(1), i % 7 != 0, 1.0 + 0.001 * (i % 97), 0});
    }
    const auto next_change_and_score = [&] {
        SkillDetector detector{options};
        for (const Sample& sample : samples) {
            detector.preload(sample);
        }
        detector.begin(kStart + hours(9), {});
        std::vector<EpisodeEvent> events;
        detector.advance(kStart + hours(10), events);  // no sample is recent any more
        return std::pair{detector.next_change(), detector.score()};
    };
    const auto expected = next_change_and_score();
    EXPECT_EQ(expected.first, samples[10'000].at + hours(24));
    std::ranges::shuffle(samples, std::mt19937_64{1});
    EXPECT_EQ(next_change_and_score(), expected);
}

}  // namespace
}  // namespace session_buddy::anomaly
