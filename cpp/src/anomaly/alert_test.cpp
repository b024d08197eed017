// The sequential test. An invocation costs a few multiplications; logarithms are only computed at a refresh, when the
// baseline has grown by about two percent.
#include "session_buddy/anomaly/alert_test.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace session_buddy::anomaly {
namespace {

// Effective size of the baseline: a slow change is followed.
constexpr double kMaxBaseline = 10'000.0;
constexpr double kRefreshGrowth = 0.02;
// Drift is estimated between buckets of four hours, over about the last two weeks of them, less a multiple of the
// standard error of the estimate, so that a skill without drift has none. The null hypothesis allows the level to be
// off by kDriftRange standard deviations: the amplitude of a sine is 1.41 of them.
constexpr std::int64_t kBucketSeconds = 14'400;
constexpr double kBucketsRemembered = 84.0;
constexpr double kDriftErrors = 1.5;
constexpr double kDriftRange = 1.5;
constexpr double kDriftRangeOfBetter = 4.0;
constexpr double kLargestDrift = 1.0;
// The first day nothing is known about drift: an early one is assumed, and less of it on the second day.
constexpr double kEarlySeconds = 86'400.0;
constexpr double kSettled = std::numbers::e;
// A change point whose likelihood is less than the maximum's by this factor is outside of its interval.
constexpr double kPassageStep = 0.5;
const double kPassageFactor = std::exp(-kPassageStep);
const double kPassageInverse = std::exp(kPassageStep);
const double kIntervalFactor = std::exp(2.5);
// Experts with at least this share of the strongest one's evidence have a say in the interval.
constexpr double kNoteworthy = 0.3;
// The CUSUM of recovery passes a fixed threshold by chance again and again while a change lasts: with n invocations
// since the change, its threshold is e^6 (1 + n/50)², so that the false recoveries of all n have a finite sum.
const double kRecovered = std::exp(6.0);
constexpr double kRecoverySamples = 50.0;
// A change that recovers so soon after another one is usual for the skill, and joins its baseline.
constexpr auto kFlapping = std::chrono::days(1);
constexpr double kEstimateGrowth = 1.25;
constexpr double kLargestTilt = 10.0;
constexpr double kAccumulatedMost = 1e9;
constexpr auto kAcceptAfter = std::chrono::days(7);
constexpr double kAcceptSamples = 50.0;

// The experts for worse have ¾ of the budget. Outcomes: log odds ratios; 0.9 → 0.8 is 0.8, 0.85 → 0.62 is 1.2, 0.99 →
// 0.9 is 2.4. Durations: standard deviations.
template <std::size_t Bins>
constexpr AlertChannel kChannel{};
template <>
constexpr AlertChannel kChannel<2>{.tilt = {0.8, 1.4, 2.4, 4.0, -0.8, -2.0},
                                   .weight = {0.15, 0.15, 0.12, 0.08, 0.06, 0.06},
                                   .threshold = 0.7,
                                   .learning = 25.0,
                                   .early_drift = 0.7};
template <>
constexpr AlertChannel kChannel<kDurationBins>{.tilt = {0.4, 0.7, 1.2, 2.0, -0.6, -1.2},
                                               .weight = {0.06, 0.07, 0.06, 0.06, 0.06, 0.06},
                                               .threshold = 0.7,
                                               .learning = 80.0,
                                               .early_drift = 0.7};
// Half of the smallest tilt: a change below it is none.
template <std::size_t Bins>
constexpr double kLeastChange = std::min(kChannel<Bins>.tilt[0], -kChannel<Bins>.tilt[kWorseExperts]) / 2.0;
// Pseudo-counts. Jeffreys' prior, but for what follows a failure in the same session: until it is known, a further
// failure is as likely as not.
template <std::size_t Bins>
constexpr std::array<std::array<double, Bins>, 1> kPrior{};
template <>
constexpr std::array<std::array<double, 2>, kOutcomeStates> kPrior<2>{{{0.5, 0.5}, {4.0, 4.0}}};
template <>
constexpr std::array<std::array<double, kDurationBins>, 1> kPrior<kDurationBins>{
    {{0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}}};

std::uint32_t to_seconds(TimePoint at) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds, 0, UINT32_MAX));
}

TimePoint to_time(std::uint32_t seconds) {
    return TimePoint{std::chrono::seconds{seconds}};
}

template <std::size_t Bins>
double sum_of_state(const std::array<double, Bins>& counts) {
    return std::accumulate(counts.begin(), counts.end(), 0.0);
}

template <typename Counts>
double sum_of(const Counts& counts) {
    double sum = 0.0;
    for (const auto& state : counts) {
        sum += sum_of_state(state);
    }
    return sum;
}

// Abramowitz and Stegun, 26.2.23: the quantile of the standard normal distribution, with an absolute error below
// 4.5e-4. 0 < p < 1.
double normal_quantile(double p) {
    const double tail = std::min(p, 1.0 - p);
    const double t = std::sqrt(-2.0 * std::log(tail));
    const double x =
        t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    return p < 0.5 ? -x : x;
}

// q(b) · exp(tilt · score(b)), normalized.
template <std::size_t Bins>
std::array<double, Bins> tilted(const std::array<double, Bins>& q, const std::array<double, Bins>& scores,
                                double tilt) {
    std::array<double, Bins> result{};
    double sum = 0.0;
    for (std::size_t bin = 0; bin < Bins; ++bin) {
        result[bin] = q[bin] * std::exp(tilt * scores[bin]);
        sum += result[bin];
    }
    for (double& value : result) {
        value /= sum;
    }
    return result;
}

}  // namespace

template <std::size_t States, std::size_t Bins>
SequentialTest<States, Bins>::SequentialTest(const Counts& baseline) : base_(baseline), lagged_(baseline) {
    restore();
}

template <std::size_t States, std::size_t Bins>
double SequentialTest<States, Bins>::threshold() {
    return kChannel<Bins>.threshold;
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::restore() {
    compute_ratios();
    if (open_ != nullptr) {
        compute_recovery();
    }
}

template <std::size_t States, std::size_t Bins>
auto SequentialTest<States, Bins>::predictive(const Counts& counts) const -> Counts {
    Counts result{};
    for (std::size_t state = 0; state < States; ++state) {
        double sum = 0.0;
        for (std::size_t bin = 0; bin < Bins; ++bin) {
            result[state][bin] = counts[state][bin] + kPrior<Bins>[state][bin];
            sum += result[state][bin];
        }
        for (double& value : result[state]) {
            value /= sum;
        }
    }
    return result;
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::compute_ratios() {
    const Counts null = predictive(base_);
    const Counts lagged = predictive(lagged_);
    if constexpr (Bins == 2) {
        scores_ = {0.0, 1.0};
    } else {  // normal scores: the quantile of the middle of each bin
        double below = 0.0;
        for (std::size_t bin = 0; bin < Bins; ++bin) {
            scores_[bin] = normal_quantile(below + null[0][bin] / 2.0);
            below += null[0][bin];
        }
    }
    const double null_tilt = kDriftRange * drift_;
    const double null_tilt_of_better = kDriftRangeOfBetter * drift_;
    const double power = 1.0 / refreshed_effect_;
    for (std::size_t state = 0; state < States; ++state) {
        double mean = 0.0;
        double square = 0.0;
        for (std::size_t bin = 0; bin < Bins; ++bin) {
            mean += null[state][bin] * scores_[bin];
            square += null[state][bin] * scores_[bin] * scores_[bin];
        }
        mean_[state] = mean;
        variance_[state] = square - mean * mean;
        // How far invocations since the last time without evidence moved the baseline: the experts' distributions stay
        // where they were, but at least half of their tilt beyond the null hypothesis.
        // A state of which little was seen says little.
        const double prior = sum_of_state(kPrior<Bins>[state]);
        const double seen = sum_of_state(lagged_[state]);
        const double known = (seen + 0.5 * prior) / (seen + 1.5 * prior);
        double lag = 0.0;
        if constexpr (Bins == 2) {
            lag = std::log(lagged[state][1] / lagged[state][0] * null[state][0] / null[state][1]);
        } else {
            for (std::size_t bin = 0; bin < Bins; ++bin) {
                lag += (lagged[state][bin] - null[state][bin]) * scores_[bin] / variance_[state];
            }
        }
        const auto null_of_worse = tilted(null[state], scores_, null_tilt);
        const auto null_of_better = tilted(null[state], scores_, -null_tilt_of_better);
        for (std::size_t expert = 0; expert < kAlertExperts; ++expert) {
            const bool worse = expert < kWorseExperts;
            const double tilt = known * kChannel<Bins>.tilt[expert];
            const double shift = std::clamp(lag, -std::abs(tilt) / 2.0, std::abs(tilt) / 2.0);
            const auto alternative =
                tilted(null[state], scores_, tilt + shift + (worse ? null_tilt : -null_tilt_of_better));
            for (std::size_t bin = 0; bin < Bins; ++bin) {
                const double ratio = alternative[bin] / (worse ? null_of_worse : null_of_better)[bin];
                ratios_[state][bin][expert] = power == 1.0 ? ratio : std::pow(ratio, power);
            }
        }
    }
    base_size_ = sum_of(base_);
    const double growth = kRefreshGrowth * base_size_;
    refresh_after_ = static_cast<std::uint32_t>(std::clamp(growth, 1.0, kRefreshGrowth * kMaxBaseline));
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::refresh() {
    for (std::size_t state = 0; state < States; ++state) {
        for (std::size_t bin = 0; bin < Bins; ++bin) {
            base_[state][bin] += static_cast<double>(fresh_[state][bin]);
        }
    }
    fresh_ = {};
    since_refresh_ = 0;
    const double size = sum_of(base_);
    if (size > kMaxBaseline) {
        for (auto& state : base_) {
            for (double& count : state) {
                count *= kMaxBaseline / size;
            }
        }
    }
    if (is_settled()) {
        lagged_ = base_;
        drift_sums_.excess += bucket_.pending_excess;
        drift_sums_.squares += bucket_.pending_squares;
        drift_sums_.count += bucket_.pending_count;
        bucket_.pending_excess = bucket_.pending_squares = bucket_.pending_count = 0.0;
        if (drift_sums_.count > kBucketsRemembered) {
            const double keep = kBucketsRemembered / drift_sums_.count;
            drift_sums_.excess *= keep;
            drift_sums_.squares *= keep;
            drift_sums_.count = kBucketsRemembered;
        }
    }
    // Σ(u² − V) / ΣV² is the moment estimate of the drift's variance; without drift its standard error is √(2 / ΣV²),
    // times the design effect.
    double variance = 0.0;
    if (drift_sums_.squares > 0.0) {
        variance = drift_sums_.excess / drift_sums_.squares -
                   kDriftErrors * design_effect_ * std::sqrt(2.0 / drift_sums_.squares);
    }
    const double age = first_second_ == 0 ? 0.0 : static_cast<double>(bucket_.index * kBucketSeconds - first_second_);
    const double early = kChannel<Bins>.early_drift * std::clamp(2.0 - age / kEarlySeconds, 0.0, 1.0);
    drift_ = std::max(early, std::sqrt(std::max(0.0, variance)));
    refreshed_effect_ = design_effect_;
    compute_ratios();
}

template <std::size_t States, std::size_t Bins>
bool SequentialTest<States, Bins>::is_settled() const {
    return std::ranges::all_of(experts_, [](const Expert& expert) { return expert.cusum <= kSettled; });
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::enter_bucket(std::uint32_t second) {
    const std::int64_t index = second / kBucketSeconds;
    if (index == bucket_.index) {
        return;
    }
    bucket_.index = index;
    if (bucket_.variance > 0.0) {
        const double noise = bucket_.variance * design_effect_;
        const double largest = kLargestDrift * bucket_.variance + 2.0 * std::sqrt(noise);
        const double deviation = std::min(std::abs(bucket_.deviation), largest);
        bucket_.pending_excess += deviation * deviation - noise;
        bucket_.pending_squares += bucket_.variance * bucket_.variance;
        bucket_.pending_count += 1.0;
    }
    bucket_.deviation = bucket_.variance = 0.0;
}

template <std::size_t States, std::size_t Bins>
auto SequentialTest<States, Bins>::score(std::size_t state, std::size_t bin) const -> Score {
    if (open_ != nullptr) {
        return {};
    }
    return {.deviation = scores_[bin] - mean_[state], .variance = variance_[state]};
}

template <std::size_t States, std::size_t Bins>
double SequentialTest<States, Bins>::baseline_size() const {
    return base_size_ + since_refresh_;
}

template <std::size_t States, std::size_t Bins>
double SequentialTest<States, Bins>::evidence() const {
    double sum = 0.0;
    for (std::size_t expert = 0; expert < kWorseExperts; ++expert) {
        sum += experts_[expert].evidence;
    }
    return sum;
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::add_late(std::size_t state, std::size_t bin) {
    if (open_ == nullptr) {
        ++fresh_[state][bin];
        ++since_refresh_;
    }
}

template <std::size_t States, std::size_t Bins>
auto SequentialTest<States, Bins>::add(std::size_t state, std::size_t bin, TimePoint at, double spend) -> Event {
    if (open_ != nullptr) {
        return add_open(state, bin, at);
    }
    if (since_refresh_ >= refresh_after_) {
        refresh();
    }
    const std::uint32_t second = to_seconds(at);
    enter_bucket(second);
    if (first_second_ == 0) {
        first_second_ = second;
    }
    ++fresh_[state][bin];
    ++since_refresh_;
    if (baseline_size() <= kChannel<Bins>.learning) {
        for (Expert& expert : experts_) {
            expert.passages.fill(second);
        }
        return Event::none;
    }
    bucket_.deviation += scores_[bin] - mean_[state];
    bucket_.variance += variance_[state];

    const auto& ratios = ratios_[state][bin];
    double worse = 0.0;
    double better = 0.0;
    for (std::size_t index = 0; index < kAlertExperts; ++index) {
        Expert& expert = experts_[index];
        expert.evidence = (expert.evidence + spend * kChannel<Bins>.weight[index]) * ratios[index];
        (index < kWorseExperts ? worse : better) += expert.evidence;
        const bool was_zero = expert.cusum == 1.0;
        expert.cusum *= ratios[index];
        if (expert.cusum > 1.0) {
            if (was_zero) {
                expert.since = at;
                expert.counts = {};
            }
            ++expert.counts[state][bin];
            if (expert.cusum <= kIntervalFactor) {
                expert.high = second;
            }
        } else {
            expert.below *= expert.cusum;
            expert.cusum = 1.0;
            for (std::size_t level = 0; level < kPassages && expert.below < kPassageFactor; ++level) {
                expert.below *= kPassageInverse;
                std::shift_right(expert.passages.begin(), expert.passages.end(), 1);
                expert.passages.front() = second;
            }
        }
    }
    if (worse < kChannel<Bins>.threshold && better < kChannel<Bins>.threshold) {
        return Event::none;
    }
    const bool is_worse = worse >= better;
    const auto first = experts_.begin() + (is_worse ? 0 : kWorseExperts);
    const auto last = is_worse ? experts_.begin() + kWorseExperts : experts_.end();
    const auto strongest =
        std::max_element(first, last, [](const Expert& a, const Expert& b) { return a.evidence < b.evidence; });
    return open(static_cast<std::size_t>(strongest - experts_.begin()), is_worse, at, is_worse ? worse : better);
}

template <std::size_t States, std::size_t Bins>
auto SequentialTest<States, Bins>::open(std::size_t index, bool worse, TimePoint at, double evidence) -> Event {
    const Expert& expert = experts_[index];
    open_ = std::make_unique<Open>();
    open_->worse = worse;
    open_->expert = index;
    open_->evidence = evidence;
    open_->tilt = kChannel<Bins>.tilt[index];
    Change& change = open_->change;
    change.at = at;
    const bool is_dated = expert.cusum > 1.0;  // only a very large budget alerts without evidence of a time
    change.since = is_dated ? expert.since : at;
    change.since_low = change.since_high = change.since;
    for (std::size_t other = worse ? 0 : kWorseExperts; other < (worse ? kWorseExperts : kAlertExperts); ++other) {
        const Expert& each = experts_[other];
        if (each.evidence >= kNoteworthy * expert.evidence) {
            change.since_low = std::min(change.since_low, to_time(each.passages.back()));
            change.since_high = std::max(change.since_high, to_time(each.high) + std::chrono::seconds{1});
        }
    }
    change.since_high = std::min(change.since_high, at);
    change.peak = evidence;
    for (std::size_t state = 0; state < States; ++state) {
        for (std::size_t bin = 0; bin < Bins; ++bin) {
            const double since = is_dated ? expert.counts[state][bin] : 0.0;
            change.after[state][bin] = since;
            base_[state][bin] = std::max(0.0, base_[state][bin] + fresh_[state][bin] - since);
        }
    }
    change.before = base_;
    fresh_ = {};
    since_refresh_ = 0;
    lagged_ = base_;
    compute_ratios();
    estimate_level();
    return worse ? Event::worse : Event::better;
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::estimate_level() {
    // The tilt under which the sum of scores since the change is expected, by Newton's method, with one
    // pseudo-invocation of the expert's tilt.
    const Counts null = predictive(base_);
    const Counts& after = open_->change.after;
    const double expected = kChannel<Bins>.tilt[open_->expert];
    double tilt = open_->tilt;
    for (int step = 0; step < 8; ++step) {
        double excess = 0.0;
        double information = 0.0;
        for (std::size_t state = 0; state < States; ++state) {
            const auto q = tilted(null[state], scores_, tilt);
            double count = 0.0;
            double observed = 0.0;
            double mean = 0.0;
            double square = 0.0;
            for (std::size_t bin = 0; bin < Bins; ++bin) {
                count += after[state][bin];
                observed += after[state][bin] * scores_[bin];
                mean += q[bin] * scores_[bin];
                square += q[bin] * scores_[bin] * scores_[bin];
            }
            excess += observed - count * mean;
            information += count * (square - mean * mean);
        }
        const double pull = variance_[0];
        tilt += std::clamp((excess - pull * (tilt - expected)) / (information + pull), -1.0, 1.0);
    }
    open_->tilt = std::clamp(tilt, -kLargestTilt, kLargestTilt);
    open_->estimated_at = sum_of(after);
    compute_recovery();
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::compute_recovery() {
    const Counts null = predictive(base_);
    for (std::size_t state = 0; state < States; ++state) {
        const auto changed = tilted(null[state], scores_, open_->tilt);
        for (std::size_t bin = 0; bin < Bins; ++bin) {
            open_->ratios[state][bin] = std::pow(null[state][bin] / changed[bin], 1.0 / refreshed_effect_);
        }
    }
}

template <std::size_t States, std::size_t Bins>
auto SequentialTest<States, Bins>::add_open(std::size_t state, std::size_t bin, TimePoint at) -> Event {
    Change& change = open_->change;
    enter_bucket(to_seconds(at));
    bucket_.deviation += scores_[bin] - mean_[state];
    bucket_.variance += variance_[state];
    change.after[state][bin] += 1.0;
    open_->evidence = std::min(open_->evidence * ratios_[state][bin][open_->expert], kAccumulatedMost);
    change.peak = std::max(change.peak, open_->evidence);
    open_->cusum = std::max(1.0, open_->cusum * open_->ratios[state][bin]);
    const double size = sum_of(change.after);
    const double growth = 1.0 + size / kRecoverySamples;
    if (open_->cusum >= kRecovered * growth * growth) {
        recover(at, at - recovered_at_ < kFlapping);
        return Event::recovered;
    }
    if (at - change.at >= kAcceptAfter && size >= kAcceptSamples) {
        return Event::accepted;
    }
    if (open_->cusum == 1.0 && size >= kEstimateGrowth * open_->estimated_at) {
        estimate_level();
        if (std::abs(open_->tilt) < kLeastChange<Bins>) {  // with more invocations, it is no change
            recover(at, true);
            return Event::recovered;
        }
    }
    return Event::none;
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::recover(TimePoint at, bool is_usual) {
    if (is_usual) {
        for (std::size_t state = 0; state < States; ++state) {
            for (std::size_t bin = 0; bin < Bins; ++bin) {
                base_[state][bin] += open_->change.after[state][bin];
            }
        }
    }
    recovered_at_ = at;
    open_.reset();
    restart();
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::accept() {
    base_ = open_->change.after;
    open_.reset();
    bucket_ = {.index = bucket_.index};  // the change is no drift
    first_second_ = 0;                   // how the new level drifts is not known
    restart();
}

template <std::size_t States, std::size_t Bins>
void SequentialTest<States, Bins>::restart() {
    lagged_ = base_;
    for (Expert& expert : experts_) {
        expert.evidence = 0.0;
        expert.cusum = 1.0;
    }
    refresh();
}

template class SequentialTest<kOutcomeStates, 2>;
template class SequentialTest<1, kDurationBins>;

}  // namespace session_buddy::anomaly
