// Compares the observed samples with the baseline (z-score, mid-p beta-binomial test, Student's t on logarithms,
// DerSimonian-Laird drift) and tracks the episodes.
#include "session_buddy/anomaly/skill_detector.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "session_buddy/core/duration.hpp"

namespace session_buddy::anomaly {
namespace {

// Maximum number of samples per skill, which bounds its memory. Older ones are dropped first.
constexpr std::size_t kMaxSamples = 20'000;
constexpr std::int64_t kMaxObserved = 50;
// Hysteresis: an episode ends when the score falls below this fraction of the threshold.
constexpr double kResolveHysteresis = 0.75;

constexpr double kMinSdShareOfMean = 0.05;
constexpr double kMinSdSeconds = 0.001;
constexpr double kMinRelativeShift = 0.10;
constexpr double kLogScale = 16'777'216.0;  // 2^24

// A deviation must also be improbable under the exact test: its p-value must not exceed this multiple of the normal
// tail beyond the threshold. Chosen with bench/anomaly_calibration: a smaller value costs power and misses a drop from
// 85 % to 62 % after 40 invocations; a larger one admits false alarms for rare failures.
constexpr double kTailAllowance = 2.3;
// Half the time, chance makes the estimated drift too large; this many standard deviations are subtracted. A smaller
// value costs power for skills without drift.
constexpr double kDriftSlack = 1.0;

std::int64_t to_micros(const SkillDetector::Sample& sample) {
    if (!sample.completed || !sample.duration_seconds || !is_valid_duration(*sample.duration_seconds)) {
        return -1;
    }
    return std::llround(*sample.duration_seconds * 1e6);
}

std::int64_t scaled_log(std::int64_t micros) {
    return std::llround(std::log(static_cast<double>(std::max<std::int64_t>(micros, 1))) * kLogScale);
}

// Estimates the between-bucket variance of a value beyond what chance within the buckets explains: the smaller of two
// estimates.
//
// The moment estimator of a random-effects model (DerSimonian and Laird, Controlled Clinical Trials 7, 1986), with Q =
// Σ n(mean − overall mean)² / variance, is efficient, but takes a few hours of degradation for drift and would mask the
// remaining degradation. The median of the same terms, divided by the median of a chi-squared variable with one degree
// of freedom, is robust against fewer than a quarter of the buckets. Its centre is the middle between the quartiles of
// the means, which is also correct for a mixture of two kinds of hours.
class DriftEstimate {
  public:
    DriftEstimate(double overall_mean, double variance) : overall_mean_(overall_mean), variance_(variance) {}

    void add(std::int64_t count, double mean) {
        buckets_.push_back({.count = static_cast<double>(count), .mean = mean});
    }

    [[nodiscard]] double variance() const {
        if (buckets_.size() < 3 || !(variance_ > 0.0)) {
            return 0.0;
        }
        return std::max(0.0, std::min(moment_estimate(), median_estimate()));
    }

  private:
    struct Bucket {
        double count;
        double mean;
    };
    static constexpr double kChiSquaredMedian = 0.4549;

    [[nodiscard]] double moment_estimate() const {
        double count = 0.0;
        double squared_counts = 0.0;
        double spread = 0.0;
        for (const Bucket& bucket : buckets_) {
            count += bucket.count;
            squared_counts += bucket.count * bucket.count;
            spread += bucket.count * (bucket.mean - overall_mean_) * (bucket.mean - overall_mean_);
        }
        const double degrees = static_cast<double>(buckets_.size()) - 1.0;
        const double expected = degrees + kDriftSlack * std::sqrt(2.0 * degrees);
        return (spread - expected * variance_) / (count - squared_counts / count);
    }

    [[nodiscard]] double median_estimate() const {
        std::vector<double> values;
        double count = 0.0;
        for (const Bucket& bucket : buckets_) {
            values.push_back(bucket.mean);
            count += bucket.count;
        }
        const std::size_t quarter = values.size() / 4;
        std::ranges::sort(values);
        const double centre = 0.5 * (values[quarter] + values[values.size() - 1 - quarter]);
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            values[i] = buckets_[i].count * (buckets_[i].mean - centre) * (buckets_[i].mean - centre);
        }
        std::ranges::sort(values);
        const double median = values[values.size() / 2];
        return (median / kChiSquaredMedian - variance_) * static_cast<double>(buckets_.size()) / count;
    }

    double overall_mean_;
    double variance_;
    std::vector<Bucket> buckets_;
};

}  // namespace

void SkillDetector::Sums::apply(Channel channel, const KeptSample& sample, int sign) {
    if (channel == completion) {
        count += sign;
        completed += sample.completed ? sign : 0;
    } else if (sample.micros >= 0) {
        if (sign > 0) {
            micros.add(sample.micros);
            logs.add(scaled_log(sample.micros));
        } else {
            micros.remove(sample.micros);
            logs.remove(scaled_log(sample.micros));
        }
    }
}

SkillDetector::Sums& SkillDetector::bucket_for(const KeptSample& sample) {
    const auto width = options_->baseline_window / kBucketsPerBaseline;
    return buckets_[static_cast<std::uint64_t>(sample.at.time_since_epoch() / width) % buckets_.size()];
}

void SkillDetector::apply_baseline(Channel channel, const KeptSample& sample, int sign) {
    baseline_.apply(channel, sample, sign);
    if (!buckets_.empty()) {
        bucket_for(sample).apply(channel, sample, sign);
    }
}

void SkillDetector::apply_baseline(const KeptSample& sample, int sign) {
    for (const Channel channel : {completion, duration}) {
        if (!sample.excluded[channel]) {
            apply_baseline(channel, sample, sign);
        }
    }
}

void SkillDetector::apply_observed(const KeptSample& sample, int sign) {
    observed_.apply(completion, sample, sign);
    observed_.apply(duration, sample, sign);
}

void SkillDetector::add(const Sample& sample, std::vector<EpisodeEvent>& events) {
    if ((now_ != TimePoint::min() && sample.at <= now_ - options_->baseline_window) || is_beyond_limit(sample)) {
        return;
    }
    if (sample.at > now_) {
        advance(sample.at, events);
        now_ = sample.at;
    }
    insert(sample);
    drop_old();
    split();
    evaluate(events);
}

bool SkillDetector::is_beyond_limit(const Sample& sample) const {
    return samples_.size() >= kMaxSamples && sample.at < samples_.front().at;
}

void SkillDetector::insert(const Sample& sample) {
    KeptSample kept{.at = sample.at,
                    .micros = to_micros(sample),
                    .error = sample.error,
                    .completed = sample.completed,
                    .excluded = {}};
    const bool is_newest = samples_.empty() || samples_.back().at <= sample.at;  // the usual case: no binary search
    const auto position =
        is_newest ? samples_.end() : std::ranges::upper_bound(samples_, sample.at, {}, &KeptSample::at);
    const auto index = static_cast<std::size_t>(position - samples_.begin());
    samples_.insert(index, kept);  // first, because it may throw bad_alloc
    if (index < observed_from_) {
        // A late sample belongs to an episode if the sample before it does.
        for (const Channel channel : {completion, duration}) {
            kept.excluded[channel] = index > 0 && samples_[index - 1].excluded[channel];
            if (kept.excluded[channel]) {
                ++channels_[channel].episode->excluded;
            }
        }
        samples_[index] = kept;
        apply_baseline(kept, +1);
        ++observed_from_;
    } else {
        apply_observed(kept, +1);
    }
    if (index < recent_from_) {
        ++recent_from_;
    }
}

void SkillDetector::advance(TimePoint to, std::vector<EpisodeEvent>& events) {
    for (TimePoint next = next_change(); next <= to; next = next_change()) {
        now_ = std::max(now_, next);
        drop_old();
        split();
        evaluate(events);
    }
}

void SkillDetector::preload(const Sample& sample) {
    if (is_beyond_limit(sample)) {
        return;
    }
    insert(sample);
    if (samples_.size() > kMaxSamples) {
        apply_observed(samples_.front(), -1);
        samples_.pop_front();
    }
}

void SkillDetector::begin(TimePoint until, const std::array<std::optional<Episode>, channel_count>& episodes) {
    now_ = until;
    for (std::size_t i = samples_.size(); i > 0 && samples_[i - 1].at > until; --i) {
        samples_[i - 1].at = until;  // a row from the future: it counted with the time of its reading
    }
    // The time of the last evaluation of a detector that never stopped: samples read later are evaluated at their own
    // times only if they are newer.
    TimePoint last = TimePoint::min();
    for (const KeptSample& sample : samples_) {
        for (const auto window :
             {std::chrono::microseconds{0}, options_->observation_window, options_->baseline_window}) {
            if (sample.at + window <= until) {
                last = std::max(last, sample.at + window);
            }
        }
    }
    drop_old();
    split();
    for (const Channel channel : {completion, duration}) {
        channels_[channel].episode = episodes[channel];
        if (!episodes[channel]) {
            continue;
        }
        const auto excluded = std::min(static_cast<std::size_t>(episodes[channel]->excluded), observed_from_);
        for (std::size_t i = observed_from_ - excluded; i < observed_from_; ++i) {
            apply_baseline(channel, samples_[i], -1);
            samples_[i].excluded[channel] = true;
        }
    }
    for (const Channel channel : {completion, duration}) {
        const auto& episode = channels_[channel].episode;
        channels_[channel].latest = compare(channel, episode ? episode->baseline : current_baseline());
    }
    now_ = last;
}

TimePoint SkillDetector::next_change() const {
    TimePoint next = TimePoint::max();
    if (!samples_.empty()) {
        next = samples_.front().at + options_->baseline_window;
    }
    if (recent_from_ < samples_.size()) {
        next = std::min(next, samples_[recent_from_].at + options_->observation_window);
    }
    for (const ChannelState& state : channels_) {
        if (state.episode) {
            next = std::min(next, state.episode->started_at + options_->baseline_window);
        }
    }
    return next;
}

void SkillDetector::drop_old() {
    while (!samples_.empty() &&
           (samples_.front().at <= now_ - options_->baseline_window || samples_.size() > kMaxSamples)) {
        if (observed_from_ > 0) {
            apply_baseline(samples_.front(), -1);
            for (const Channel channel : {completion, duration}) {
                if (samples_.front().excluded[channel]) {
                    --channels_[channel].episode->excluded;
                }
            }
            --observed_from_;
        } else {
            apply_observed(samples_.front(), -1);
        }
        recent_from_ -= recent_from_ > 0 ? 1 : 0;
        samples_.pop_front();
    }
    while (recent_from_ < samples_.size() && samples_[recent_from_].at <= now_ - options_->observation_window) {
        ++recent_from_;
    }
}

void SkillDetector::split() {
    const auto total = static_cast<std::int64_t>(samples_.size());
    const auto recent = total - static_cast<std::int64_t>(recent_from_);
    const std::int64_t observed = std::min({std::max(recent, options_->min_samples), kMaxObserved, total / 2});
    const auto target = static_cast<std::size_t>(total - observed);
    for (; observed_from_ < target; ++observed_from_) {
        KeptSample& sample = samples_[observed_from_];
        apply_observed(sample, -1);
        for (const Channel channel : {completion, duration}) {
            auto& episode = channels_[channel].episode;
            sample.excluded[channel] = episode.has_value();
            if (episode) {
                ++episode->excluded;
            }
        }
        apply_baseline(sample, +1);
    }
    for (; observed_from_ > target; --observed_from_) {
        KeptSample& sample = samples_[observed_from_ - 1];
        apply_baseline(sample, -1);
        for (const Channel channel : {completion, duration}) {
            if (std::exchange(sample.excluded[channel], false)) {
                --channels_[channel].episode->excluded;
            }
        }
        apply_observed(sample, +1);
    }
}

void SkillDetector::evaluate(std::vector<EpisodeEvent>& events) {
    for (const Channel channel : {completion, duration}) {
        if (channels_[channel].episode) {
            evaluate_episode(channel, events);
        }
        if (!channels_[channel].episode) {
            evaluate_normal(channel, events);
        }
    }
}

void SkillDetector::evaluate_episode(Channel channel, std::vector<EpisodeEvent>& events) {
    ChannelState& state = channels_[channel];
    Episode& episode = *state.episode;
    // After a full baseline window, the new level is the normal one.
    if (now_ >= episode.started_at + options_->baseline_window) {
        resolve(channel, events);
        return;
    }
    if (must_extend_baseline(episode)) {
        const double drift_variance = episode.baseline.drift_variance;
        readmit(channel);
        episode.baseline = current_baseline();
        episode.baseline.drift_variance = drift_variance;
        episode.excluded = 0;
    }
    state.latest = compare(channel, episode.baseline);
    if (!state.latest) {
        return;  // too few samples: the episode stays open
    }
    const Deviation& deviation = state.latest->deviation;
    if (std::abs(deviation.z) < kResolveHysteresis * options_->threshold || deviation.type != episode.deviation.type) {
        resolve(channel, events);
    } else {
        episode.deviation = deviation;
    }
}

// A small baseline must not decide about many samples: when as many are excluded as it contains, they are added. A
// baseline smaller than kMaxObserved is also likely to be unrepresentative, so it is extended as soon as the oldest
// excluded sample leaves the observation window.
bool SkillDetector::must_extend_baseline(const Episode& episode) const {
    if (episode.excluded >= episode.baseline.count) {
        return true;
    }
    return episode.excluded > 0 && episode.baseline.count < kMaxObserved &&
           samples_[observed_from_ - static_cast<std::size_t>(episode.excluded)].at <=
               now_ - options_->observation_window;
}

void SkillDetector::evaluate_normal(Channel channel, std::vector<EpisodeEvent>& events) {
    ChannelState& state = channels_[channel];
    Baseline baseline = current_baseline();
    state.latest = compare(channel, baseline);
    if (state.latest && state.latest->is_significant) {
        baseline.drift_variance = drift(channel);
        state.latest = compare(channel, baseline);
    }
    if (state.latest && state.latest->is_significant) {
        state.episode = Episode{.started_at = now_, .deviation = state.latest->deviation, .baseline = baseline};
        events.push_back({.kind = EpisodeEvent::Kind::started,
                          .at = now_,
                          .started_at = now_,
                          .deviation = state.latest->deviation});
    }
}

void SkillDetector::resolve(Channel channel, std::vector<EpisodeEvent>& events) {
    ChannelState& state = channels_[channel];
    events.push_back({.kind = EpisodeEvent::Kind::resolved,
                      .at = now_,
                      .started_at = state.episode->started_at,
                      .deviation = state.episode->deviation});
    state.episode.reset();
    readmit(channel);
}

void SkillDetector::readmit(Channel channel) {
    // The excluded samples are contiguous at the end of the baseline.
    for (std::size_t i = observed_from_; i > 0 && std::exchange(samples_[i - 1].excluded[channel], false); --i) {
        apply_baseline(channel, samples_[i - 1], +1);
    }
}

Baseline SkillDetector::current_baseline() const {
    Baseline baseline;
    baseline.count = baseline_.count;
    baseline.completed = baseline_.completed;
    baseline.timed = baseline_.micros.count();
    baseline.mean_seconds = baseline_.micros.mean() / 1e6;
    baseline.sd_seconds = std::sqrt(baseline_.micros.variance()) / 1e6;
    baseline.mean_log = baseline_.logs.mean() / kLogScale;
    baseline.sd_log = std::sqrt(baseline_.logs.variance()) / kLogScale;
    return baseline;
}

double SkillDetector::drift(Channel channel) {
    if (buckets_.empty()) {
        buckets_.resize(kBucketsPerBaseline + 2);
        for (std::size_t i = 0; i < observed_from_; ++i) {
            for (const Channel each : {completion, duration}) {
                if (!samples_[i].excluded[each]) {
                    bucket_for(samples_[i]).apply(each, samples_[i], +1);
                }
            }
        }
    }
    const Baseline overall = current_baseline();
    if (channel == completion) {
        const double rate = static_cast<double>(overall.completed) / static_cast<double>(overall.count);
        DriftEstimate estimate{rate, rate * (1.0 - rate)};
        for (const Sums& bucket : buckets_) {
            if (bucket.count > 0) {
                estimate.add(bucket.count, static_cast<double>(bucket.completed) / static_cast<double>(bucket.count));
            }
        }
        return estimate.variance();
    }
    DriftEstimate estimate{overall.mean_log, overall.sd_log * overall.sd_log};
    for (const Sums& bucket : buckets_) {
        if (bucket.logs.count() > 0) {
            estimate.add(bucket.logs.count(), bucket.logs.mean() / kLogScale);
        }
    }
    return estimate.variance();
}

double SkillDetector::max_tail_probability() const {
    const auto recent = static_cast<double>(samples_.size() - recent_from_);
    const double comparisons = std::max(1.0, recent / static_cast<double>(kMaxObserved));
    return kTailAllowance * normal_upper_tail(options_->threshold) / comparisons;
}

std::optional<SkillDetector::Comparison> SkillDetector::compare(Channel channel, const Baseline& baseline) const {
    return channel == completion ? compare_completion(baseline) : compare_duration(baseline);
}

std::optional<SkillDetector::Comparison> SkillDetector::compare_completion(const Baseline& baseline) const {
    if (baseline.count < options_->min_samples || observed_.count < options_->min_samples) {
        return std::nullopt;
    }
    const auto n_b = static_cast<double>(baseline.count);
    const auto c_b = static_cast<double>(baseline.completed);
    const auto n_o = static_cast<double>(observed_.count);
    // Variance of the difference of two proportions. The baseline rate is shrunk by half a sample, so that the variance
    // of a skill that never failed is not 0.
    const double p = (c_b + 0.5) / (n_b + 1.0);
    const double variance = p * (1.0 - p) * (1.0 / n_o + 1.0 / (n_b + 1.0));

    Comparison result;
    Deviation& deviation = result.deviation;
    deviation.baseline_value = c_b / n_b;
    deviation.observed_value = static_cast<double>(observed_.completed) / n_o;
    deviation.baseline_samples = baseline.count;
    deviation.observed_samples = observed_.count;
    const double difference = deviation.observed_value - deviation.baseline_value;
    deviation.z = difference / std::sqrt(variance);
    deviation.type = difference < 0.0 ? AnomalyType::performance_drop : AnomalyType::performance_spike;
    if (std::abs(deviation.z) >= kResolveHysteresis * options_->threshold) {
        // Beta-binomial tail with Jeffreys' prior on the rate; mid-p correction below, because counts are discrete.
        const BetaBinomialTail tail =
            beta_binomial_tail(observed_.completed, observed_.count, c_b + 0.5, n_b - c_b + 0.5);
        deviation.tail_probability = difference < 0.0 ? tail.lower : tail.upper;
        result.is_significant =
            std::abs(deviation.z) >= options_->threshold &&
            deviation.tail_probability - 0.5 * tail.at <= max_tail_probability() &&
            std::abs(difference) >= options_->threshold * std::sqrt(variance + baseline.drift_variance);
    }
    return result;
}

std::optional<SkillDetector::Comparison> SkillDetector::compare_duration(const Baseline& baseline) const {
    const std::int64_t observed_samples = observed_.micros.count();
    if (baseline.timed < options_->min_samples || observed_samples < options_->min_samples) {
        return std::nullopt;
    }
    const double inverse_counts =
        1.0 / static_cast<double>(observed_samples) + 1.0 / static_cast<double>(baseline.timed);
    Comparison result;
    Deviation& deviation = result.deviation;
    deviation.type = AnomalyType::pattern_shift;
    deviation.baseline_value = baseline.mean_seconds;
    deviation.observed_value = observed_.micros.mean() / 1e6;
    deviation.baseline_samples = baseline.timed;
    deviation.observed_samples = observed_samples;
    const double sd = std::max({baseline.sd_seconds, kMinSdShareOfMean * baseline.mean_seconds, kMinSdSeconds});
    const double difference = deviation.observed_value - deviation.baseline_value;
    deviation.z = difference / (sd * std::sqrt(inverse_counts));
    if (std::abs(deviation.z) >= kResolveHysteresis * options_->threshold) {
        const auto degrees = static_cast<double>(baseline.timed - 1);
        deviation.tail_probability = student_upper_tail(std::abs(deviation.z), degrees);
        // A single outlier among few samples moves the mean far; a t-test on the logarithms limits its weight.
        const double sd_log = std::max(baseline.sd_log, kMinSdShareOfMean);
        const double log_difference = observed_.logs.mean() / kLogScale - baseline.mean_log;
        const double log_t = log_difference / std::sqrt(sd_log * sd_log * inverse_counts + baseline.drift_variance);
        result.is_significant =
            std::abs(deviation.z) >= options_->threshold &&
            std::abs(difference) >= kMinRelativeShift * baseline.mean_seconds &&
            student_upper_tail(difference < 0.0 ? -log_t : log_t, degrees) <= max_tail_probability();
    }
    return result;
}

bool SkillDetector::is_reported(Channel channel, TimePoint now) const {
    const ChannelState& state = channels_[channel];
    return state.episode && state.latest && state.latest->is_significant && !samples_.empty() &&
           samples_.back().at > now - options_->observation_window;
}

std::optional<double> SkillDetector::score() const {
    std::optional<double> largest;
    for (const ChannelState& state : channels_) {
        if (state.latest) {
            largest = std::max(largest.value_or(0.0), std::abs(state.latest->deviation.z));
        }
    }
    return largest;
}

std::vector<std::uint32_t> SkillDetector::observed_errors() const {
    std::vector<std::uint32_t> errors;
    for (std::size_t i = observed_from_; i < samples_.size(); ++i) {
        if (!samples_[i].completed && samples_[i].error != 0) {
            errors.push_back(samples_[i].error);
        }
    }
    return errors;
}

}  // namespace session_buddy::anomaly
