// Feeds the sequential tests of one skill and explains what they find.
#include "session_buddy/anomaly/alert_detector.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "session_buddy/anomaly/alert_archive.hpp"

namespace session_buddy::anomaly {
namespace {

// An invocation that is older than the latest one by more than this joins the baseline without being tested: the order
// of the evidence would be wrong.
constexpr auto kLate = std::chrono::hours(1);
constexpr double kShortest = 1e-3;         // seconds; shorter durations count as this
constexpr float kLeastEdgeGap = 0.09531F;  // ln 1.1: smaller changes of a duration are never reported
constexpr std::size_t kMiddleBin = kDurationBins / 2;
constexpr std::size_t kMaxSessionIdBytes = 256;
constexpr std::size_t kMaxErrorTypeBytes = 256;
constexpr std::size_t kCarriers = 8;
constexpr std::uint32_t kMostVotes = 16;
constexpr double kErrorsRemembered = 2000.0;
constexpr std::size_t kGrownErrors = 3;
// The design effect: sessions lose weight over about the last 200, and one standard error is subtracted, because it is
// never below 1.
constexpr double kSessionsRemembered = 200.0;
constexpr double kLeastSessions = 5.0;
constexpr double kMostEffect = 20.0;
constexpr double kUpdateGrowth = 1.25;
// What follows the change point varies more than a sample does, because that point is where the difference is largest.
// By simulation.
constexpr double kSelection = 1.7;
constexpr double kNormal95 = 1.959964;

// An open alert of a skill that is not used any more ends after this time.
constexpr auto kAbandoned = std::chrono::days(7);

constexpr auto kSilenceLeast = std::chrono::days(1);
constexpr std::uint32_t kSilenceGaps = 30;
constexpr std::uint32_t kSilenceDays = 5;

// Mixes words of eight bytes like MurmurHash64A. The same on every machine, because it is stored.
std::uint64_t hash_of(std::string_view text) {
    constexpr std::uint64_t kFactor = 0xc6a4a7935bd1e995U;
    std::uint64_t hash = text.size() * kFactor;
    for (std::size_t from = 0; from < text.size(); from += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + from, std::min<std::size_t>(8, text.size() - from));
        if constexpr (std::endian::native == std::endian::big) {
            word = __builtin_bswap64(word);
        }
        word *= kFactor;
        word ^= word >> 47U;
        hash = (hash ^ (word * kFactor)) * kFactor;
    }
    return hash ^ (hash >> 47U);
}

std::uint32_t short_hash(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash);
}

template <typename T>
void push_to_ring(std::vector<T>& ring, std::uint32_t& next, std::size_t capacity, const T& value) {
    if (ring.size() < capacity) {
        ring.push_back(value);
    } else {
        ring[next] = value;
        next = static_cast<std::uint32_t>((next + 1) % capacity);
    }
}

// The latest `count` entries, the oldest first.
template <typename T>
std::vector<T> latest_of(const std::vector<T>& ring, std::uint32_t next, double count) {
    const auto wanted = static_cast<std::size_t>(std::clamp(count, 0.0, static_cast<double>(ring.size())));
    std::vector<T> result;
    for (std::size_t index = ring.size() - wanted; index < ring.size(); ++index) {
        result.push_back(ring[(next + index) % ring.size()]);
    }
    return result;
}

// The Wilson interval of a rate with `effect`-fold variance (metrics/wilson.hpp has the formula).
AlertLevel rate_level(double completed, double count, double effect) {
    AlertLevel level;
    level.samples = std::llround(count);
    if (count <= 0.0) {
        level.high = 1.0;
        return level;
    }
    const double n = count / effect;
    const double p = completed / count;
    const double square = kNormal95 * kNormal95;
    const double middle = (p + square / (2.0 * n)) / (1.0 + square / n);
    const double half = kNormal95 * std::sqrt(p * (1.0 - p) / n + square / (4.0 * n * n)) / (1.0 + square / n);
    level.value = p;
    level.low = std::clamp(middle - half, 0.0, p);
    level.high = std::clamp(middle + half, p, 1.0);
    return level;
}

template <typename Counts>
double sum_of_bins(const Counts& counts, std::size_t bin) {
    double sum = 0.0;
    for (const auto& state : counts) {
        sum += state[bin];
    }
    return sum;
}

template <typename Counts>
double total(const Counts& counts) {
    double sum = 0.0;
    for (const auto& state : counts) {
        sum = std::accumulate(state.begin(), state.end(), sum);
    }
    return sum;
}

}  // namespace

void AlertDetector::Majority::vote(std::uint64_t session_hash, const std::string& id) {
    if (session_hash == hash) {
        votes = std::min(votes + 1, kMostVotes);
    } else if (votes > 0) {
        --votes;
    } else {
        hash = session_hash;
        votes = 1;
        session_id = id.size() <= kMaxSessionIdBytes ? id : std::string{};
    }
}

void AlertDetector::OpenAlert::carry(std::uint32_t session) {
    ++carrying;
    if (session == 0) {  // none
        return;
    }
    const auto known = std::ranges::find(carriers, session, &SessionCount::session);
    if (known != carriers.end()) {
        ++known->count;
    } else if (carriers.size() < kCarriers) {
        carriers.push_back({.session = session, .count = 1});
    }
}

AlertDetector::Session* AlertDetector::session_of(const Invocation& invocation, TimePoint at, std::uint64_t hash) {
    if (invocation.session_id.empty()) {
        return nullptr;
    }
    if (latest_session_ < sessions_.size() && sessions_[latest_session_].hash == hash) {
        sessions_[latest_session_].last = at;
        return &sessions_[latest_session_];
    }
    auto found = std::ranges::find(sessions_, hash, &Session::hash);
    if (found == sessions_.end()) {
        if (sessions_.size() < kSessions) {
            found = sessions_.emplace(sessions_.end());
        } else {
            found = std::ranges::min_element(sessions_, {}, &Session::last);
            leave(*found);
            *found = Session{};
        }
        found->hash = hash;
    }
    found->last = at;
    latest_session_ = static_cast<std::size_t>(found - sessions_.begin());
    return &*found;
}

void AlertDetector::leave(const Session& session) {
    for (const Channel channel : {outcome, duration}) {
        const SessionSums& sums = session.sums[channel];
        SessionEffect& effect = session_effects_[channel];
        if (sums.variance <= 0.0) {
            continue;
        }
        constexpr double kKeep = 1.0 - 1.0 / kSessionsRemembered;
        effect.squares = effect.squares * kKeep + sums.deviation * sums.deviation;
        effect.variance = effect.variance * kKeep + sums.variance;
        effect.variances_squared = effect.variances_squared * kKeep + sums.variance * sums.variance;
        const double count = effect.variance * effect.variance / effect.variances_squared;
        const double estimate = effect.squares / effect.variance - std::sqrt(2.0 / count);
        const double used = count < kLeastSessions ? 1.0 : std::clamp(estimate, 1.0, kMostEffect);
        if (channel == outcome && outcomes_) {
            outcomes_->set_design_effect(used);
        } else if (channel == duration && durations_) {
            durations_->set_design_effect(used);
        }
    }
}

std::uint8_t AlertDetector::error_index(const std::string& error_type) {
    if (error_type.empty() || error_type.size() > kMaxErrorTypeBytes) {
        return kErrorTypes;
    }
    auto found = std::ranges::find(error_types_, error_type, &ErrorType::name);
    if (found == error_types_.end()) {
        if (error_types_.size() < kErrorTypes) {
            found = error_types_.emplace(error_types_.end());
        } else {
            // Replaces the rarest one that no open alert counts.
            const auto weight = [&](const ErrorType& type) {
                const auto index = static_cast<std::size_t>(&type - error_types_.data());
                return type.count +
                       (alerts_[outcome] ? 1e6 * static_cast<double>(alerts_[outcome]->errors[index]) : 0.0);
            };
            found = std::ranges::min_element(error_types_, {}, weight);
            if (weight(*found) >= 1e6) {
                return kErrorTypes;
            }
            const auto index = static_cast<std::uint8_t>(found - error_types_.begin());
            for (Failure& failure : recent_failures_) {
                failure.error = failure.error == index ? static_cast<std::uint8_t>(kErrorTypes) : failure.error;
            }
        }
        *found = {.name = error_type, .count = 0.0};
    }
    return static_cast<std::uint8_t>(found - error_types_.begin());
}

void AlertDetector::add(const Invocation& invocation, TimePoint logged_at, double spend, const AlertOptions& options,
                        std::vector<AlertChange>& changes) {
    if (invocation.id <= restored_row_) {
        return;
    }
    last_row_ = std::max(last_row_, invocation.id);
    const TimePoint own = std::min(invocation.invoked_at, logged_at);
    const bool is_late = latest_ != TimePoint::min() && own < latest_ - kLate;
    if (!is_late) {
        note_use(own, changes);
    }
    if (invocation.outcome_is_unknown) {
        return;
    }
    if (!outcomes_) {
        outcomes_ = std::make_unique<OutcomeTest>();
    }
    const bool is_measured = invocation.completed && invocation.duration_seconds && !invocation.duration_is_bound;
    const auto log_seconds =
        is_measured ? static_cast<float>(std::log(std::max(*invocation.duration_seconds, kShortest))) : 0.0F;
    if (is_late) {
        outcomes_->add_late(0, invocation.completed ? 0 : 1);
        if (is_measured && durations_) {
            durations_->add_late(0, bin_of(log_seconds));
        }
        return;
    }
    // The tests' time does not decrease.
    const TimePoint at = latest_;
    const std::uint64_t hash = hash_of(invocation.session_id);
    Session* const session = session_of(invocation, at, hash);
    add_outcome(invocation, at, session, hash, spend, options, changes);
    if (is_measured) {
        add_duration(log_seconds, hash, invocation.session_id, at, session, spend, options, changes);
    }
}

void AlertDetector::add_outcome(const Invocation& invocation, TimePoint at, Session* session, std::uint64_t hash,
                                double spend, const AlertOptions& options, std::vector<AlertChange>& changes) {
    const std::size_t state = session != nullptr && session->failed ? 1 : 0;
    const std::size_t bin = invocation.completed ? 0 : 1;
    failures_in_a_row_ = invocation.completed ? 0 : failures_in_a_row_ + 1;
    if (session != nullptr) {
        const auto score = outcomes_->score(state, bin);
        session->sums[outcome].deviation += score.deviation;
        session->sums[outcome].variance += score.variance;
        session->failed = !invocation.completed;
    }
    if (!invocation.completed) {
        const std::uint8_t error = error_index(invocation.error_type);
        push_to_ring(recent_failures_, next_failure_, kRecentFailures, {short_hash(hash), error});
        if (session != nullptr) {
            failing_.vote(hash, invocation.session_id);
        }
        if (alerts_[outcome]) {
            ++alerts_[outcome]->errors[error];
            alerts_[outcome]->carry(short_hash(hash));
        } else if (error < kErrorTypes) {
            error_types_[error].count += 1.0;
            if (error_types_[error].count > kErrorsRemembered) {
                for (ErrorType& type : error_types_) {
                    type.count /= 2.0;
                }
            }
        }
    }
    react(outcome, outcomes_->add(state, bin, at, spend), at, options, changes);
}

void AlertDetector::add_duration(float log_seconds, std::uint64_t hash, const std::string& session_id, TimePoint at,
                                 Session* session, double spend, const AlertOptions& options,
                                 std::vector<AlertChange>& changes) {
    push_to_ring(recent_durations_, next_duration_, kRecentDurations, {log_seconds, short_hash(hash)});
    if (!durations_) {
        if (recent_durations_.size() == kRecentDurations) {
            learn_durations();
        }
        return;
    }
    const std::size_t bin = bin_of(log_seconds);
    if (session != nullptr) {
        const auto score = durations_->score(0, bin);
        session->sums[duration].deviation += score.deviation;
        session->sums[duration].variance += score.variance;
    }
    if (bin > kMiddleBin) {
        if (session != nullptr) {
            slow_.vote(hash, session_id);
        }
        if (alerts_[duration]) {
            alerts_[duration]->carry(short_hash(hash));
        }
    }
    react(duration, durations_->add(0, bin, at, spend), at, options, changes);
}

void AlertDetector::react(Channel channel, TestEvent event, TimePoint at, const AlertOptions& options,
                          std::vector<AlertChange>& changes) {
    switch (event) {
        case TestEvent::none:
            if (alerts_[channel]) {
                update(channel, options, changes);
            }
            break;
        case TestEvent::worse:
            start(channel, true, options, changes);
            break;
        case TestEvent::better:
            start(channel, false, options, changes);
            end(alerts_[channel], AlertEnd::accepted, at, changes);
            accept(channel);
            break;
        case TestEvent::recovered:
            end(alerts_[channel], AlertEnd::recovered, at, changes);
            break;
        case TestEvent::accepted:
            end(alerts_[channel], AlertEnd::accepted, at, changes);
            accept(channel);
            break;
    }
}

void AlertDetector::accept(Channel channel) {
    if (channel == outcome) {
        outcomes_->accept();
        return;
    }
    // The edges are learned again, from the durations since the change.
    recent_durations_ = latest_of(recent_durations_, next_duration_, total(durations_->change().after));
    next_duration_ = 0;
    durations_.reset();
    if (recent_durations_.size() == kRecentDurations) {
        learn_durations();
    }
}

void AlertDetector::learn_durations() {
    std::array<float, kRecentDurations> sorted{};
    std::ranges::transform(recent_durations_, sorted.begin(), &Duration::log_seconds);
    std::ranges::sort(sorted);
    for (std::size_t edge = 0; edge < edges_.size(); ++edge) {
        const std::size_t rank = (edge + 1) * kRecentDurations / kDurationBins;
        edges_[edge] = (sorted[rank - 1] + sorted[rank]) / 2.0F;
    }
    // Widens the middle bin around its middle, and the others outwards.
    float& low = edges_[kMiddleBin - 1];
    float& high = edges_[kMiddleBin];
    const float widening = std::max(0.0F, kLeastEdgeGap - (high - low)) / 2.0F;
    low -= widening;
    high += widening;
    for (std::size_t edge = kMiddleBin + 1; edge < edges_.size(); ++edge) {
        edges_[edge] = std::max(edges_[edge], edges_[edge - 1] + kLeastEdgeGap);
    }
    for (std::size_t edge = kMiddleBin - 1; edge-- > 0;) {
        edges_[edge] = std::min(edges_[edge], edges_[edge + 1] - kLeastEdgeGap);
    }
    DurationTest::Counts counts{};
    for (const float value : sorted) {
        counts[0][bin_of(value)] += 1.0;
    }
    durations_ = std::make_unique<DurationTest>(counts);
}

std::size_t AlertDetector::bin_of(float log_seconds) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(edges_, log_seconds) - edges_.begin());
}

void AlertDetector::start(Channel channel, bool worse, const AlertOptions& options, std::vector<AlertChange>& changes) {
    const std::size_t improvement = worse ? 0 : 1;
    constexpr std::array<std::array<AlertKind, 2>, channel_count> kKinds{
        {{AlertKind::completion_rate_fell, AlertKind::completion_rate_rose},
         {AlertKind::duration_rose, AlertKind::duration_fell}}};
    alerts_[channel] = std::make_unique<OpenAlert>();
    OpenAlert& open = *alerts_[channel];
    open.alert.skill_name = skill_name_;
    open.alert.kind = kKinds[channel][improvement];
    if (channel == outcome) {
        for (const Failure& failure :
             latest_of(recent_failures_, next_failure_, sum_of_bins(outcomes_->change().after, 1))) {
            open.carry(failure.session);
            ++open.errors[failure.error];
            if (failure.error < kErrorTypes) {
                double& count = error_types_[failure.error].count;
                count = std::max(0.0, count - 1.0);
            }
        }
    } else {
        for (const Duration& each : latest_of(recent_durations_, next_duration_, total(durations_->change().after))) {
            if (bin_of(each.log_seconds) > kMiddleBin) {
                open.carry(each.session);
            }
        }
    }
    for (Session& session : sessions_) {
        session.sums[channel] = {};  // the change is not the sessions' doing
    }
    explain(channel, options);
    changes.push_back({.kind = AlertChange::Kind::started, .alert = open.alert});
}

void AlertDetector::update(Channel channel, const AlertOptions& options, std::vector<AlertChange>& changes) {
    OpenAlert& open = *alerts_[channel];
    const double samples = channel == outcome ? total(outcomes_->change().after) : total(durations_->change().after);
    if (samples >= kUpdateGrowth * static_cast<double>(open.alert.after.samples)) {
        explain(channel, options);
        changes.push_back({.kind = AlertChange::Kind::updated, .alert = open.alert});
    }
}

void AlertDetector::end(std::unique_ptr<OpenAlert>& open, AlertEnd reason, TimePoint at,
                        std::vector<AlertChange>& changes) {
    open->alert.ended_at = at;
    open->alert.end = reason;
    changes.push_back({.kind = AlertChange::Kind::ended, .alert = std::move(open->alert)});
    open.reset();
}

void AlertDetector::explain(Channel channel, const AlertOptions& options) {
    Alert& alert = alerts_[channel]->alert;
    double peak = 0.0;
    const auto copy_times = [&](const auto& change) {
        alert.detected_at = change.at;
        alert.since = change.since;
        alert.since_low = change.since_low;
        alert.since_high = change.since_high;
        peak = change.peak;
    };
    if (channel == outcome) {
        copy_times(outcomes_->change());
        peak /= OutcomeTest::threshold();
        explain_outcomes(*alerts_[channel]);
    } else {
        copy_times(durations_->change());
        peak /= DurationTest::threshold();
        explain_durations(*alerts_[channel]);
    }
    alert.once_in_seconds = options.budget > 0.0 ? std::max(1.0, peak) / options.budget : 0.0;
    alert.sessions = std::min<std::int64_t>(
        kCarriers, std::ranges::count_if(sessions_, [&](const Session& each) { return each.last >= alert.since; }));
    explain_sessions(channel);
}

void AlertDetector::explain_sessions(Channel channel) {
    OpenAlert& open = *alerts_[channel];
    if (is_improvement(open.alert.kind) || open.carriers.empty()) {
        return;
    }
    const auto largest = std::ranges::max_element(open.carriers, {}, &SessionCount::count);
    open.alert.session_share = static_cast<double>(largest->count) / static_cast<double>(open.carrying);
    const Majority& majority = channel == outcome ? failing_ : slow_;
    const bool is_majority = 2 * largest->count >= open.carrying && short_hash(majority.hash) == largest->session;
    open.alert.session_id = is_majority ? majority.session_id : std::string{};
}

void AlertDetector::explain_outcomes(OpenAlert& open) const {
    const auto& [before, after] = std::pair{outcomes_->change().before, outcomes_->change().after};
    Alert& alert = open.alert;
    const double effect = outcomes_->design_effect();
    const double failed_before = sum_of_bins(before, 1);
    const double failed_after = sum_of_bins(after, 1);
    alert.before = rate_level(sum_of_bins(before, 0), total(before), effect);
    alert.after = rate_level(sum_of_bins(after, 0), total(after), kSelection * effect);
    if (is_improvement(alert.kind)) {
        return;
    }
    alert.failures_in_a_row = failures_in_a_row_;
    // Of the failures, how many have which type is known for the recent ones; that a failure occurs, for all.
    const double typed_before = std::accumulate(error_types_.begin(), error_types_.end(), 0.0,
                                                [](double sum, const ErrorType& type) { return sum + type.count; });
    const auto typed_after = std::accumulate(open.errors.begin(), open.errors.end(), std::int64_t{0});
    alert.errors.clear();
    for (std::size_t index = 0; index < error_types_.size(); ++index) {
        if (open.errors[index] == 0) {
            continue;
        }
        const auto count = static_cast<double>(open.errors[index]);
        GrownError error{.error_type = error_types_[index].name};
        error.before = typed_before > 0.0
                           ? std::min(1.0, error_types_[index].count / typed_before) * failed_before / total(before)
                           : 0.0;
        error.after = count / static_cast<double>(typed_after) * failed_after / total(after);
        error.count = open.errors[index];
        if (error.after > error.before) {
            alert.errors.push_back(std::move(error));
        }
    }
    std::ranges::sort(alert.errors, [](const GrownError& a, const GrownError& b) {
        const double more = (a.after - a.before) - (b.after - b.before);
        return more != 0.0 ? more > 0.0 : a.error_type < b.error_type;
    });
    alert.errors.resize(std::min(alert.errors.size(), kGrownErrors));
}

void AlertDetector::explain_durations(OpenAlert& open) const {
    const auto& [before, after] = std::pair{durations_->change().before, durations_->change().after};
    Alert& alert = open.alert;
    const double effect = durations_->design_effect();
    // The interval of a median, by order statistics: the ranks n/2 ± z √n / 2.
    const auto half_width = [&](double count) { return kNormal95 / 2.0 * std::sqrt(effect / std::max(count, 1.0)); };
    const double half_before = half_width(total(before));
    alert.before = {.value = seconds_at(0.5, before),
                    .low = seconds_at(0.5 - half_before, before),
                    .high = seconds_at(0.5 + half_before, before),
                    .samples = std::llround(total(before))};
    std::vector<float> values;
    for (const Duration& each : latest_of(recent_durations_, next_duration_, total(after))) {
        values.push_back(each.log_seconds);
    }
    std::ranges::sort(values);
    if (values.empty()) {  // a very large budget alerts before there is evidence of a time of the change
        alert.after = alert.before;
        alert.after.samples = 0;
        return;
    }
    const double half_after = half_width(static_cast<double>(values.size()) / kSelection);
    const auto value_at = [&](double fraction) {
        const double rank = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(values.size() - 1);
        const auto below = static_cast<std::size_t>(rank);
        const std::size_t above = std::min(below + 1, values.size() - 1);
        const double part = rank - static_cast<double>(below);
        return std::exp(static_cast<double>(values[below]) * (1.0 - part) + static_cast<double>(values[above]) * part);
    };
    alert.after = {.value = value_at(0.5),
                   .low = value_at(0.5 - half_after),
                   .high = value_at(0.5 + half_after),
                   .samples = std::llround(total(after))};
}

double AlertDetector::seconds_at(double fraction, const DurationTest::Counts& counts) const {
    const double wanted = std::clamp(fraction, 0.0, 1.0) * total(counts);
    double below = 0.0;
    std::size_t bin = 0;
    while (bin + 1 < kDurationBins && below + counts[0][bin] < wanted) {
        below += counts[0][bin];
        ++bin;
    }
    // The outer bins are taken to be as wide as their neighbours.
    const double width = bin == 0                   ? static_cast<double>(edges_[1] - edges_[0])
                         : bin == kDurationBins - 1 ? static_cast<double>(edges_[bin - 1] - edges_[bin - 2])
                                                    : static_cast<double>(edges_[bin] - edges_[bin - 1]);
    const double low = bin == 0 ? static_cast<double>(edges_[0]) - width : static_cast<double>(edges_[bin - 1]);
    const double part = counts[0][bin] > 0.0 ? std::clamp((wanted - below) / counts[0][bin], 0.0, 1.0) : 0.5;
    return std::exp(low + part * width);
}

void AlertDetector::append_open(std::vector<Alert>& open) const {
    for (const auto* const alert : {&alerts_[outcome], &alerts_[duration], &silence_}) {
        if (*alert) {
            open.push_back((*alert)->alert);
        }
    }
}

void AlertDetector::note_use(TimePoint at, std::vector<AlertChange>& changes) {
    using std::chrono::days;
    using std::chrono::floor;
    using std::chrono::seconds;
    using std::chrono::weeks;
    if (silence_ && at > latest_) {
        end(silence_, AlertEnd::recovered, at, changes);
    }
    const std::int64_t day = floor<days>(at).time_since_epoch().count();
    const std::int64_t week = floor<weeks>(at).time_since_epoch().count();
    if (latest_ == TimePoint::min()) {
        usage_.days = 1;
    } else if (at > latest_) {
        usage_.gaps = std::min(usage_.gaps + 1, kSilenceGaps);
        usage_.days = std::min(usage_.days + (day > usage_.day ? 1 : 0), kSilenceDays);
        if (week > usage_.week) {
            std::shift_right(usage_.longest.begin(), usage_.longest.end(), 1);
            usage_.longest.front() = 0;
        }
        usage_.longest.front() = std::max(usage_.longest.front(), floor<seconds>(at - latest_).count());
    }
    usage_.day = std::max(usage_.day, day);
    usage_.week = std::max(usage_.week, week);
    latest_ = std::max(latest_, at);
}

TimePoint AlertDetector::silent_at() const {
    if (silence_ || usage_.gaps < kSilenceGaps || usage_.days < kSilenceDays) {
        return TimePoint::max();
    }
    const auto longest = std::chrono::seconds{*std::ranges::max_element(usage_.longest)};
    return latest_ + std::max<std::chrono::microseconds>(kSilenceLeast, 2 * longest);
}

TimePoint AlertDetector::abandoned_at() const {
    TimePoint latest = TimePoint::min();
    for (const auto* const open : {&alerts_[outcome], &alerts_[duration], &silence_}) {
        if (*open) {
            latest = std::max({latest, latest_, (*open)->alert.detected_at});
        }
    }
    return latest == TimePoint::min() ? TimePoint::max() : latest + kAbandoned;
}

TimePoint AlertDetector::next_due(const AlertOptions& options) const {
    return std::min(abandoned_at(), options.silence ? silent_at() : TimePoint::max());
}

void AlertDetector::advance(TimePoint to, const AlertOptions& options, std::vector<AlertChange>& changes) {
    if (options.silence && silent_at() <= to) {
        report_silence(changes);
    }
    if (const TimePoint at = abandoned_at(); at <= to) {
        for (const Channel channel : {outcome, duration}) {
            if (alerts_[channel]) {
                end(alerts_[channel], AlertEnd::accepted, at, changes);
                accept(channel);
            }
        }
        if (silence_) {
            end(silence_, AlertEnd::accepted, at, changes);
            usage_ = {.day = usage_.day, .week = usage_.week};  // no longer a regular skill
        }
    }
}

void AlertDetector::report_silence(std::vector<AlertChange>& changes) {
    const auto usual = static_cast<double>(*std::ranges::max_element(usage_.longest));
    const TimePoint at = silent_at();
    const auto present = std::chrono::duration<double>(at - latest_).count();
    silence_ = std::make_unique<OpenAlert>();
    Alert& alert = silence_->alert;
    alert.skill_name = skill_name_;
    alert.kind = AlertKind::silence;
    alert.detected_at = at;
    alert.since = alert.since_low = alert.since_high = latest_;
    alert.before = {.value = usual, .low = usual, .high = usual, .samples = usage_.gaps};
    alert.after = {.value = present, .low = present, .high = present, .samples = 0};
    changes.push_back({.kind = AlertChange::Kind::started, .alert = alert});
}

std::string AlertDetector::save() {
    AlertStateWriter writer;
    archive(writer);
    return writer.finish();
}

bool AlertDetector::restore(std::string_view bytes) {
    AlertStateReader reader{bytes};
    if (!reader.is_ok()) {
        return false;
    }
    archive(reader);
    restored_row_ = last_row_;
    for (const auto* open : {&alerts_[outcome], &alerts_[duration], &silence_}) {
        if (*open) {
            (*open)->alert.skill_name = skill_name_;  // it may have been renamed
        }
    }
    if (outcomes_) {
        outcomes_->restore();
    }
    if (durations_) {
        durations_->restore();
    }
    return reader.is_complete();
}

}  // namespace session_buddy::anomaly
