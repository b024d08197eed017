// An alert: a change of one skill that the sequential test confirmed (docs/explanation/anomaly-detection.md), with what
// explains it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/enum_names.hpp"

namespace session_buddy {

enum class AlertKind : std::uint8_t {
    completion_rate_fell,
    completion_rate_rose,
    duration_rose,
    duration_fell,
    silence,
};

/// The names on the wire and in session_buddy_alert.
inline constexpr EnumNames kAlertKinds{std::array{EnumName{AlertKind::completion_rate_fell, "completion_rate_fell"},
                                                  EnumName{AlertKind::completion_rate_rose, "completion_rate_rose"},
                                                  EnumName{AlertKind::duration_rose, "duration_rose"},
                                                  EnumName{AlertKind::duration_fell, "duration_fell"},
                                                  EnumName{AlertKind::silence, "silence"}}};
[[nodiscard]] constexpr std::string_view to_string(AlertKind kind) {
    return kAlertKinds[kind];
}
/// A change for the better: it is reported once and has no duration.
[[nodiscard]] constexpr bool is_improvement(AlertKind kind) {
    return kind == AlertKind::completion_rate_rose || kind == AlertKind::duration_fell;
}

/// Why an alert ended.
enum class AlertEnd : std::uint8_t {
    recovered,  ///< the values are those of the baseline again
    accepted,   ///< the change lasted so long that it is the new baseline; improvements: immediately
};
inline constexpr EnumNames kAlertEnds{
    std::array{EnumName{AlertEnd::recovered, "recovered"}, EnumName{AlertEnd::accepted, "accepted"}}};
[[nodiscard]] constexpr std::string_view to_string(AlertEnd end) {
    return kAlertEnds[end];
}

/// One side of the change. Completion rates are fractions 0 to 1, durations medians in seconds, for silence the longest
/// usual pause and the present one in seconds.
struct AlertLevel {
    double value = 0.0;
    double low = 0.0;  ///< 95 % interval
    double high = 0.0;
    std::int64_t samples = 0;  ///< invocations behind it

    bool operator==(const AlertLevel&) const = default;
};

/// An error type that occurs more often than before; shares are of all invocations of the side, 0 to 1.
struct GrownError {
    std::string error_type;
    double before = 0.0;
    double after = 0.0;
    std::int64_t count = 0;  ///< failures with it since the change

    bool operator==(const GrownError&) const = default;
};

struct Alert {
    std::int64_t id = 0;  ///< in session_buddy_alert; 0 while it is not stored
    std::string skill_name;
    AlertKind kind = AlertKind::completion_rate_fell;
    TimePoint detected_at;  ///< time of the invocation that completed the evidence
    TimePoint since;        ///< most likely time of the change
    TimePoint since_low;    ///< 90 % interval of that time
    TimePoint since_high;
    AlertLevel before;
    AlertLevel after;
    /// If nothing has changed, evidence at least this strong occurs by chance once in this many seconds, in all skills
    /// together. 0 for silence, which is not tested.
    double once_in_seconds = 0.0;
    std::int64_t failures_in_a_row = 0;  ///< up to the latest invocation; 0 for other kinds than completion_rate_fell
    std::vector<GrownError> errors;      ///< at most three, the most grown first
    /// The session with the most invocations that carry the change, if it has at least half of them; else empty.
    std::string session_id;
    double session_share = 0.0;  ///< share of that session, or of the largest one, 0 to 1
    std::int64_t sessions = 0;   ///< sessions since the change, at most 8 are counted
    std::optional<TimePoint> ended_at{};
    std::optional<AlertEnd> end{};

    // Set by people.
    std::optional<TimePoint> acknowledged_at{};
    std::string note;    ///< of the acknowledgement; at most 500 bytes
    bool muted = false;  ///< its skill is muted now

    bool operator==(const Alert&) const = default;
};

/// A skill whose alerts are detected and listed, but do not interrupt for a time.
struct Mute {
    std::string skill_name;
    TimePoint muted_at;
    std::optional<TimePoint> until{};  ///< nullopt: until it is removed
    std::string reason;                ///< at most 500 bytes; may be empty

    bool operator==(const Mute&) const = default;
};

}  // namespace session_buddy
