// The alerts of one skill: tests outcomes and durations, watches for silence, and collects what explains a change.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "session_buddy/anomaly/alert_engine.hpp"
#include "session_buddy/anomaly/alert_test.hpp"
#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/invocation.hpp"

namespace session_buddy::anomaly {

class AlertDetector {
  public:
    explicit AlertDetector(std::string skill_name) : skill_name_(std::move(skill_name)) {}

    /// Adds an invocation that was logged at `at`, which must not decrease. `spend`: expected false alerts that it may
    /// cost. Appends to `changes`.
    void add(const Invocation& invocation, TimePoint at, double spend, const AlertOptions& options,
             std::vector<AlertChange>& changes);
    /// When advance() has something to do; TimePoint::max() if nothing, as for most skills.
    [[nodiscard]] TimePoint next_due(const AlertOptions& options) const;
    /// Reports silence and ends the alerts of a skill that is not used any more.
    void advance(TimePoint to, const AlertOptions& options, std::vector<AlertChange>& changes);

    /// The open alerts, by kind.
    void append_open(std::vector<Alert>& alerts) const;
    [[nodiscard]] bool has_open() const { return alerts_[outcome] || alerts_[duration] || silence_; }
    [[nodiscard]] TimePoint latest() const { return latest_; }
    [[nodiscard]] const OutcomeTest* outcome_test() const { return outcomes_.get(); }
    [[nodiscard]] const DurationTest* duration_test() const { return durations_.get(); }

    [[nodiscard]] std::string save();
    /// Returns false, and leaves an unusable detector, if the bytes are of another version or damaged.
    [[nodiscard]] bool restore(std::string_view bytes);

    template <typename Archive>
    void archive(Archive& archive) {
        archive(last_row_, latest_, failures_in_a_row_, sessions_, session_effects_, outcomes_, durations_, edges_,
                recent_durations_, next_duration_, recent_failures_, next_failure_, error_types_, failing_, slow_,
                alerts_, silence_, usage_);
    }

    static constexpr std::size_t kSessions = 16;
    static constexpr std::size_t kErrorTypes = 8;
    static constexpr std::size_t kRecentFailures = 32;
    static constexpr std::size_t kRecentDurations = 50;

  private:
    struct SessionSums {
        double deviation = 0.0;
        double variance = 0.0;

        template <typename Archive>
        void archive(Archive& archive) {
            archive(deviation, variance);
        }
    };
    enum Channel : std::size_t { outcome, duration, channel_count };
    // One of the last sessions that used the skill.
    struct Session {
        std::uint64_t hash = 0;
        TimePoint last;
        bool failed = false;  // its latest known outcome
        std::array<SessionSums, channel_count> sums{};

        template <typename Archive>
        void archive(Archive& archive) {
            archive(hash, last, failed, sums);
        }
    };
    // Over sessions, for the design effect Σu² / ΣV.
    struct SessionEffect {
        double squares = 0.0;            // Σ u²
        double variance = 0.0;           // Σ V
        double variances_squared = 0.0;  // Σ V²

        template <typename Archive>
        void archive(Archive& archive) {
            archive(squares, variance, variances_squared);
        }
    };
    struct Failure {
        std::uint32_t session = 0;  // low half of its hash
        std::uint8_t error = 0;     // index in error_types_, or kErrorTypes for any other

        template <typename Archive>
        void archive(Archive& archive) {
            archive(session, error);
        }
    };
    struct Duration {
        float log_seconds = 0.0F;
        std::uint32_t session = 0;

        template <typename Archive>
        void archive(Archive& archive) {
            archive(log_seconds, session);
        }
    };
    struct ErrorType {
        std::string name;
        double count = 0.0;  // in the baseline, discounted

        template <typename Archive>
        void archive(Archive& archive) {
            archive(name, count);
        }
    };
    // The session that most of the recent adverse invocations belong to, if one has the majority (Boyer and Moore).
    struct Majority {
        std::uint64_t hash = 0;
        std::uint32_t votes = 0;
        std::string session_id;

        void vote(std::uint64_t session_hash, const std::string& id);

        template <typename Archive>
        void archive(Archive& archive) {
            archive(hash, votes, session_id);
        }
    };
    struct SessionCount {
        std::uint32_t session = 0;
        std::int64_t count = 0;

        template <typename Archive>
        void archive(Archive& archive) {
            archive(session, count);
        }
    };
    struct OpenAlert {
        Alert alert;  // as it was reported last
        std::vector<SessionCount> carriers;
        std::int64_t carrying = 0;
        std::array<std::int64_t, kErrorTypes + 1> errors{};

        void carry(std::uint32_t session);

        template <typename Archive>
        void archive(Archive& archive) {
            archive(alert.skill_name, alert.kind, alert.detected_at, alert.since, alert.since_low, alert.since_high,
                    alert.before.value, alert.before.low, alert.before.high, alert.before.samples, alert.after.value,
                    alert.after.low, alert.after.high, alert.after.samples, alert.once_in_seconds,
                    alert.failures_in_a_row, alert.session_id, alert.session_share, alert.sessions, carriers, carrying,
                    errors);
            std::vector<std::string> types;
            std::vector<SessionSums> shares;
            std::vector<std::int64_t> counts;
            for (const GrownError& error : alert.errors) {
                types.push_back(error.error_type);
                shares.push_back({error.before, error.after});
                counts.push_back(error.count);
            }
            archive(types, shares, counts);
            alert.errors.clear();
            for (std::size_t index = 0; index < types.size() && index < shares.size() && index < counts.size();
                 ++index) {
                alert.errors.push_back({.error_type = types[index],
                                        .before = shares[index].deviation,
                                        .after = shares[index].variance,
                                        .count = counts[index]});
            }
        }
    };
    // How regularly the skill is used, for silence.
    struct Usage {
        std::uint32_t gaps = 0;
        std::uint32_t days = 0;
        std::int64_t day = 0;
        std::int64_t week = 0;
        std::array<std::int64_t, 4> longest{};  // gap in seconds, of the latest weeks in which it was used

        template <typename Archive>
        void archive(Archive& archive) {
            archive(gaps, days, day, week, longest);
        }
    };

    Session* session_of(const Invocation& invocation, TimePoint at, std::uint64_t hash);
    void leave(const Session& session);
    std::uint8_t error_index(const std::string& error_type);
    void add_outcome(const Invocation& invocation, TimePoint at, Session* session, std::uint64_t hash, double spend,
                     const AlertOptions& options, std::vector<AlertChange>& changes);
    void add_duration(float log_seconds, std::uint64_t hash, const std::string& session_id, TimePoint at,
                      Session* session, double spend, const AlertOptions& options, std::vector<AlertChange>& changes);
    void react(Channel channel, TestEvent event, TimePoint at, const AlertOptions& options,
               std::vector<AlertChange>& changes);
    void accept(Channel channel);
    void learn_durations();
    [[nodiscard]] std::size_t bin_of(float log_seconds) const;
    /// When the skill counts as silent; TimePoint::max() if it is not used regularly, or already silent.
    [[nodiscard]] TimePoint silent_at() const;
    [[nodiscard]] TimePoint abandoned_at() const;
    void report_silence(std::vector<AlertChange>& changes);
    void note_use(TimePoint at, std::vector<AlertChange>& changes);
    void start(Channel channel, bool worse, const AlertOptions& options, std::vector<AlertChange>& changes);
    void update(Channel channel, const AlertOptions& options, std::vector<AlertChange>& changes);
    static void end(std::unique_ptr<OpenAlert>& open, AlertEnd reason, TimePoint at, std::vector<AlertChange>& changes);
    void explain(Channel channel, const AlertOptions& options);
    void explain_outcomes(OpenAlert& open) const;
    void explain_durations(OpenAlert& open) const;
    void explain_sessions(Channel channel);
    [[nodiscard]] double seconds_at(double fraction, const DurationTest::Counts& counts) const;

    std::string skill_name_;
    std::int64_t restored_row_ = 0;  // rows up to this one are in the restored state
    std::int64_t last_row_ = 0;
    TimePoint latest_ = TimePoint::min();  // time of the latest invocation
    std::int64_t failures_in_a_row_ = 0;
    std::vector<Session> sessions_;
    std::size_t latest_session_ = 0;  // index of the latest one that was used; a cache
    std::array<SessionEffect, channel_count> session_effects_{};
    std::unique_ptr<OutcomeTest> outcomes_;
    std::unique_ptr<DurationTest> durations_;       // once the edges are learned
    std::array<float, kDurationBins - 1> edges_{};  // ln(seconds), ascending
    std::vector<Duration> recent_durations_;        // a ring
    std::uint32_t next_duration_ = 0;               // index of the oldest, if the ring is full
    std::vector<Failure> recent_failures_;          // a ring
    std::uint32_t next_failure_ = 0;
    std::vector<ErrorType> error_types_;
    Majority failing_;
    Majority slow_;
    std::array<std::unique_ptr<OpenAlert>, channel_count> alerts_;
    std::unique_ptr<OpenAlert> silence_;
    Usage usage_;
};

}  // namespace session_buddy::anomaly
