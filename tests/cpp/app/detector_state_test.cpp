// The stored detector state round-trips exactly, or is rejected as a whole.
#include "session_buddy/app/detector_state.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace session_buddy::app {
namespace {

using anomaly::AnomalyEngine;
using anomaly::SkillDetector;

constexpr TimePoint kUntil{std::chrono::microseconds{1'770'724'800'123'456}};

AnomalyEngine::OpenEpisode episode() {
    return {.skill_name = "a \"quoted\" \xC3\xBC",
            .channel = SkillDetector::duration,
            .episode = {.started_at = kUntil - std::chrono::hours{1},
                        .deviation = {.type = AnomalyType::pattern_shift,
                                      .baseline_value = 0.1,
                                      .observed_value = 1.0 / 3.0,
                                      .baseline_samples = 100,
                                      .observed_samples = 5,
                                      .z = -std::numeric_limits<double>::min(),
                                      .tail_probability = 1e-300},
                        .baseline = {.count = 90,
                                     .completed = 80,
                                     .timed = 70,
                                     .mean_seconds = 1e22,
                                     .sd_seconds = 123456789.123456789,
                                     .mean_log = 0.0,
                                     .sd_log = 2.0,
                                     .drift_variance = 5e-324},
                        .excluded = 7}};
}

TEST(DetectorState, round_trips_exactly) {
    const auto state = parse_detector_state({head_entry(kUntil, 42), episode_entry(episode())});
    ASSERT_TRUE(state.has_value());
    EXPECT_EQ(state->until, kUntil);
    EXPECT_EQ(state->last_id, 42);
    EXPECT_EQ(state->episodes, std::vector{episode()});
}

TEST(DetectorState, uses_the_same_name_for_an_episode_and_its_removal) {
    const auto removal = removed_episode_entry(episode().skill_name, episode().channel);
    EXPECT_EQ(removal.name, episode_entry(episode()).name);
    EXPECT_FALSE(removal.text.has_value());
    EXPECT_NE(removal.name, removed_episode_entry(episode().skill_name, SkillDetector::completion).name);
}

TEST(DetectorState, is_rejected_if_an_entry_is_missing_or_has_another_format) {
    const std::vector<storage::StateEntry> cases[] = {
        {},
        {episode_entry(episode())},
        {{"head", "no JSON"}},
        {{"head", R"({"version":1,"until":0,"last_id":0})"}},
        {{"head", R"({"version":2,"until":0})"}},
        {head_entry(kUntil, 1), {"episode/0/a", "{}"}},
        {head_entry(kUntil, 1), {"episode/7/a", R"({"skill_name":"a","channel":7})"}},
    };
    for (const auto& entries : cases) {
        EXPECT_FALSE(parse_detector_state(entries).has_value()) << (entries.empty() ? "" : *entries.back().text);
    }
}

}  // namespace
}  // namespace session_buddy::app
