// Parses and validates the query strings of the HTTP API.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "session_buddy/core/alert_command.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::protocol {

/// An unknown, repeated or invalid parameter. `detail` is a sentence that says what is accepted.
struct BadParameter {
    std::string parameter;
    std::string detail;

    bool operator==(const BadParameter&) const = default;
};

template <typename Request>
using ApiRequest = std::variant<Request, BadParameter>;

struct Page {
    std::int64_t limit = 0;   ///< 1 or more
    std::int64_t offset = 0;  ///< 0 or more

    bool operator==(const Page&) const = default;
};

/// What skills are sorted by: see entities.hpp.
enum class SkillSort : std::uint8_t;

/// GET /api/v1/server
struct ServerRequest {
    bool operator==(const ServerRequest&) const = default;
};

/// GET /api/v1/skills
struct SkillsRequest {
    std::string search{};  ///< substring of the name; empty for all
    SkillSort sort{};      ///< default: by invocation_count
    bool descending = true;
    bool active = false;  ///< only skills with an invocation in the window
    bool sparkline = false;
    Page page{};

    bool operator==(const SkillsRequest&) const = default;
};

/// GET /api/v1/groups
struct GroupsRequest {
    bool active = false;  ///< only groups with an invocation in the window
    Page page{};

    bool operator==(const GroupsRequest&) const = default;
};

/// GET /api/v1/skill
struct SkillRequest {
    std::string skill_name;

    bool operator==(const SkillRequest&) const = default;
};

/// GET /api/v1/series, as requested; SeriesPlan has the resulting steps.
struct SeriesRequest {
    std::optional<std::string> skill_name{};  ///< nullopt: all skills together
    std::optional<TimePoint> from{};
    std::optional<TimePoint> to{};
    std::optional<std::chrono::seconds> step{};  ///< 10 seconds to 31 days

    bool operator==(const SeriesRequest&) const = default;
};

enum class EpisodeState : std::uint8_t { all, open, resolved };

/// GET /api/v1/anomalies
struct AnomaliesRequest {
    EpisodeState state = EpisodeState::all;
    std::optional<std::string> skill_name{};
    std::optional<AnomalyType> type{};
    std::optional<TimePoint> from{};
    std::optional<TimePoint> to{};
    Page page{};

    bool operator==(const AnomaliesRequest&) const = default;
};

enum class AlertState : std::uint8_t { all, open, ended };

/// GET /api/v1/alerts
struct AlertsRequest {
    AlertState state = AlertState::all;
    std::optional<std::string> skill_name{};
    std::optional<AlertKind> kind{};
    std::optional<TimePoint> from{};  ///< alerts that were open then, or were detected later
    std::optional<TimePoint> to{};    ///< alerts detected before
    Page page{};

    bool operator==(const AlertsRequest&) const = default;
};

/// GET /api/v1/sessions
struct SessionsRequest {
    std::int64_t limit = 0;

    bool operator==(const SessionsRequest&) const = default;
};

/// GET /metrics, whose query string is ignored.
struct MetricsRequest {
    bool operator==(const MetricsRequest&) const = default;
};

/// A query of the HTTP API, parsed; equal ones get the same response at the same time.
using ApiQuery = std::variant<BadParameter, ServerRequest, SkillsRequest, GroupsRequest, SkillRequest, SeriesRequest,
                              AnomaliesRequest, AlertsRequest, SessionsRequest, MetricsRequest>;

template <typename Request>
[[nodiscard]] ApiQuery to_query(ApiRequest<Request> read) {
    return std::visit([](auto& each) -> ApiQuery { return std::move(each); }, read);
}

inline constexpr std::int64_t kMaxSparklines = 100;

/// The steps of a series, aligned to multiples of the step length since 1970.
struct SeriesPlan {
    TimePoint from;
    std::chrono::seconds step{};
    std::size_t points = 0;

    [[nodiscard]] TimePoint to() const { return from + step * static_cast<std::int64_t>(points); }
};

inline constexpr std::size_t kMaxSeriesPoints = 2000;

/// Defaults: `to` is now, `from` 24 hours earlier, and `step` the shortest usual step that gives at most 300 points.
/// Before `pruned_before` only hourly data is available.
[[nodiscard]] ApiRequest<SeriesPlan> plan_series(const SeriesRequest& request, TimePoint now, TimePoint pruned_before);

// Each parses the query string after the question mark (empty for none): percent-encoded name=value pairs separated by
// &, with + for a blank. Empty pairs are skipped. They throw only std::bad_alloc.
[[nodiscard]] ApiRequest<ServerRequest> parse_server_request(std::string_view query);
[[nodiscard]] ApiRequest<SkillsRequest> parse_skills_request(std::string_view query);
[[nodiscard]] ApiRequest<GroupsRequest> parse_groups_request(std::string_view query);
[[nodiscard]] ApiRequest<SkillRequest> parse_skill_request(std::string_view query);
[[nodiscard]] ApiRequest<SeriesRequest> parse_series_request(std::string_view query);
[[nodiscard]] ApiRequest<AnomaliesRequest> parse_anomalies_request(std::string_view query);
[[nodiscard]] ApiRequest<AlertsRequest> parse_alerts_request(std::string_view query);
[[nodiscard]] ApiRequest<SessionsRequest> parse_sessions_request(std::string_view query);
/// DELETE /api/v1/mutes
[[nodiscard]] ApiRequest<UnmuteSkill> parse_unmute_request(std::string_view query);

}  // namespace session_buddy::protocol
