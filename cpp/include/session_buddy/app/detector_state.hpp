// What the anomaly engine needs to go on after a restart, and its form in the database.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "session_buddy/anomaly/anomaly_engine.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/storage/cycle_writer.hpp"

namespace session_buddy::app {

struct DetectorState {
    TimePoint until;           ///< everything that happened up to here was evaluated
    std::int64_t last_id = 0;  ///< the last row of skill_invocation that was evaluated
    std::vector<anomaly::AnomalyEngine::OpenEpisode> episodes;
};

/// The pieces of a state: a head, and one for each open episode. Texts are JSON; every number comes back as it was.
[[nodiscard]] storage::StateEntry head_piece(TimePoint until, std::int64_t last_id);
[[nodiscard]] storage::StateEntry episode_piece(const anomaly::AnomalyEngine::OpenEpisode& open);
/// The removal of an episode that ended.
[[nodiscard]] storage::StateEntry removed_episode_piece(std::string_view skill_name,
                                                        anomaly::SkillDetector::Channel channel);
/// Nothing where there is no head, or where a piece is not as these functions make it: another version may have left
/// it.
[[nodiscard]] std::optional<DetectorState> parse_detector_state(const std::vector<storage::StateEntry>& pieces);

}  // namespace session_buddy::app
