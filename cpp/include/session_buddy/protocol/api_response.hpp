// Response bodies of the HTTP API, as JSON text in the key order of docs/api/openapi.yaml.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/skill_history.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/metrics/series.hpp"
#include "session_buddy/protocol/api_request.hpp"

namespace session_buddy::protocol {

/// A response body. The bytes from volatile_begin to volatile_end change even if the data does not (its age, for
/// example) and are left out of the ETag.
struct ApiBody {
    std::string text;
    std::size_t volatile_begin = 0;
    std::size_t volatile_end = 0;
};

/// The names of the options whose limit on tracked names was exceeded, so that rows are summed as `other`.
[[nodiscard]] std::vector<std::string_view> limits_reached(const Snapshot& snapshot);

struct ServerState {
    TimePoint started_at;
    TimePoint now;
    std::size_t clients = 0;
    bool show_path = false;  ///< include the path of the database
};
/// Without `show_path` the response has no path. The reason why the database cannot be read never has one: `db_path` is
/// removed from it.
[[nodiscard]] ApiBody server_response(const Snapshot& snapshot, const Config& config, const ServerState& state);

/// The skills that match a request, sorted, on all pages; the pointers refer to the snapshot. Skills without a sort
/// value come last in either order; ties are sorted by name.
[[nodiscard]] std::vector<const SkillMetrics*> matching_skills(const Snapshot& snapshot, const SkillsRequest& request);

/// Invocations per hour, the current hour last.
struct Sparklines {
    static constexpr std::size_t kHours = 24;
    struct Hour {
        std::int64_t invocation_count = 0;
        std::int64_t completed_count = 0;  ///< those with an unknown outcome included
        std::int64_t unknown_count = 0;    ///< of completed_count
    };
    TimePoint from;  ///< start of the first hour
    std::unordered_map<std::string, std::array<Hour, kHours>> by_skill;
};

/// One page of matching_skills(). `sparklines` is null unless requested.
[[nodiscard]] ApiBody skills_response(const Snapshot& snapshot, const SkillsRequest& request,
                                      const Sparklines* sparklines);

/// One page of skill_groups().
[[nodiscard]] ApiBody groups_response(const Snapshot& snapshot, const GroupsRequest& request);

[[nodiscard]] ApiBody skill_response(const Snapshot& snapshot, const SkillMetrics& skill, const SkillHistory& history);

/// `points`: one per step of the plan.
[[nodiscard]] ApiBody series_response(const SeriesRequest& request, const SeriesPlan& plan,
                                      const std::vector<metrics::SeriesPoint>& points);

/// One page of `stored`, which must be the episodes that match the request, merged with the anomalies of the snapshot:
/// open episodes get their current values, and anomalies that the database does not have are added.
[[nodiscard]] ApiBody anomalies_response(const Snapshot& snapshot, const AnomaliesRequest& request,
                                         std::vector<StoredEpisode> stored);

/// The alerts of the snapshot that match the request and have no id: those that could not be stored.
[[nodiscard]] std::vector<const Alert*> unstored_alerts(const Snapshot& snapshot, const AlertsRequest& request);

/// One page of the unstored alerts and those in the database. `stored` must have the `limit` alerts that match the
/// request from index offset - unstored_alerts().size() on, at least 0; open ones get their current values from the
/// snapshot. `budget`: alert_budget of the config.
[[nodiscard]] ApiBody alerts_response(const Snapshot& snapshot, const AlertsRequest& request, std::string_view budget,
                                      AlertPage stored);

/// The answers to commands about alerts.
[[nodiscard]] std::string command_response(const Alert& acknowledged);
[[nodiscard]] std::string command_response(const Mute& mute);
[[nodiscard]] std::string command_response(Unmuted unmuted);

/// `window`: session_window of the config.
[[nodiscard]] ApiBody sessions_response(const Snapshot& snapshot, const SessionsRequest& request, Seconds window);

}  // namespace session_buddy::protocol
