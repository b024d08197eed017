// The anomaly detector of one skill: compares its observed (latest) invocations with the baseline before them, and
// tracks episodes of significant deviations. A pure state machine whose only input is invocations and time;
// docs/explanation/anomaly-detection.md explains the rule.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "session_buddy/anomaly/statistics.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/flat_queue.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::anomaly {

struct DetectorOptions {
    double threshold = 2.0;                                              ///< of |z|, 0.5 to 10
    std::chrono::microseconds baseline_window = std::chrono::hours(24);  ///< must be longer than the observation window
    std::chrono::microseconds observation_window = std::chrono::hours(1);
    std::int64_t min_samples = 5;  ///< on each side, 2 to 50
};

/// The result of one comparison. Rates are fractions, durations are in seconds.
struct Deviation {
    AnomalyType type = AnomalyType::performance_drop;
    double baseline_value = 0.0;
    double observed_value = 0.0;
    std::int64_t baseline_samples = 0;
    std::int64_t observed_samples = 0;
    double z = 0.0;  ///< z-score; negative if the observed value is smaller
    /// One-sided p-value: probability of a deviation at least this large if nothing has changed. Computed only near the
    /// threshold and beyond, else 1.
    double tail_probability = 1.0;

    bool operator==(const Deviation&) const = default;
};

/// Summary statistics of the baseline samples.
struct Baseline {
    std::int64_t count = 0;
    std::int64_t completed = 0;
    std::int64_t timed = 0;  ///< completed samples with a duration
    double mean_seconds = 0.0;
    double sd_seconds = 0.0;
    double mean_log = 0.0;  ///< mean of ln(duration in microseconds)
    double sd_log = 0.0;
    double drift_variance = 0.0;  ///< normal variance of the channel's value between time buckets

    bool operator==(const Baseline&) const = default;
};

/// The detector's state of an open episode: what it needs to resume after a restart. EpisodeEvent reports its start and
/// end; an Anomaly is an episode that is reported now.
struct Episode {
    TimePoint started_at;
    Deviation deviation;        ///< as of the last comparison
    Baseline baseline;          ///< frozen at the start of the episode, or when it was last extended
    std::int64_t excluded = 0;  ///< samples older than the observed ones that are kept out of the baseline

    bool operator==(const Episode&) const = default;
};

/// The start or the end of an episode, to be recorded in skill_anomalies.
struct EpisodeEvent {
    enum class Kind { started, resolved };
    Kind kind = Kind::started;
    TimePoint at;
    TimePoint started_at;  ///< of the episode
    Deviation deviation;   ///< at the start, or the last one before the end

    bool operator==(const EpisodeEvent&) const = default;
};

class SkillDetector {
  public:
    enum Channel : std::size_t { completion, duration, channel_count };

    /// A finished invocation with a known outcome, reduced to what the detector needs. `duration_seconds`: without
    /// upper bounds, which say nothing about the skill itself. `error` is the caller's number of the error type, 0 for
    /// none.
    struct Sample {
        TimePoint at;
        bool completed = false;
        std::optional<double> duration_seconds;
        std::uint32_t error = 0;
    };

    /// `options` is shared by all skills and must outlive the detector.
    explicit SkillDetector(const DetectorOptions& options) : options_(&options) {}

    /// Adds a sample and appends starts and ends of episodes to `events`. Amortized O(1) if samples arrive in order of
    /// time. A late one is sorted in; one older than the baseline window is ignored.
    void add(const Sample& sample, std::vector<EpisodeEvent>& events);

    /// Moves the windows to `to`. Each sample leaves a window at its exact time, so that the result does not depend on
    /// how often this is called. `to` must not decrease.
    void advance(TimePoint to, std::vector<EpisodeEvent>& events);

    /// After a restart: adds an earlier sample without evaluating it. Only before begin().
    void preload(const Sample& sample);
    /// Ends preloading: samples up to `until` count as evaluated, and `episodes` were open then.
    void begin(TimePoint until, const std::array<std::optional<Episode>, channel_count>& episodes);

    /// The open episode of a channel, reported or not.
    [[nodiscard]] const std::optional<Episode>& episode(Channel channel) const { return channels_[channel].episode; }
    /// Whether the open episode is reported at `now`: the deviation is significant and the skill was used within the
    /// observation window. Call advance(now) before.
    [[nodiscard]] bool is_reported(Channel channel, TimePoint now) const;
    /// The larger |z| of the channels; nullopt if there are too few samples.
    [[nodiscard]] std::optional<double> score() const;
    /// The error numbers of the observed failures; at most 50.
    [[nodiscard]] std::vector<std::uint32_t> observed_errors() const;
    /// The next time at which advance() changes anything; TimePoint::max() if there are no samples.
    [[nodiscard]] TimePoint next_change() const;
    /// The time up to which everything was evaluated; TimePoint::min() before the first sample.
    [[nodiscard]] TimePoint evaluated_until() const { return now_; }

  private:
    struct KeptSample {
        TimePoint at;
        std::int64_t micros = -1;  // duration; negative if it failed or has none
        std::uint32_t error = 0;
        bool completed = false;
        // Excluded from the baseline of the channel: observed during an episode.
        std::array<bool, channel_count> excluded{};
    };
    // Sums over samples for both channels. Logarithms are fixed-point, in steps of 2^-24.
    struct Sums {
        std::int64_t count = 0;
        std::int64_t completed = 0;
        ExactMoments micros;
        ExactMoments logs;

        void apply(Channel channel, const KeptSample& sample, int sign);
    };
    struct Comparison {
        Deviation deviation;
        bool is_significant = false;
    };
    struct ChannelState {
        std::optional<Episode> episode;
        std::optional<Comparison> latest;
    };
    // Number of time buckets of the baseline, for estimating its drift.
    static constexpr std::int64_t kBucketsPerBaseline = 24;

    /// Whether it would be evicted immediately, because the maximum is reached and all others are newer.
    [[nodiscard]] bool is_beyond_limit(const Sample& sample) const;
    void insert(const Sample& sample);
    void drop_old();
    void split();
    [[nodiscard]] Sums& bucket_for(const KeptSample& sample);
    void apply_baseline(Channel channel, const KeptSample& sample, int sign);
    void apply_baseline(const KeptSample& sample, int sign);
    void apply_observed(const KeptSample& sample, int sign);
    void evaluate(std::vector<EpisodeEvent>& events);
    void evaluate_episode(Channel channel, std::vector<EpisodeEvent>& events);
    void evaluate_normal(Channel channel, std::vector<EpisodeEvent>& events);
    [[nodiscard]] bool must_extend_baseline(const Episode& episode) const;
    void resolve(Channel channel, std::vector<EpisodeEvent>& events);
    void readmit(Channel channel);
    // The significance level: the largest p-value at which a deviation counts. A frequently used skill is compared many
    // times within one observation window, each time with other samples; a Bonferroni correction divides the level
    // between these comparisons.
    [[nodiscard]] double max_tail_probability() const;
    [[nodiscard]] Baseline current_baseline() const;
    [[nodiscard]] double drift(Channel channel);
    [[nodiscard]] std::optional<Comparison> compare(Channel channel, const Baseline& baseline) const;
    [[nodiscard]] std::optional<Comparison> compare_completion(const Baseline& baseline) const;
    [[nodiscard]] std::optional<Comparison> compare_duration(const Baseline& baseline) const;

    const DetectorOptions* options_;
    TimePoint now_ = TimePoint::min();  // time of the last evaluation
    FlatQueue<KeptSample> samples_;     // samples in the baseline window, in order of time
    std::size_t observed_from_ = 0;     // index in samples_ of the first observed one; those before are the baseline
    std::size_t recent_from_ = 0;       // index in samples_ of the first in the observation window
    Sums baseline_;                     // without the excluded samples of each channel
    Sums observed_;
    // baseline_ by time bucket. Empty until the first significant deviation, because most skills never need them and
    // they would take most of the memory of a rarely used skill.
    std::vector<Sums> buckets_;
    std::array<ChannelState, channel_count> channels_;
};

}  // namespace session_buddy::anomaly
