// Serializes the detector state to JSON and back.
#include "session_buddy/app/detector_state.hpp"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace session_buddy::app {
namespace {

using anomaly::AnomalyEngine;
using anomaly::Baseline;
using anomaly::Deviation;
using anomaly::SkillDetector;
using nlohmann::json;

// Incremented when the meaning of a field changes; a state of another version is ignored.
constexpr int kStateVersion = 2;
constexpr const char* kHead = "head";

std::int64_t to_micros(TimePoint at) {
    return at.time_since_epoch().count();
}

TimePoint to_time(const json& micros) {
    return TimePoint{std::chrono::microseconds{micros.get<std::int64_t>()}};
}

// Formatted directly, because a busy database needs a hundred of these per cycle. Numbers are finite and formatted as
// the shortest text that round-trips.
std::string to_json(const Deviation& deviation) {
    return fmt::format(
        R"({{"type":{},"baseline_value":{},"observed_value":{},"baseline_samples":{},"observed_samples":{},"z":{},)"
        R"("tail_probability":{}}})",
        static_cast<int>(deviation.type), deviation.baseline_value, deviation.observed_value,
        deviation.baseline_samples, deviation.observed_samples, deviation.z, deviation.tail_probability);
}

Deviation to_deviation(const json& from) {
    Deviation deviation;
    deviation.type = static_cast<AnomalyType>(from.at("type").get<int>());
    if (kAnomalyTypes[deviation.type].empty()) {
        throw json::other_error::create(501, "unknown type", &from);
    }
    from.at("baseline_value").get_to(deviation.baseline_value);
    from.at("observed_value").get_to(deviation.observed_value);
    from.at("baseline_samples").get_to(deviation.baseline_samples);
    from.at("observed_samples").get_to(deviation.observed_samples);
    from.at("z").get_to(deviation.z);
    from.at("tail_probability").get_to(deviation.tail_probability);
    return deviation;
}

std::string to_json(const Baseline& baseline) {
    return fmt::format(
        R"({{"count":{},"completed":{},"timed":{},"mean_seconds":{},"sd_seconds":{},"mean_log":{},"sd_log":{},)"
        R"("drift_variance":{}}})",
        baseline.count, baseline.completed, baseline.timed, baseline.mean_seconds, baseline.sd_seconds,
        baseline.mean_log, baseline.sd_log, baseline.drift_variance);
}

Baseline to_baseline(const json& from) {
    Baseline baseline;
    from.at("count").get_to(baseline.count);
    from.at("completed").get_to(baseline.completed);
    from.at("timed").get_to(baseline.timed);
    from.at("mean_seconds").get_to(baseline.mean_seconds);
    from.at("sd_seconds").get_to(baseline.sd_seconds);
    from.at("mean_log").get_to(baseline.mean_log);
    from.at("sd_log").get_to(baseline.sd_log);
    from.at("drift_variance").get_to(baseline.drift_variance);
    return baseline;
}

std::string episode_name(std::string_view skill_name, SkillDetector::Channel channel) {
    return fmt::format("episode/{}/{}", static_cast<int>(channel), skill_name);
}

/// nullopt for an unknown channel.
std::optional<AnomalyEngine::OpenEpisode> to_episode(const json& from) {
    const int channel = from.at("channel").get<int>();
    if (channel != SkillDetector::completion && channel != SkillDetector::duration) {
        return std::nullopt;
    }
    anomaly::Episode episode;
    episode.started_at = to_time(from.at("started_at"));
    from.at("excluded").get_to(episode.excluded);
    episode.deviation = to_deviation(from.at("deviation"));
    episode.baseline = to_baseline(from.at("baseline"));
    return AnomalyEngine::OpenEpisode{from.at("skill_name").get<std::string>(),
                                      static_cast<SkillDetector::Channel>(channel), episode};
}

}  // namespace

storage::StateEntry head_entry(TimePoint until, std::int64_t last_id) {
    return {kHead,
            fmt::format(R"({{"version":{},"until":{},"last_id":{}}})", kStateVersion, to_micros(until), last_id)};
}

storage::StateEntry episode_entry(const AnomalyEngine::OpenEpisode& open) {
    const std::string name = json(open.skill_name).dump(-1, ' ', false, json::error_handler_t::replace);
    return {
        episode_name(open.skill_name, open.channel),
        fmt::format(R"({{"skill_name":{},"channel":{},"started_at":{},"excluded":{},"deviation":{},"baseline":{}}})",
                    name, static_cast<int>(open.channel), to_micros(open.episode.started_at), open.episode.excluded,
                    to_json(open.episode.deviation), to_json(open.episode.baseline))};
}

storage::StateEntry removed_episode_entry(std::string_view skill_name, SkillDetector::Channel channel) {
    return {episode_name(skill_name, channel), std::nullopt};
}

std::optional<DetectorState> parse_detector_state(const std::vector<storage::StateEntry>& entries) {
    try {
        DetectorState state;
        bool has_head = false;
        for (const storage::StateEntry& entry : entries) {
            const json from = json::parse(entry.text.value_or(""));
            if (entry.name == kHead) {
                if (from.at("version").get<int>() != kStateVersion) {
                    return std::nullopt;
                }
                has_head = true;
                state.until = to_time(from.at("until"));
                from.at("last_id").get_to(state.last_id);
            } else if (auto episode = to_episode(from)) {
                state.episodes.push_back(std::move(*episode));
            } else {
                return std::nullopt;
            }
        }
        return has_head ? std::optional{std::move(state)} : std::nullopt;
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

}  // namespace session_buddy::app
