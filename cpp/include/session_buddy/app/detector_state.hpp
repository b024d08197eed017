// The state with which the anomaly engine resumes after a restart, and its serialization in the database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/anomaly/anomaly_engine.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/cycle_writer.hpp"

namespace session_buddy::app {

struct DetectorState {
    TimePoint until;           ///< invocations up to this time were evaluated
    std::int64_t last_id = 0;  ///< the last evaluated row of skill_invocation
    std::vector<anomaly::AnomalyEngine::OpenEpisode> episodes;
};

/// A state is stored as one head and one entry per open episode, each a JSON text. Numbers round-trip exactly.
[[nodiscard]] storage::StateEntry head_entry(TimePoint until, std::int64_t last_id);
[[nodiscard]] storage::StateEntry episode_entry(const anomaly::AnomalyEngine::OpenEpisode& open);
/// Removes the entry of an episode that ended.
[[nodiscard]] storage::StateEntry removed_episode_entry(std::string_view skill_name,
                                                        anomaly::SkillDetector::Channel channel);
/// The text of the head; empty if there is none.
[[nodiscard]] std::string head_of(const std::vector<storage::StateEntry>& entries);
/// nullopt if there is no head, or if a entry has another format: another version may have written it.
[[nodiscard]] std::optional<DetectorState> parse_detector_state(const std::vector<storage::StateEntry>& entries);

}  // namespace session_buddy::app
