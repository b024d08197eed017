// Watches one skill: compares its most recent invocations with those before, and keeps the episodes of what stands out.
// A pure state machine over invocations and the time handed in; docs/explanation/anomaly-detection.md explains the
// rule.
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
    std::chrono::microseconds baseline_window = std::chrono::hours(24);  ///< longer than the observation window
    std::chrono::microseconds observation_window = std::chrono::hours(1);
    std::int64_t min_samples = 5;  ///< on either side, 2 to 50
};

/// What one comparison says. Rates are fractions, durations seconds.
struct Deviation {
    AnomalyType type = AnomalyType::performance_drop;
    double baseline_value = 0.0;
    double observed_value = 0.0;
    std::int64_t baseline_samples = 0;
    std::int64_t observed_samples = 0;
    double z = 0.0;  ///< signed: negative where the observed value is the smaller one
    /// Of a deviation at least this large on this side, where nothing has changed. Worked out only near the threshold
    /// and beyond, else 1.
    double tail_probability = 1.0;

    bool operator==(const Deviation&) const = default;
};

/// What recent runs are compared with, boiled down to what the comparison needs.
struct Baseline {
    std::int64_t count = 0;
    std::int64_t completed = 0;
    std::int64_t timed = 0;  ///< completed runs with a duration
    double mean_seconds = 0.0;
    double sd_seconds = 0.0;
    double mean_log = 0.0;  ///< of the natural logarithm of the duration in microseconds
    double sd_log = 0.0;
    double drift_variance = 0.0;  ///< how much the channel's value moves by itself from one bucket of time to the next

    bool operator==(const Baseline&) const = default;
};

/// An open episode, with all that is needed to go on with it after a restart.
struct Episode {
    TimePoint started_at;
    Deviation deviation;        ///< as of the last comparison
    Baseline baseline;          ///< what the episode is evaluated by: as of the start, or since it was last enlarged
    std::int64_t excluded = 0;  ///< kept runs that have left the observed ones and stay out of the baseline

    bool operator==(const Episode&) const = default;
};

/// The start or the end of an episode: what is to be written down.
struct EpisodeEvent {
    enum class Kind { started, resolved };
    Kind kind = Kind::started;
    TimePoint at;
    Deviation deviation;  ///< at the start, or the last one that still stood out

    bool operator==(const EpisodeEvent&) const = default;
};

class SkillDetector {
  public:
    enum Channel : std::size_t { completion, duration, channel_count };

    /// One finished invocation. `error` is the caller's number for the class of a failure, 0 for none.
    struct Sample {
        TimePoint at;
        bool completed = false;
        std::optional<double> duration_seconds;
        std::uint32_t error = 0;
    };

    /// `options` is shared by all skills and outlives the detector.
    explicit SkillDetector(const DetectorOptions& options) : options_(&options) {}

    /// Takes an invocation in and appends what started or ended to `events`. Amortised constant time where invocations
    /// come in order; a late one finds its index among those before it, one older than the baseline window is ignored.
    void add(const Sample& sample, std::vector<EpisodeEvent>& events);

    /// Lets time pass. Whatever leaves a window does so at its own moment, so that the outcome does not depend on how
    /// often this is called. Time never goes back.
    void advance(TimePoint to, std::vector<EpisodeEvent>& events);

    /// For a restart: takes in an earlier invocation without evaluating it. Only before begin().
    void preload(const Sample& sample);
    /// Ends the preloading: everything up to `until` counts as evaluated, and these episodes were open then.
    void begin(TimePoint until, const std::array<std::optional<Episode>, channel_count>& episodes);

    /// The open episode of a channel, whether it is reported now or not.
    [[nodiscard]] const std::optional<Episode>& episode(Channel channel) const { return channels_[channel].episode; }
    /// Whether the open episode is to be reported at `now`, which advance() has reached: it stands out and the skill
    /// ran within the observation window.
    [[nodiscard]] bool is_reported(Channel channel, TimePoint now) const;
    /// The larger |z| of what can be compared; nothing where there are too few samples.
    [[nodiscard]] std::optional<double> score() const;
    /// The errors of the observed failures, as handed in; at most 50.
    [[nodiscard]] std::vector<std::uint32_t> observed_errors() const;
    /// The next moment at which advance() has something to do; TimePoint::max() where nothing is kept.
    [[nodiscard]] TimePoint next_change() const;
    /// The moment up to which everything was evaluated; TimePoint::min() before the first sample.
    [[nodiscard]] TimePoint evaluated_until() const { return now_; }

  private:
    struct KeptSample {
        TimePoint at;
        std::int64_t micros = -1;  // duration; negative where the sample failed or has none
        std::uint32_t error = 0;
        bool completed = false;
        std::array<bool, channel_count> excluded{};  // from the channel's baseline: observed during an episode
    };
    // Sums over runs, as the two channels need them. Logarithms are in steps of 2^-24.
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
    // The baseline's runs by time, to see how much it drifts: more buckets than the baseline window can touch.
    static constexpr std::int64_t kBucketsPerBaseline = 24;

    /// Whether it would be the first to leave for want of room.
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
    // How improbable a deviation must be. A skill that runs often is compared anew, with other runs, many times within
    // one observation window: they share what one comparison has (Bonferroni).
    [[nodiscard]] double max_tail_probability() const;
    [[nodiscard]] Baseline current_baseline() const;
    [[nodiscard]] double drift(Channel channel);
    [[nodiscard]] std::optional<Comparison> compare(Channel channel, const Baseline& baseline) const;
    [[nodiscard]] std::optional<Comparison> compare_completion(const Baseline& baseline) const;
    [[nodiscard]] std::optional<Comparison> compare_duration(const Baseline& baseline) const;

    const DetectorOptions* options_;
    TimePoint now_ = TimePoint::min();  // the last moment that was evaluated
    FlatQueue<KeptSample> samples_;     // those of the baseline window, in order of time
    std::size_t observed_from_ = 0;     // samples_ from here on are observed, those before are the baseline
    std::size_t recent_from_ = 0;       // samples_ from here on lie in the observation window
    Sums baseline_;                     // each channel without what it excludes
    Sums observed_;
    // Of baseline_, by time. None until something stands out for the first time: most skills never need them, and they
    // take most of what a skill that hardly runs would take.
    std::vector<Sums> buckets_;
    std::array<ChannelState, channel_count> channels_;
};

}  // namespace session_buddy::anomaly
