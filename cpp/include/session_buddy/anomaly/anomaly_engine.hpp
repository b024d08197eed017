// The anomaly detectors of all skills: evaluates rows, reports anomalies, and saves and restores its state. Uses
// neither clock nor database. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "session_buddy/anomaly/skill_detector.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/schedule.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::anomaly {

class AnomalyEngine {
  public:
    /// Memory limits. Invocations of further skills are not evaluated; further error types count as `other`.
    struct Limits {
        std::size_t skills = 10'000;
        std::size_t error_types = 10'000;
    };
    explicit AnomalyEngine(const DetectorOptions& options) : AnomalyEngine(options, Limits{}) {}
    AnomalyEngine(const DetectorOptions& options, const Limits& limits) : options_(options), limits_(limits) {}
    AnomalyEngine(AnomalyEngine&&) = delete;

    [[nodiscard]] const DetectorOptions& options() const { return options_; }

    /// Judges a row that was read at `now`. A row from the future counts as of `now`. A row with an unknown outcome is
    /// ignored, and so is one older than the baseline window, and a duration that is an upper bound.
    void add(const Invocation& invocation, TimePoint now);
    /// Moves all windows to `now`.
    void advance(TimePoint now);
    /// The next time at which advance() changes anything; TimePoint::max() if never.
    [[nodiscard]] TimePoint next_change();

    /// An open Episode with its skill and channel: what is saved for a restart.
    struct OpenEpisode {
        std::string skill_name;
        SkillDetector::Channel channel = SkillDetector::completion;
        Episode episode;

        bool operator==(const OpenEpisode&) const = default;
    };
    /// After a restart: preload() every row that was evaluated before, then begin() with the episodes that were open at
    /// `until`.
    void preload(const Invocation& invocation);
    void begin(TimePoint until, const std::vector<OpenEpisode>& episodes);

    /// The anomalies reported at `now`, sorted by score (largest first), name and type. Call advance(now) before. Valid
    /// until the next add() or advance().
    [[nodiscard]] const std::vector<Anomaly>& reported(TimePoint now) const;
    [[nodiscard]] std::vector<OpenEpisode> open_episodes() const;
    /// The detector of one skill, as of the last add() or advance(); nullptr for an unknown skill.
    [[nodiscard]] const SkillDetector* detector(std::string_view skill_name) const;

    /// An EpisodeEvent with its skill.
    struct SkillEpisodeEvent {
        std::string skill_name;
        EpisodeEvent event;

        bool operator==(const SkillEpisodeEvent&) const = default;
    };
    /// The starts and ends of episodes since the last call, in order of detection.
    [[nodiscard]] std::vector<SkillEpisodeEvent> take_events() { return std::exchange(events_, {}); }

    [[nodiscard]] TrackedNames error_types_tracked() const { return {error_types_.size() - 1, errors_in_other_}; }

    struct SkillState {
        bool is_anomalous = false;    ///< an anomaly of the skill is reported
        std::optional<double> score;  ///< the larger |z| of both channels; nullopt if there are too few samples

        bool operator==(const SkillState&) const = default;
    };
    /// The state at `now`. An unknown skill is not anomalous.
    [[nodiscard]] SkillState state(std::string_view skill_name, TimePoint now) const;
    /// The skills that were evaluated since the last call.
    [[nodiscard]] std::vector<std::string> take_evaluated();

  private:
    struct Skill {
        std::string name;
        SkillDetector detector;
        bool evaluated = false;
        bool idle = false;           // listed in idle_
        mutable bool stale = false;  // listed in stale_
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };

    /// The index of a skill, which is added if it is new; nullopt if max_tracked_skills is reached.
    std::optional<std::uint32_t> index_of(std::string_view skill_name);
    std::uint32_t error_number(const std::string& error_type);
    [[nodiscard]] SkillDetector::Sample to_sample(const Invocation& invocation, TimePoint at);
    void after_evaluation(std::uint32_t index);
    [[nodiscard]] std::vector<Anomaly> reported_for(const Skill& skill, TimePoint now) const;
    [[nodiscard]] std::vector<std::pair<std::string, std::int64_t>> common_errors(const SkillDetector& detector) const;

    DetectorOptions options_;
    Limits limits_;
    std::deque<std::uint32_t> idle_;  // skills without samples when they were added here
    std::uint64_t errors_in_other_ = 0;
    std::deque<Skill> skills_;  // a deque, so that it grows without copying
    std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> index_;
    std::vector<std::string> error_types_{""};  // number → type; 0 stands for none
    std::unordered_map<std::string, std::uint32_t> error_numbers_;
    std::unordered_set<std::uint32_t> with_episode_;
    std::vector<std::uint32_t> evaluated_;
    std::vector<EpisodeEvent> found_;  // events of the current detector; a member to reuse its memory
    std::vector<SkillEpisodeEvent> events_;
    Schedule changes_;
    TimePoint until_ = TimePoint::min();  // of the last advance() or begin()
    // Cache of reported(), in all and by skill, and the skills evaluated since. What a skill reports changes only when
    // it is evaluated, which happens each time a sample leaves the observation window.
    mutable std::vector<Anomaly> reported_;
    mutable std::unordered_map<std::uint32_t, std::vector<Anomaly>> reported_by_skill_;
    mutable std::vector<std::uint32_t> stale_;
};

}  // namespace session_buddy::anomaly
