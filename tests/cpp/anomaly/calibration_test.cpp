// A short version of bench/anomaly_calibration: false alarms and power stay within limits, compared with the plain
// z-score rule.
#include <gtest/gtest.h>

#include <cmath>

#include "../../../bench/simulation.hpp"

namespace session_buddy::bench {
namespace {

double percent(std::int64_t count, const Tally& tally) {
    return 100.0 * static_cast<double>(count) / static_cast<double>(tally.evaluations);
}

TEST(Calibration, false_alarms_of_an_unchanged_rate_stay_below_those_of_the_plain_rule) {
    double detector = 0.0;
    double plain = 0.0;
    int cells = 0;
    for (const double rate : {0.5, 0.8, 0.95, 0.99}) {
        for (const double pace : {1.0, 10.0}) {
            const Tally tally = watch(steady(pace, rate, 0.5), {2.0}, 60, 24, 1)[0];
            const double mine = percent(tally.detector.drop + tally.detector.spike, tally);
            EXPECT_LE(mine, 11.0) << rate << " at " << pace << " an hour";
            detector += mine;
            plain += percent(tally.plain.drop + tally.plain.spike, tally);
            ++cells;
        }
    }
    EXPECT_LE(detector / cells, 5.1);
    EXPECT_LT(detector, 0.9 * plain);
    EXPECT_GT(detector / cells, 1.0) << "a detector that never reports is not acceptable";
}

TEST(Calibration, false_alarms_of_unchanged_durations_stay_below_those_of_the_plain_rule) {
    double detector = 0.0;
    double plain = 0.0;
    for (const double sigma : {0.5, 1.0}) {
        const Tally tally = watch(steady(10.0, 0.95, sigma), {2.0}, 60, 24, 2)[0];
        EXPECT_LE(percent(tally.detector.shift, tally), 5.0) << sigma;
        detector += percent(tally.detector.shift, tally);
        plain += percent(tally.plain.shift, tally);
    }
    EXPECT_LT(detector, 0.85 * plain);
}

TEST(Calibration, a_frequently_used_skill_is_not_reported_more_often_than_others) {
    const Tally busy = watch(steady(300.0, 0.9, 0.5), {2.0}, 24, 24, 7)[0];
    EXPECT_LE(percent(busy.detector.drop + busy.detector.spike, busy), 3.0);
    EXPECT_LE(static_cast<double>(busy.episodes.drop + busy.episodes.spike) / busy.skill_days, 14.0);
    EXPECT_LE(static_cast<double>(busy.episodes.shift) / busy.skill_days, 14.0);
}

TEST(Calibration, detects_the_changes_it_should_detect) {
    struct Change {
        double before, after, per_hour, least;
    };
    for (const Change& change : {Change{0.85, 0.62, 40, 86}, {0.80, 0.95, 40, 60}, {0.95, 0.50, 10, 90}}) {
        Behaviour behaviour = steady(change.per_hour, change.before, 0.5);
        behaviour.completion_rate = [&](double t) { return t < 24.0 ? change.before : change.after; };
        const Tally tally = evaluate_after_change(behaviour, {2.0}, 150, 1.0, 3)[0];
        const bool down = change.after < change.before;
        const double found = percent(down ? tally.detector.drop : tally.detector.spike, tally);
        EXPECT_GE(found, change.least) << change.before << " to " << change.after;
        EXPECT_GE(found, percent(down ? tally.plain.drop : tally.plain.spike, tally) - 5.0);
    }
    Behaviour slower = steady(10.0, 0.95, 0.5);
    slower.median_seconds = [](double t) { return t < 24.0 ? 5.0 : 15.0; };
    const Tally tally = evaluate_after_change(slower, {2.0}, 150, 1.0, 4)[0];
    EXPECT_GE(percent(tally.detector.shift, tally), 93.0);
}

TEST(Calibration, a_daily_rhythm_is_not_reported_every_day) {
    Behaviour behaviour = steady(40.0, 0.9, 0.5);
    behaviour.median_seconds = [](double t) { return 5.0 * (1.0 + 0.3 * std::sin(t * 0.2617994)); };
    const Tally tally = watch(behaviour, {2.0}, 12, 24, 5)[0];
    EXPECT_LT(3 * tally.detector.shift, tally.plain.shift);
}

TEST(Calibration, a_lasting_drop_is_reported_for_hours) {
    Behaviour behaviour = steady(40.0, 0.85, 0.5);
    behaviour.completion_rate = [](double t) { return t < 24.0 ? 0.85 : 0.62; };
    const Tally tally = evaluate_after_change(behaviour, {2.0}, 60, 6.0, 6)[0];
    EXPECT_GE(tally.detector.drop + 3, tally.plain.drop);
    EXPECT_GE(percent(tally.detector.drop, tally), 60.0);
}

}  // namespace
}  // namespace session_buddy::bench
