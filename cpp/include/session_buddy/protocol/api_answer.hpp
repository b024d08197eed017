// The answers to the queries of the HTTP API, as JSON text in the key order of docs/api/openapi.yaml.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/protocol/api_request.hpp"

namespace session_buddy::protocol {

/// The body of an answer. Between the two places stands what changes though the data does not, such as its age.
struct ApiBody {
    std::string text;
    std::size_t varies_from = 0;
    std::size_t varies_to = 0;
};

struct ServerState {
    TimePoint started_at;
    TimePoint now;
    std::size_t clients = 0;
};
/// Names no path: `db_path` of the config is cut out of the reason why the database cannot be read.
[[nodiscard]] ApiBody server_answer(const Snapshot& snapshot, const Config& config, const ServerState& state);

/// The skills that a request is about, in its order; all pages of it. They belong to the snapshot. What lacks the value
/// to sort by comes last in either order; equals are sorted by name.
[[nodiscard]] std::vector<const SkillFigures*> matching_skills(const Snapshot& snapshot, const SkillsRequest& request);

[[nodiscard]] ApiBody skills_answer(const Snapshot& snapshot, const SkillsRequest& request);

/// `window`: of the config.
[[nodiscard]] ApiBody sessions_answer(const Snapshot& snapshot, const SessionsRequest& request, Seconds window);

}  // namespace session_buddy::protocol
