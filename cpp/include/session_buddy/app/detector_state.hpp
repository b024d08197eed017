// What the anomaly engine needs to go on after a restart, and its text form in the database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/anomaly/anomaly_engine.hpp"
#include "session_buddy/core/clock.hpp"

namespace session_buddy::app {

struct DetectorState {
    TimePoint until;           ///< everything that happened up to here was judged
    std::int64_t last_id = 0;  ///< the last row of skill_invocation that was judged
    std::vector<anomaly::AnomalyEngine::OpenEpisode> episodes;
};

/// JSON; every number comes back as it was.
[[nodiscard]] std::string to_text(const DetectorState& state);
/// Nothing for a text that to_text did not make, as another version may have left it.
[[nodiscard]] std::optional<DetectorState> parse_detector_state(std::string_view text);

}  // namespace session_buddy::app
