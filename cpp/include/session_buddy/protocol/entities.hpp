// The field lists of the entities of the WebSocket and HTTP APIs, in the order of the API. A new field of an entity
// goes here, and everywhere else it is generated: run scripts/write_entities.py after a change.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "session_buddy/core/enum_names.hpp"
#include "session_buddy/core/fields.hpp"
#include "session_buddy/core/skill_history.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/metrics/series.hpp"
#include "session_buddy/metrics/wilson.hpp"
#include "session_buddy/protocol/groups.hpp"

namespace session_buddy::protocol {

// ---- Values that are derived from the members

[[nodiscard]] inline std::optional<double> rate(std::int64_t part, std::int64_t whole) {
    return whole > 0 ? std::optional(static_cast<double>(part) / static_cast<double>(whole)) : std::nullopt;
}
/// Of the invocations with a known outcome; completed_count includes the unknown ones, as v1.0 defines it.
struct KnownOutcomes {
    std::int64_t completed = 0;
    std::int64_t invocations = 0;
};
[[nodiscard]] inline KnownOutcomes known_outcomes(std::int64_t completed, std::int64_t invocations,
                                                  std::int64_t unknown) {
    return {.completed = completed - unknown, .invocations = invocations - unknown};
}
[[nodiscard]] inline KnownOutcomes known_outcomes(const WindowMetrics& window) {
    return known_outcomes(window.completed_count, window.invocation_count, window.unknown_count);
}
[[nodiscard]] inline std::optional<double> rate(const KnownOutcomes& known) {
    return rate(known.completed, known.invocations);
}
[[nodiscard]] inline std::optional<double> completion_rate(const WindowMetrics& window) {
    return rate(known_outcomes(window));
}
[[nodiscard]] inline std::optional<metrics::RateInterval> completion_interval(const WindowMetrics& window) {
    const KnownOutcomes known = known_outcomes(window);
    return metrics::wilson_interval(known.completed, known.invocations);
}
[[nodiscard]] inline std::optional<double> mean_duration(const WindowMetrics& window) {
    return window.timed_count > 0 ? std::optional(window.avg_duration_seconds) : std::nullopt;
}
/// LifetimeMetrics does not distinguish a mean of 0 from no mean.
[[nodiscard]] inline std::optional<double> mean_duration(const LifetimeMetrics& lifetime) {
    return lifetime.avg_duration_seconds > 0.0 ? std::optional(lifetime.avg_duration_seconds) : std::nullopt;
}
[[nodiscard]] inline std::optional<TimePoint> last_in_window(const WindowMetrics& window) {
    return window.invocation_count > 0 ? std::optional(window.last_invocation_at) : std::nullopt;
}

// ---- Live metrics

/// Without details, as for subscriptions that do not ask for them: v1.0.
inline constexpr auto kPlainTopSkill = entity(
    "PlainTopSkill", "Metrics of one skill in the sliding window (24 hours unless configured).",
    field<"skill_name">(&SkillMetrics::skill_name, Kind::skill_name),
    field<"invocation_count">(within(&SkillMetrics::window, &WindowMetrics::invocation_count), Kind::positive,
                              "Invocations in the window."),
    field<"completed_count">(within(&SkillMetrics::window, &WindowMetrics::completed_count),
                             "Successful completions in the window, those with an unknown outcome included."),
    field<"avg_duration">(within(&SkillMetrics::window, &WindowMetrics::avg_duration_seconds), Kind::seconds,
                          "Mean duration in seconds of the completed invocations that have one; 0.0 if none has."),
    field<"last_invocation_at">(within(&SkillMetrics::window, &WindowMetrics::last_invocation_at),
                                "Time of the last invocation."));

inline constexpr std::string_view kUnknownMeaning =
    "Of completed_count: with an unknown outcome, for example because a pipe hid the exit status. Left out of rates.";
inline constexpr std::string_view kMedianMeaning =
    "Median of the durations behind the mean, estimated within 4 %; null if there is none.";
inline constexpr std::string_view kMeasuredMeaning =
    "Durations that were measured; further ones are upper bounds, because they may include a wait, and count only if "
    "this is 0.";

inline constexpr auto kTopSkill = entity(
    "TopSkill", kPlainTopSkill.meaning,
    std::tuple_cat(
        kPlainTopSkill.fields,
        std::tuple{optional_field<"unknown_count">(within(&SkillMetrics::window, &WindowMetrics::unknown_count),
                                                   Kind::plain, kUnknownMeaning),
                   optional_field<"p50_duration">(within(&SkillMetrics::window, &WindowMetrics::p50_duration_seconds),
                                                  Kind::seconds, kMedianMeaning),
                   optional_field<"p95_duration">(within(&SkillMetrics::window, &WindowMetrics::p95_duration_seconds),
                                                  Kind::seconds, "Their 95th percentile, likewise."),
                   optional_field<"measured_count">(within(&SkillMetrics::window, &WindowMetrics::measured_count),
                                                    Kind::plain, kMeasuredMeaning)}));

/// Of a pair, or of a struct with these two members.
inline constexpr auto kErrorCount = entity("ErrorCount", "How often one error type occurs.",
                                           field<"error_type">([](const auto& each) -> const std::string& {
                                               const auto& [error_type, count] = each;
                                               return error_type;
                                           }),
                                           field<"count">(
                                               [](const auto& each) {
                                                   const auto& [error_type, count] = each;
                                                   return count;
                                               },
                                               Kind::positive));

// ---- Alerts

inline constexpr auto kAlertLevel =
    entity("AlertLevel", "One side of a change: the baseline, or the invocations since.",
           field<"value">(
               &AlertLevel::value, Kind::amount,
               "A completion rate from 0 to 1, or the median of durations in seconds; for silence, the longest usual "
               "pause or the present one, in seconds."),
           field<"low">(&AlertLevel::low, Kind::amount, "Lower end of the 95 % interval."),
           field<"high">(&AlertLevel::high, Kind::amount, "Upper end of the 95 % interval."),
           field<"samples">(&AlertLevel::samples, "Invocations behind value."));

inline constexpr auto kGrownError = entity(
    "GrownError", "An error type that occurs more often than before.", field<"error_type">(&GrownError::error_type),
    field<"before">(&GrownError::before, Kind::fraction, "Share of the invocations before the change."),
    field<"after">(&GrownError::after, Kind::fraction, "Share of the invocations since the change."),
    field<"count">(&GrownError::count, "Failures with it since the change."));

inline constexpr auto kAlert = entity(
    "Alert", "A change of one skill that the sequential test confirmed, with what explains it.",
    field<"id">([](const Alert& alert) { return alert.id > 0 ? std::optional(alert.id) : std::nullopt; },
                "To acknowledge it; null while it could not be stored."),
    field<"skill_name">(&Alert::skill_name, Kind::skill_name),
    field<"kind">(&Alert::kind,
                  "What changed. completion_rate_rose and duration_fell are improvements, which end immediately."),
    field<"detected_at">(&Alert::detected_at, "Time of the invocation that completed the evidence."),
    field<"since">(&Alert::since, "Most likely time of the change."),
    field<"since_low">(&Alert::since_low, "Lower end of the 90 % interval of that time."),
    field<"since_high">(&Alert::since_high, "Upper end of that interval."),
    field<"before", &kAlertLevel>(&Alert::before), field<"after", &kAlertLevel>(&Alert::after),
    field<"once_in_seconds">(
        &Alert::once_in_seconds, Kind::seconds,
        "If nothing has changed, evidence at least this strong occurs by chance once in this time, "
        "in all skills together."),
    field<"failures_in_a_row">(&Alert::failures_in_a_row,
                               "Up to the latest invocation; 0 for other kinds than completion_rate_fell."),
    field<"errors", &kGrownError>(&Alert::errors, "The error types that grew most, at most three."),
    field<"session_id">(
        [](const Alert& alert) {
            return alert.session_id.empty() ? std::nullopt : std::optional<std::string_view>(alert.session_id);
        },
        "The session with at least half of the invocations that carry the change; null if there is none."),
    field<"session_share">(&Alert::session_share, Kind::fraction,
                           "Share of the session that carries most of the change."),
    field<"sessions">(&Alert::sessions, "Sessions since the change; at most 8 are counted."),
    field<"ended_at">(&Alert::ended_at, "Null while it is open."),
    field<"end">(&Alert::end,
                 "recovered: the values are those of the baseline again; accepted: the change is the new baseline."),
    field<"acknowledged_at">(&Alert::acknowledged_at, "Null if it is not acknowledged."),
    field<"note">(&Alert::note, "Of the acknowledgement, at most 500 bytes; may be empty."),
    field<"muted">(&Alert::muted, "Its skill is muted now."));

inline constexpr auto kMute =
    entity("Mute", "A skill whose alerts are detected and listed, but do not interrupt.",
           field<"skill_name">(&Mute::skill_name, Kind::skill_name), field<"muted_at">(&Mute::muted_at),
           field<"until">(&Mute::until, "Null: until it is removed."),
           field<"reason">(&Mute::reason, "At most 500 bytes; may be empty."));

// ---- Anomalies

/// An anomaly with the open alert of its skill and side.
struct AnomalyItem {
    const Anomaly* anomaly = nullptr;  ///< never null
    const Alert* alert = nullptr;      ///< null if there is none
};

inline constexpr auto kAnomalyDetails = entity(
    "AnomalyDetails", "What explains the anomaly. Present only if the subscription asks for it.",
    field<"baseline_samples">(within(&AnomalyItem::anomaly, &Anomaly::baseline_samples),
                              "Invocations behind baseline_value."),
    field<"observed_samples">(within(&AnomalyItem::anomaly, &Anomaly::observed_samples),
                              "Invocations behind observed_value."),
    field<"z_score">(within(&AnomalyItem::anomaly, &Anomaly::z_score),
                     "The deviation with its sign: negative where the observed value is the smaller one."),
    field<"tail_probability">(within(&AnomalyItem::anomaly, &Anomaly::tail_probability), Kind::fraction,
                              "Probability of a deviation at least this large on this side if nothing has changed."),
    field<"since">(within(&AnomalyItem::anomaly, &Anomaly::since), "When it began."),
    field<"common_errors", &kErrorCount>(within(&AnomalyItem::anomaly, &Anomaly::common_errors),
                                         "Error types of the observed failures, the most common first; at most three."),
    optional_field<"alert", &kAlert>(&AnomalyItem::alert, Kind::plain,
                                     "The open alert of the same skill and side; null if there is none. Older servers "
                                     "do not send it."));

inline constexpr std::tuple kDeviationFields{
    field<"anomaly_type">(&Anomaly::type),
    field<"baseline_value">(
        &Anomaly::baseline_value, Kind::amount,
        "Value of the baseline: a completion rate from 0 to 1, for pattern_shift a duration in seconds."),
    field<"observed_value">(&Anomaly::observed_value, Kind::amount, "Value of the observation, in the same unit."),
    field<"deviation_score">(&Anomaly::deviation_score, Kind::amount,
                             "Absolute z-score of the deviation, at or above the threshold.")};

/// Without details, as for subscriptions that do not ask for them.
inline constexpr auto kPlainAnomaly =
    entity("PlainAnomaly", "One anomaly at or above the threshold now.",
           std::tuple_cat(std::tuple{field<"skill_name">(&Anomaly::skill_name, Kind::skill_name)}, kDeviationFields));
inline constexpr auto kAnomaly = entity("Anomaly", kPlainAnomaly.meaning,
                                        std::tuple_cat(within_all(&AnomalyItem::anomaly, kPlainAnomaly.fields),
                                                       std::tuple{optional_field<"details", &kAnomalyDetails>(kSelf)}));
/// Within a skill, so without the name of the skill.
inline constexpr auto kOpenAnomaly = entity("OpenAnomaly", "An anomaly of the skill that is open now.",
                                            std::tuple_cat(within_all(&AnomalyItem::anomaly, kDeviationFields),
                                                           std::tuple{field<"details", &kAnomalyDetails>(kSelf)}));

inline constexpr auto kActiveSession =
    entity("ActiveSession", "An agent session with recent activity.",
           field<"session_id">(&SessionMetrics::session_id, "The id under which the invocations were recorded."),
           field<"first_activity_at">(&SessionMetrics::first_activity_at, "Time of its first invocation."),
           field<"last_activity_at">(&SessionMetrics::last_activity_at, "Time of its last invocation."),
           field<"invocations">(&SessionMetrics::invocations, "All its invocations."),
           field<"completed">(&SessionMetrics::completed,
                              "Those of them that completed, those with an unknown outcome included."),
           field<"distinct_skills">(&SessionMetrics::distinct_skills, "Skills that it used."),
           optional_field<"unknown">(&SessionMetrics::unknown, Kind::plain,
                                     "Of completed: with an unknown outcome. Older servers do not send it."));

inline constexpr auto kSkillSummary =
    entity("SkillSummary", "Metrics of one skill over its whole recorded life.",
           field<"skill_name">(&SkillMetrics::skill_name, Kind::skill_name),
           field<"total_invocations">(within(&SkillMetrics::lifetime, &LifetimeMetrics::total_invocations),
                                      "All recorded invocations."),
           field<"completion_rate">(
               within(&SkillMetrics::lifetime, &LifetimeMetrics::completion_rate), Kind::fraction,
               "Completed invocations by all invocations, those with an unknown outcome included, a fraction."),
           field<"avg_duration_seconds">(within(&SkillMetrics::lifetime, &LifetimeMetrics::avg_duration_seconds),
                                         Kind::seconds, "Mean duration in seconds; 0.0 if none is known."),
           field<"last_invocation_at">(within(&SkillMetrics::lifetime, &LifetimeMetrics::last_invocation_at),
                                       "Time of the last invocation; null if the recorded value is not a time."));

// ---- HTTP API

inline constexpr auto kWindow = entity(
    "Window", "Metrics of the sliding window.", field<"invocation_count">(&WindowMetrics::invocation_count),
    field<"completed_count">(&WindowMetrics::completed_count, "Those with an unknown outcome included."),
    field<"unknown_count">(&WindowMetrics::unknown_count, kUnknownMeaning),
    field<"completion_rate">([](const WindowMetrics& window) { return completion_rate(window); }, Kind::fraction,
                             "Of the invocations with a known outcome; null if there is none."),
    field<"completion_rate_low">(
        [](const WindowMetrics& window) {
            const auto interval = completion_interval(window);
            return interval ? std::optional(interval->low) : std::nullopt;
        },
        Kind::fraction, "Lower end of the 95 % Wilson interval."),
    field<"completion_rate_high">(
        [](const WindowMetrics& window) {
            const auto interval = completion_interval(window);
            return interval ? std::optional(interval->high) : std::nullopt;
        },
        Kind::fraction, "Upper end of the 95 % Wilson interval."),
    field<"avg_duration">([](const WindowMetrics& window) { return mean_duration(window); }, Kind::seconds,
                          "Mean over the completed invocations with a measured duration; where none has one, over the "
                          "upper bounds."),
    field<"p50_duration">(&WindowMetrics::p50_duration_seconds, Kind::seconds, kMedianMeaning),
    field<"p95_duration">(&WindowMetrics::p95_duration_seconds, Kind::seconds, "Their 95th percentile, likewise."),
    field<"measured_count">(&WindowMetrics::measured_count, kMeasuredMeaning),
    field<"last_invocation_at">(last_in_window));

inline constexpr std::tuple kLifetimeCounts{
    field<"total_invocations">(&LifetimeMetrics::total_invocations),
    field<"completed_invocations">(&LifetimeMetrics::completed_invocations, "Those with an unknown outcome included."),
    field<"unknown_invocations">(&LifetimeMetrics::unknown_invocations,
                                 "Of completed_invocations: with an unknown outcome. Left out of the rate."),
    field<"completion_rate">(
        [](const LifetimeMetrics& lifetime) {
            return rate(known_outcomes(lifetime.completed_invocations, lifetime.total_invocations,
                                       lifetime.unknown_invocations));
        },
        Kind::fraction, "Of the invocations with a known outcome; null if there is none.")};
inline constexpr std::tuple kLifetimeEnd{field<"last_invocation_at">(&LifetimeMetrics::last_invocation_at)};

inline constexpr auto kLifetime =
    entity("Lifetime", "Metrics of all invocations ever recorded, including deleted ones.",
           std::tuple_cat(kLifetimeCounts,
                          std::tuple{field<"avg_duration_seconds">(
                              [](const LifetimeMetrics& lifetime) { return mean_duration(lifetime); }, Kind::seconds,
                              "Mean of all durations, upper bounds included, as skill_metrics has it.")},
                          kLifetimeEnd));
/// Of several skills: without a mean, because the number of durations of each is not kept.
inline constexpr auto kLifetimeSums =
    entity("LifetimeSums", "Sums over all invocations of several skills ever recorded, including deleted ones.",
           std::tuple_cat(kLifetimeCounts, kLifetimeEnd));

inline constexpr auto kGroup =
    entity("Group", "The tools of one MCP server, summed.",
           field<"group">(&SkillGroup::group, "mcp: and the name of the server."),
           field<"skill_count">(&SkillGroup::skill_count, Kind::positive, "Tools of the server that were ever used."),
           field<"window", &kWindow>(&SkillGroup::window), field<"lifetime", &kLifetimeSums>(&SkillGroup::lifetime));

inline constexpr auto kPhase =
    entity("Phase", "Invocations of one workflow phase.",
           field<"workflow_phase">(&PhaseCount::workflow_phase, "Null for invocations without one."),
           field<"invocation_count">(&PhaseCount::invocation_count),
           field<"completed_count">(&PhaseCount::completed_count, "Those with an unknown outcome included."),
           field<"unknown_count">(&PhaseCount::unknown_count, "Of completed_count: with an unknown outcome."),
           field<"completion_rate">(
               [](const PhaseCount& phase) {
                   return rate(known_outcomes(phase.completed_count, phase.invocation_count, phase.unknown_count));
               },
               Kind::fraction, "Of the invocations with a known outcome; null if there is none."),
           field<"avg_duration">(&PhaseCount::avg_duration_seconds, Kind::seconds));

/// One step of a series.
struct SeriesItem {
    TimePoint at;  ///< start of the step
    metrics::SeriesPoint point;
};

inline constexpr auto kPoint = entity(
    "Point", "One step of a series.", field<"at">(&SeriesItem::at, "When the step begins."),
    field<"invocation_count">(within(&SeriesItem::point, &metrics::SeriesPoint::invocation_count)),
    field<"completed_count">(within(&SeriesItem::point, &metrics::SeriesPoint::completed_count),
                             "Those with an unknown outcome included."),
    field<"unknown_count">(within(&SeriesItem::point, &metrics::SeriesPoint::unknown_count),
                           "Of completed_count: with an unknown outcome."),
    field<"avg_duration">(within(&SeriesItem::point, &metrics::SeriesPoint::avg_duration), Kind::seconds),
    field<"p50_duration">(within(&SeriesItem::point, &metrics::SeriesPoint::p50_duration), Kind::seconds,
                          "Median of the durations of completed invocations, interpolated between ranks; null also if "
                          "only hourly rollups exist for a part of the step."),
    field<"p95_duration">(within(&SeriesItem::point, &metrics::SeriesPoint::p95_duration), Kind::seconds,
                          "Their 95th percentile, likewise."));

/// An item of the list of anomalies: a stored episode, an anomaly of the snapshot, or both merged.
struct EpisodeItem {
    StoredEpisode stored;
    bool has_id = true;
    std::optional<AnomalyItem> current{};  ///< nullopt if it is not in the snapshot
};

inline constexpr auto kEpisode = entity(
    "Episode", "One episode. Numbers are null if another program wrote it without them.",
    field<"id">([](const EpisodeItem& item) { return item.has_id ? std::optional(item.stored.id) : std::nullopt; },
                "In skill_anomalies; null while it could not be written there."),
    field<"skill_name">(within(&EpisodeItem::stored, &StoredEpisode::skill_name), Kind::skill_name),
    field<"anomaly_type">(within(&EpisodeItem::stored, &StoredEpisode::anomaly_type),
                          "performance_drop, performance_spike or pattern_shift; other programs may write others."),
    field<"baseline_value">(
        within(&EpisodeItem::stored, &StoredEpisode::baseline_value),
        "Value of the baseline: a completion rate from 0 to 1, for pattern_shift a duration in seconds."),
    field<"observed_value">(within(&EpisodeItem::stored, &StoredEpisode::observed_value),
                            "What was seen, in the same unit; of an open one now."),
    field<"deviation_score">(within(&EpisodeItem::stored, &StoredEpisode::deviation_score),
                             "Absolute z-score; of an open one now."),
    field<"detected_at">(within(&EpisodeItem::stored, &StoredEpisode::detected_at)),
    field<"resolved_at">(within(&EpisodeItem::stored, &StoredEpisode::resolved_at)),
    field<"details", &kAnomalyDetails>(
        [](const EpisodeItem& item) -> const AnomalyItem* { return item.current ? &*item.current : nullptr; },
        "What explains an open one; null for others."));

// ---- Sort keys of GET /api/v1/skills

enum class SkillSort : std::uint8_t {
    invocation_count,
    skill_name,
    completion_rate,
    avg_duration,
    p50_duration,
    p95_duration,
    unknown_count,
    last_invocation_at,
    deviation_score,
    total_invocations
};

inline constexpr EnumNames kSkillSorts{std::array{
    EnumName{SkillSort::invocation_count, "invocation_count"}, EnumName{SkillSort::skill_name, "skill_name"},
    EnumName{SkillSort::completion_rate, "completion_rate"}, EnumName{SkillSort::avg_duration, "avg_duration"},
    EnumName{SkillSort::p50_duration, "p50_duration"}, EnumName{SkillSort::p95_duration, "p95_duration"},
    EnumName{SkillSort::unknown_count, "unknown_count"}, EnumName{SkillSort::last_invocation_at, "last_invocation_at"},
    EnumName{SkillSort::deviation_score, "deviation_score"},
    EnumName{SkillSort::total_invocations, "total_invocations"}}};

[[nodiscard]] inline std::optional<TimePoint> last_invocation(const SkillMetrics& skill) {
    const auto last = last_in_window(skill.window);
    return last ? last : skill.lifetime.last_invocation_at;
}

/// What a skill is sorted by, as a number; nullopt if it has no such value, or if the key needs more than its metrics.
[[nodiscard]] inline std::optional<double> sort_value(const SkillMetrics& skill, SkillSort sort) {
    switch (sort) {
        case SkillSort::invocation_count:
            return static_cast<double>(skill.window.invocation_count);
        case SkillSort::completion_rate:
            return completion_rate(skill.window);
        case SkillSort::avg_duration:
            return mean_duration(skill.window);
        case SkillSort::p50_duration:
            return skill.window.p50_duration_seconds;
        case SkillSort::p95_duration:
            return skill.window.p95_duration_seconds;
        case SkillSort::unknown_count:
            return static_cast<double>(skill.window.unknown_count);
        case SkillSort::last_invocation_at:
            if (const auto last = last_invocation(skill)) {
                return static_cast<double>(last->time_since_epoch().count());
            }
            return std::nullopt;
        case SkillSort::total_invocations:
            return static_cast<double>(skill.lifetime.total_invocations);
        case SkillSort::skill_name:
        case SkillSort::deviation_score:
            break;
    }
    return std::nullopt;
}

}  // namespace session_buddy::protocol
