// The comparison of recent with earlier runs, and its episodes: see the header.
#include "session_buddy/anomaly/skill_detector.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace session_buddy::anomaly {
namespace {

// A skill that runs more often is judged by its latest runs: what bounds the memory of one skill.
constexpr std::size_t kMaxRuns = 20'000;
constexpr std::int64_t kMaxObserved = 50;
// An episode ends where the score has fallen under this part of the threshold.
constexpr double kResolveShare = 0.75;

constexpr double kMinSdShareOfMean = 0.05;
constexpr double kMinSdSeconds = 0.001;
constexpr double kMinRelativeShift = 0.10;
constexpr double kLogScale = 1 << 24;
constexpr double kLongestDurationSeconds = 1e9;  // about 30 years; keeps the sums of squares within 128 bits

std::int64_t to_micros(bool completed, std::optional<double> seconds) {
    if (!completed || !seconds || !(*seconds >= 0.0) || *seconds > kLongestDurationSeconds) {
        return -1;
    }
    return std::llround(*seconds * 1e6);
}

std::int64_t scaled_log(std::int64_t micros) {
    return std::llround(std::log(static_cast<double>(std::max<std::int64_t>(micros, 1))) * kLogScale);
}

}  // namespace

void SkillDetector::Sums::apply(Channel channel, const Run& run, int sign) {
    if (channel == completion) {
        count += sign;
        completed += run.completed ? sign : 0;
    } else if (run.micros >= 0) {
        if (sign > 0) {
            micros.add(run.micros);
            logs.add(scaled_log(run.micros));
        } else {
            micros.remove(run.micros);
            logs.remove(scaled_log(run.micros));
        }
    }
}

void SkillDetector::apply_baseline(Channel channel, const Run& run, int sign) {
    baseline_.apply(channel, run, sign);
    const auto width = options_->baseline_window / kBucketsPerBaseline;
    Bucket& bucket = buckets_[static_cast<std::size_t>(run.at.time_since_epoch() / width) % buckets_.size()];
    if (channel == completion) {
        bucket.count += sign;
        bucket.completed += run.completed ? sign : 0;
    } else if (run.micros >= 0) {
        sign > 0 ? bucket.logs.add(scaled_log(run.micros)) : bucket.logs.remove(scaled_log(run.micros));
    }
}

void SkillDetector::apply_baseline(const Run& run, int sign) {
    for (const Channel channel : {completion, duration}) {
        if (!run.excluded[channel]) {
            apply_baseline(channel, run, sign);
        }
    }
}

void SkillDetector::apply_observed(const Run& run, int sign) {
    observed_.apply(completion, run, sign);
    observed_.apply(duration, run, sign);
}

void SkillDetector::add(TimePoint at, bool completed, std::optional<double> duration_seconds,
                        std::vector<EpisodeEvent>& events) {
    if (now_ != TimePoint::min() && at <= now_ - options_->baseline_window) {
        return;
    }
    if (at > now_) {
        advance(at, events);
        now_ = at;
    }
    const Run run{at, to_micros(completed, duration_seconds), completed, {}};
    const auto place = std::upper_bound(runs_.begin(), runs_.end(), at,
                                        [](TimePoint time, const Run& other) { return time < other.at; });
    const auto index = static_cast<std::size_t>(place - runs_.begin());
    runs_.insert(place, run);
    if (index < observed_from_) {
        apply_baseline(run, +1);
        ++observed_from_;
    } else {
        apply_observed(run, +1);
    }
    if (index < recent_from_) {
        ++recent_from_;
    }
    drop_old();
    split();
    evaluate(events);
}

void SkillDetector::advance(TimePoint to, std::vector<EpisodeEvent>& events) {
    for (TimePoint next = next_change(); next <= to; next = next_change()) {
        now_ = std::max(now_, next);
        drop_old();
        split();
        evaluate(events);
    }
}

TimePoint SkillDetector::next_change() const {
    TimePoint next = TimePoint::max();
    if (!runs_.empty()) {
        next = runs_.front().at + options_->baseline_window;
    }
    if (recent_from_ < runs_.size()) {
        next = std::min(next, runs_[recent_from_].at + options_->observation_window);
    }
    for (const ChannelState& state : channels_) {
        if (state.episode) {
            next = std::min(next, state.episode->started_at + options_->baseline_window);
        }
    }
    return next;
}

void SkillDetector::drop_old() {
    while (!runs_.empty() && (runs_.front().at <= now_ - options_->baseline_window || runs_.size() > kMaxRuns)) {
        if (observed_from_ > 0) {
            apply_baseline(runs_.front(), -1);
            --observed_from_;
        } else {
            apply_observed(runs_.front(), -1);
        }
        recent_from_ -= recent_from_ > 0 ? 1 : 0;
        runs_.pop_front();
    }
    while (recent_from_ < runs_.size() && runs_[recent_from_].at <= now_ - options_->observation_window) {
        ++recent_from_;
    }
}

void SkillDetector::split() {
    const auto total = static_cast<std::int64_t>(runs_.size());
    const auto recent = total - static_cast<std::int64_t>(recent_from_);
    const std::int64_t observed = std::min({std::max(recent, options_->min_samples), kMaxObserved, total / 2});
    const auto target = static_cast<std::size_t>(total - observed);
    for (; observed_from_ < target; ++observed_from_) {
        Run& run = runs_[observed_from_];
        apply_observed(run, -1);
        for (const Channel channel : {completion, duration}) {
            ChannelState& state = channels_[channel];
            run.excluded[channel] = state.episode.has_value();
            state.excluded_since_start += state.episode ? 1 : 0;
        }
        apply_baseline(run, +1);
    }
    for (; observed_from_ > target; --observed_from_) {
        Run& run = runs_[observed_from_ - 1];
        apply_baseline(run, -1);
        run.excluded = {};
        apply_observed(run, +1);
    }
}

void SkillDetector::evaluate(std::vector<EpisodeEvent>& events) {
    for (const Channel channel : {completion, duration}) {
        if (channels_[channel].episode) {
            evaluate_episode(channel, events);
        }
        if (!channels_[channel].episode) {
            evaluate_quiet(channel, events);
        }
    }
}

void SkillDetector::evaluate_episode(Channel channel, std::vector<EpisodeEvent>& events) {
    ChannelState& state = channels_[channel];
    // What has been so for longer than what was before it, is normal by now.
    if (now_ >= state.episode->started_at + options_->baseline_window ||
        state.excluded_since_start >= state.frozen.sums.count) {
        resolve(channel, events);
        return;
    }
    state.latest = compare(channel, state.frozen);
    if (!state.latest) {
        return;  // too few to judge: the episode waits
    }
    const Deviation& deviation = state.latest->deviation;
    if (std::abs(deviation.z) < kResolveShare * options_->threshold ||
        deviation.type != state.episode->deviation.type) {
        resolve(channel, events);
    } else {
        state.episode->deviation = deviation;
    }
}

void SkillDetector::evaluate_quiet(Channel channel, std::vector<EpisodeEvent>& events) {
    ChannelState& state = channels_[channel];
    const Baseline live{baseline_, channel == completion ? drift_of_rate() : drift_of_logs()};
    state.latest = compare(channel, live);
    if (state.latest && state.latest->stands_out) {
        state.frozen = live;
        state.excluded_since_start = 0;
        state.episode = Episode{now_, state.latest->deviation};
        events.push_back({EpisodeEvent::Kind::started, now_, *state.episode});
    }
}

void SkillDetector::resolve(Channel channel, std::vector<EpisodeEvent>& events) {
    events.push_back({EpisodeEvent::Kind::resolved, now_, *channels_[channel].episode});
    channels_[channel].episode.reset();
    readmit(channel);
}

void SkillDetector::readmit(Channel channel) {
    for (std::size_t i = 0; i < observed_from_; ++i) {
        if (std::exchange(runs_[i].excluded[channel], false)) {
            apply_baseline(channel, runs_[i], +1);
        }
    }
}

namespace {

// The variance of a value between buckets beyond what chance within them explains: the moment estimator of a random-effects model
// (DerSimonian and Laird, Controlled Clinical Trials 7, 1986), with `spread` = Σ n(mean − overall mean)², so that
// Q = spread / variance. Chance alone exceeds its expectation half the time; only what exceeds it by one standard deviation counts.
double drift_variance(double spread, double variance, double buckets, double count, double squared_counts) {
    const double denominator = count - squared_counts / count;
    if (buckets < 3.0 || !(variance > 0.0) || !(denominator > 0.0)) {
        return 0.0;
    }
    const double expected = buckets - 1.0 + G3 * std::sqrt(2.0 * (buckets - 1.0));
    return std::max(0.0, (spread / variance - expected) * variance / denominator);
}

}  // namespace

double SkillDetector::drift_of_rate() const {
    const auto count = static_cast<double>(baseline_.count);
    const double mean = count > 0.0 ? static_cast<double>(baseline_.completed) / count : 0.0;
    double spread = 0.0;
    double squared_counts = 0.0;
    double buckets = 0.0;
    for (const Bucket& bucket : buckets_) {
        if (bucket.count > 0) {
            const auto n = static_cast<double>(bucket.count);
            const double difference = static_cast<double>(bucket.completed) / n - mean;
            spread += n * difference * difference;
            squared_counts += n * n;
            buckets += 1.0;
        }
    }
    return drift_variance(spread, mean * (1.0 - mean), buckets, count, squared_counts);
}

double SkillDetector::drift_of_logs() const {
    const auto count = static_cast<double>(baseline_.logs.count());
    const double mean = baseline_.logs.mean();
    double spread = 0.0;
    double squared_counts = 0.0;
    double buckets = 0.0;
    for (const Bucket& bucket : buckets_) {
        if (bucket.logs.count() > 0) {
            const auto n = static_cast<double>(bucket.logs.count());
            const double difference = (bucket.logs.mean() - mean) / kLogScale;
            spread += n * difference * difference;
            squared_counts += n * n;
            buckets += 1.0;
        }
    }
    return drift_variance(spread, baseline_.logs.variance() / kLogScale / kLogScale, buckets, count, squared_counts);
}

std::optional<SkillDetector::Comparison> SkillDetector::compare(Channel channel, const Baseline& baseline) const {
    return channel == completion ? compare_completion(baseline) : compare_duration(baseline);
}

std::optional<SkillDetector::Comparison> SkillDetector::compare_completion(const Baseline& reference) const {
    const Sums& baseline = reference.sums;
    if (baseline.count < options_->min_samples || observed_.count < options_->min_samples) {
        return std::nullopt;
    }
    const auto n_b = static_cast<double>(baseline.count);
    const auto c_b = static_cast<double>(baseline.completed);
    const auto n_o = static_cast<double>(observed_.count);
    const auto c_o = static_cast<double>(observed_.completed);
    // A binomial difference with the baseline's rate drawn in by half a run, so that one that never failed has a spread too.
    const double p = (c_b + 0.5) / (n_b + 1.0);
    const double sd = std::sqrt(p * (1.0 - p) * (1.0 / n_o + 1.0 / (n_b + 1.0)));

    Comparison result;
    Deviation& deviation = result.deviation;
    deviation.baseline_value = c_b / n_b;
    deviation.observed_value = c_o / n_o;
    deviation.baseline_count = baseline.count;
    deviation.observed_count = observed_.count;
    deviation.z = (deviation.observed_value - deviation.baseline_value) / sd;
    deviation.type = deviation.z < 0.0 ? AnomalyType::performance_drop : AnomalyType::performance_spike;
    if (std::abs(deviation.z) >= kResolveShare * options_->threshold) {
        const BetaBinomialTail tail =
            beta_binomial_tail(observed_.completed, observed_.count, c_b + 0.5, n_b - c_b + 0.5);
        deviation.tail_probability = deviation.z < 0.0 ? tail.lower : tail.upper;
        const double mid_tail = deviation.tail_probability - 0.5 * tail.at;
        result.stands_out = std::abs(deviation.z) >= options_->threshold &&
                            mid_tail <= G1 * normal_upper_tail(options_->threshold) &&
                            std::abs(deviation.observed_value - deviation.baseline_value) >=
                                options_->threshold * std::sqrt(sd * sd + reference.drift_variance);
    }
    return result;
}

std::optional<SkillDetector::Comparison> SkillDetector::compare_duration(const Baseline& reference) const {
    const Sums& baseline = reference.sums;
    const std::int64_t n_b = baseline.micros.count();
    const std::int64_t n_o = observed_.micros.count();
    if (n_b < options_->min_samples || n_o < options_->min_samples) {
        return std::nullopt;
    }
    const double spread = std::sqrt(1.0 / static_cast<double>(n_o) + 1.0 / static_cast<double>(n_b));
    Comparison result;
    Deviation& deviation = result.deviation;
    deviation.type = AnomalyType::pattern_shift;
    deviation.baseline_value = baseline.micros.mean() / 1e6;
    deviation.observed_value = observed_.micros.mean() / 1e6;
    deviation.baseline_count = n_b;
    deviation.observed_count = n_o;
    const double sd = std::max({std::sqrt(baseline.micros.variance()) / 1e6,
                                kMinSdShareOfMean * deviation.baseline_value, kMinSdSeconds});
    const double difference = deviation.observed_value - deviation.baseline_value;
    deviation.z = difference / (sd * spread);
    deviation.tail_probability = student_upper_tail(std::abs(deviation.z), static_cast<double>(n_b - 1));
    const double log_sd = std::max(std::sqrt(baseline.logs.variance()) / kLogScale, kMinSdShareOfMean);
    const double log_t = (observed_.logs.mean() - baseline.logs.mean()) / kLogScale /
                         std::sqrt(log_sd * log_sd * spread * spread + reference.drift_variance);
    const double log_tail = student_upper_tail(deviation.z < 0.0 ? -log_t : log_t, static_cast<double>(n_b - 1));
    result.stands_out = std::abs(deviation.z) >= options_->threshold &&
                        std::abs(difference) >= kMinRelativeShift * deviation.baseline_value &&
                        log_tail <= G2 * normal_upper_tail(options_->threshold);
    return result;
}

bool SkillDetector::is_reported(Channel channel, TimePoint now) const {
    const ChannelState& state = channels_[channel];
    return state.episode && state.latest && state.latest->stands_out && !runs_.empty() &&
           runs_.back().at > now - options_->observation_window;
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

}  // namespace session_buddy::anomaly
