// The sequential test of one channel of one skill (outcomes, or durations) over a few bins: a Bayes-predictive
// Shiryaev-Roberts test. docs/explanation/anomaly-detection.md explains it; a pure state machine.
//
// Evidence is a mixture over experts, each of which expects a change of one size: E ← (E + w · spend) · LR(x). LR is
// the likelihood ratio of the expert's distribution and the predictive distribution of the baseline, which includes
// every invocation so far, so that the mean of E under "no change" is the sum of what was spent (an e-detector: Shin,
// Ramdas, Rinaldo 2023; Pollak 1985). An expert's distribution is an exponential tilt q(b) · exp(t · s(b)) / Z of the
// baseline.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "session_buddy/core/clock.hpp"

namespace session_buddy::anomaly {

inline constexpr std::size_t kAlertExperts = 6;
inline constexpr std::size_t kWorseExperts = 4;  ///< the first ones; the others expect a change for the better

/// What distinguishes the two channels. Tilts are positive towards worse (failures, long durations), in units of log
/// odds or of standard deviations.
struct AlertChannel {
    std::array<double, kAlertExperts> tilt{};
    std::array<double, kAlertExperts> weight{};  ///< shares of the budget
    double threshold = 1.0;    ///< of evidence in units of alerts; below 1, because evidence overshoots
    double learning = 0.0;     ///< invocations before the first one that is tested
    double early_drift = 0.0;  ///< assumed drift (sd, in units of tilt) before any was observed
};

enum class TestEvent : std::uint8_t { none, worse, better, recovered, accepted };

/// `States`: null states, each with its own baseline. Bins are ordered towards worse.
template <std::size_t States, std::size_t Bins>
class SequentialTest {
  public:
    using Counts = std::array<std::array<double, Bins>, States>;
    using Event = TestEvent;

    /// `baseline`: counts that are known already.
    explicit SequentialTest(const Counts& baseline = {});

    /// Tests an invocation. `at` must not decrease. `spend`: expected false alerts that it may cost.
    Event add(std::size_t state, std::size_t bin, TimePoint at, double spend);
    /// Adds an invocation to the baseline only.
    void add_late(std::size_t state, std::size_t bin);
    /// Of the evidence, in units of alerts.
    [[nodiscard]] static double threshold();
    /// A change was reported and is not over. The baseline does not change meanwhile.
    [[nodiscard]] bool is_open() const { return open_ != nullptr; }

    /// Deviation of the added invocation's score from its expectation, and its variance; 0 during a change.
    struct Score {
        double deviation = 0.0;
        double variance = 0.0;
    };
    [[nodiscard]] Score score(std::size_t state, std::size_t bin) const;
    /// Variance inflation by dependent invocations, ≥ 1: evidence is divided by it.
    void set_design_effect(double effect) { design_effect_ = effect; }
    [[nodiscard]] double design_effect() const { return design_effect_; }

    /// Of the reported change, until the next one.
    struct Change {
        TimePoint at;
        TimePoint since;
        TimePoint since_low;
        TimePoint since_high;
        double peak = 0.0;  ///< largest evidence, in units of alerts
        Counts before{};
        Counts after{};

        template <typename Archive>
        void archive(Archive& archive) {
            archive(at, since, since_low, since_high, peak, before, after);
        }
    };
    /// Valid if is_open().
    [[nodiscard]] const Change& change() const { return open_->change; }
    /// Ends a reported change: what came since is the new baseline. To be called after `better` and `accepted`.
    void accept();

    /// Invocations in the baseline, discounted.
    [[nodiscard]] double baseline_size() const;
    /// Standard deviation of the usual drift, in units of tilt, and the evidence for worse; for diagnosis.
    [[nodiscard]] double drift() const { return drift_; }
    [[nodiscard]] double evidence() const;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(base_, lagged_, fresh_, since_refresh_, first_second_, experts_, bucket_, drift_sums_, drift_,
                design_effect_, refreshed_effect_, recovered_at_, open_);
    }
    /// After a restored archive(): computes what is not stored.
    void restore();

  private:
    using Fresh = std::array<std::array<std::uint32_t, Bins>, States>;
    using Ratios = std::array<std::array<double, Bins>, States>;

    // Levels of the random walk above its minimum at which the time of the first passage is kept.
    static constexpr std::size_t kPassages = 5;

    struct Expert {
        double evidence = 0.0;
        double cusum = 1.0;  // exp of the CUSUM (Page 1954)
        double below = 1.0;  // exp of the fall of the random walk since the last level that it passed
        TimePoint since{};   // of the first invocation after the CUSUM's last zero
        std::uint32_t high = 0;
        std::array<std::uint32_t, kPassages> passages{};  // the latest first
        Fresh counts{};                                   // since the last zero

        template <typename Archive>
        void archive(Archive& archive) {
            archive(evidence, cusum, below, since, high, passages, counts);
        }
    };
    // Sums of scores in a time bucket, and over buckets, for the estimate of drift.
    struct Bucket {
        std::int64_t index = 0;
        double deviation = 0.0;
        double variance = 0.0;
        double pending_excess = 0.0;  // closed buckets that wait until evidence is back near zero
        double pending_squares = 0.0;
        double pending_count = 0.0;

        template <typename Archive>
        void archive(Archive& archive) {
            archive(index, deviation, variance, pending_excess, pending_squares, pending_count);
        }
    };
    struct DriftSums {
        double excess = 0.0;   // Σ (u² − V)
        double squares = 0.0;  // Σ V²
        double count = 0.0;

        template <typename Archive>
        void archive(Archive& archive) {
            archive(excess, squares, count);
        }
    };
    struct Open {
        Change change;
        bool worse = true;
        std::size_t expert = 0;
        double evidence = 0.0;
        double cusum = 1.0;  // exp of the CUSUM of "baseline" against "level since the change"
        double tilt = 0.0;   // of the level since the change
        double estimated_at = 0.0;
        Ratios ratios{};  // computed from tilt

        template <typename Archive>
        void archive(Archive& archive) {
            archive(change, worse, expert, evidence, cusum, tilt, estimated_at);
        }
    };

    void refresh();
    void compute_ratios();
    void enter_bucket(std::uint32_t second);
    [[nodiscard]] bool is_settled() const;
    Event open(std::size_t expert, bool worse, TimePoint at, double evidence);
    Event add_open(std::size_t state, std::size_t bin, TimePoint at);
    void estimate_level();
    void compute_recovery();
    void recover(TimePoint at, bool is_usual);
    void restart();
    [[nodiscard]] Counts predictive(const Counts& counts) const;

    Counts base_{};    // baseline as of the last refresh
    Counts lagged_{};  // baseline when the evidence was last near zero
    Fresh fresh_{};    // invocations since the last refresh
    std::uint32_t since_refresh_ = 0;
    std::uint32_t first_second_ = 0;  // time of the first invocation
    std::array<Expert, kAlertExperts> experts_{};
    Bucket bucket_;
    DriftSums drift_sums_;
    double drift_ = 0.0;
    double design_effect_ = 1.0;
    double refreshed_effect_ = 1.0;  // of the ratios
    TimePoint recovered_at_{};       // end of the latest change that recovered
    std::unique_ptr<Open> open_;

    // Computed at a refresh.
    double base_size_ = 0.0;
    std::array<double, Bins> scores_{};
    std::array<double, States> mean_{};
    std::array<double, States> variance_{};
    std::array<std::array<std::array<double, kAlertExperts>, Bins>, States> ratios_{};
    std::uint32_t refresh_after_ = 1;
};

inline constexpr std::size_t kOutcomeStates = 2;
inline constexpr std::size_t kDurationBins = 9;

/// Bins: completed, failed. States: the previous outcome in the same session was not a failure, or was one.
using OutcomeTest = SequentialTest<kOutcomeStates, 2>;
/// Bins: between edges of the duration.
using DurationTest = SequentialTest<1, kDurationBins>;

extern template class SequentialTest<kOutcomeStates, 2>;
extern template class SequentialTest<1, kDurationBins>;

}  // namespace session_buddy::anomaly
