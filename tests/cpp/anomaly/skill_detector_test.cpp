// The detector on hand-made histories: what is compared with what, and how episodes begin, last and end.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "history.hpp"

namespace session_buddy::anomaly {
namespace {

using namespace history;

constexpr auto kCompletion = SkillDetector::completion;
constexpr auto kDuration = SkillDetector::duration;

class SkillDetectorTest : public testing::Test {
  protected:
    void run(TimePoint at, bool completed, std::optional<double> duration = std::nullopt) {
        detector_.add({at, completed, duration, completed ? 0U : 7U}, events_);
        now_ = std::max(now_, at);
    }
    void pass(microseconds time) {
        now_ += time;
        detector_.advance(now_, events_);
    }
    /// `total` runs, `gap` apart, the first one a gap from now, `good` of them completed and evenly spread.
    void runs(int total, int good, microseconds gap, std::optional<double> duration = std::nullopt) {
        for (int i = 0; i < total; ++i) {
            run(now_ + gap, (i + 1) * good / total > i * good / total, duration);
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
    runs(100, 85, minutes(10));
    pass(hours(1));
    runs(8, 8, minutes(1));
    runs(5, 0, minutes(1));
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

TEST_F(SkillDetectorTest, takes_the_last_five_at_most_fifty_and_at_most_half) {
    struct Row {
        int before;
        microseconds gap_before;
        int recent;
        std::int64_t observed;
    };
    for (const auto& [before, gap, recent, observed] :
         {Row{30, minutes(40), 1, 5}, {30, minutes(40), 5, 5}, {30, minutes(30), 12, 12}, {200, minutes(5), 90, 50},
          {10, minutes(70), 30, 20}, {6, minutes(70), 6, 6}}) {
        SCOPED_TRACE(testing::Message() << before << " before, " << recent << " recent");
        SkillDetector detector{options_};
        std::vector<EpisodeEvent> events;
        TimePoint at = kStart;
        for (int i = 0; i < before; ++i) {
            detector.add({at += gap, true, {}, 0}, events);
        }
        at += hours(1);
        for (int i = 0; i < recent; ++i) {
            detector.add({at += seconds(1), true, {}, 0}, events);
        }
        // All of them fail now, so that an episode tells the sizes: it starts with the fewest that stand out.
        EXPECT_TRUE(events.empty());
        std::array<std::optional<Episode>, SkillDetector::channel_count> none;
        Episode probe;
        probe.started_at = at;
        probe.baseline.count = 1000;
        probe.baseline.completed = 10;
        probe.deviation.type = AnomalyType::performance_spike;
        none[kCompletion] = probe;
        SkillDetector resumed{options_};
        at = kStart;
        for (int i = 0; i < before; ++i) {
            resumed.preload({at += gap, true, {}, 0});
        }
        at += hours(1);
        for (int i = 0; i < recent; ++i) {
            resumed.preload({at += seconds(1), true, {}, 0});
        }
        resumed.begin(at, none);
        EXPECT_TRUE(resumed.is_reported(kCompletion, at));
        resumed.advance(at, events);
        EXPECT_EQ(resumed.observed_count(), observed);
    }
}

}  // namespace
}  // namespace session_buddy::anomaly
