// The answers to the queries of the HTTP API, as JSON text in the key order of docs/api/openapi.yaml.
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

/// The body of an answer. Between the two places stands what changes though the data does not, such as its age.
struct ApiBody {
    std::string text;
    std::size_t volatile_begin = 0;
    std::size_t volatile_end = 0;
};

/// The options that bound names of which more came than are tracked, so that rows are summed as `other`.
[[nodiscard]] std::vector<std::string_view> limits_reached(const Snapshot& snapshot);

struct ServerState {
    TimePoint started_at;
    TimePoint now;
    std::size_t clients = 0;
    bool show_path = false;  ///< of the database
};
/// Without `show_path` it names no path. The reason why the database cannot be read never does: `db_path` of the config
/// is cut out of it.
[[nodiscard]] ApiBody server_response(const Snapshot& snapshot, const Config& config, const ServerState& state);

/// The skills that a request is about, in its order; all pages of it. They belong to the snapshot. What lacks the value
/// to sort by comes last in either order; equals are sorted by name.
[[nodiscard]] std::vector<const SkillMetrics*> matching_skills(const Snapshot& snapshot, const SkillsRequest& request);

/// Invocations by the hour, the present one last.
struct Sparklines {
    static constexpr std::size_t kHours = 24;
    struct Hour {
        std::int64_t invocation_count = 0;
        std::int64_t completed_count = 0;
    };
    TimePoint from;  ///< the beginning of the first hour
    std::unordered_map<std::string, std::array<Hour, kHours>> by_skill;
};

/// One page of matching_skills(). `sparklines`: where the request has them.
[[nodiscard]] ApiBody skills_response(const Snapshot& snapshot, const SkillsRequest& request,
                                      const Sparklines* sparklines);

[[nodiscard]] ApiBody skill_response(const Snapshot& snapshot, const SkillMetrics& skill, const SkillHistory& history);

/// `points`: of the plan's steps.
[[nodiscard]] ApiBody series_response(const SeriesRequest& request, const SeriesPlan& plan,
                                      const std::vector<metrics::SeriesPoint>& points);

/// One page of `stored`, which must be the episodes that the request is about. Those that the snapshot knows as open
/// have its figures; what the database does not have of them is put between.
[[nodiscard]] ApiBody anomalies_response(const Snapshot& snapshot, const AnomaliesRequest& request,
                                         std::vector<StoredEpisode> stored);

/// `window`: of the config.
[[nodiscard]] ApiBody sessions_response(const Snapshot& snapshot, const SessionsRequest& request, Seconds window);

}  // namespace session_buddy::protocol
