// The anomaly engine on a stream of invocations with times of its own, and the episodes that came of it.
// What Detector in Python and the backtest share: so both say the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "session_buddy/anomaly/anomaly_engine.hpp"

namespace session_buddy::app {

/// An episode, from the moment it was first reported.
struct ReportedEpisode {
    std::string skill_name;
    TimePoint started_at;
    std::optional<TimePoint> resolved_at{};  ///< nothing where it is still open
    anomaly::Deviation deviation;            ///< as of the start

    bool operator==(const ReportedEpisode&) const = default;
};

/// Not for several threads at a time.
class AnomalyStream {
  public:
    static constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

    /// Keeps the last `max_episodes` > 0 episodes that were found.
    AnomalyStream(const anomaly::DetectorOptions& options, std::size_t max_episodes)
        : engine_(options), max_episodes_(max_episodes) {}

    /// Takes an invocation in. One that comes late is placed among the others by its time.
    void add(const Invocation& invocation);
    /// Lets time pass for all skills. A moment before latest() changes nothing.
    void advance(TimePoint to);
    /// The latest moment that was seen; TimePoint::min() before the first.
    [[nodiscard]] TimePoint latest() const { return latest_; }

    /// What is reported at latest(), after advance(latest()): the largest score first.
    [[nodiscard]] std::vector<Anomaly> reported() const { return engine_.reported(latest_); }
    /// Of one skill; what add() was given last need not be followed by advance() for this.
    [[nodiscard]] std::vector<Anomaly> reported(std::string_view skill_name) const;

    /// By start, then skill and type, whatever the order in which they were found.
    [[nodiscard]] std::vector<ReportedEpisode> episodes() const;

  private:
    void apply_events();

    using ChannelKey = std::pair<std::string, anomaly::SkillDetector::Channel>;

    anomaly::AnomalyEngine engine_;
    TimePoint latest_ = TimePoint::min();
    std::size_t max_episodes_;
    std::deque<ReportedEpisode> episodes_;      // in the order in which they were found
    std::uint64_t discarded_ = 0;               // from the front of episodes_
    std::map<ChannelKey, std::uint64_t> open_;  // number of the episode, counted from the first that was ever found
};

}  // namespace session_buddy::app
