// The detector's state as JSON: see the header.
#include "session_buddy/app/detector_state.hpp"

#include <nlohmann/json.hpp>

namespace session_buddy::app {
namespace {

using anomaly::AnomalyEngine;
using anomaly::Baseline;
using anomaly::Deviation;
using anomaly::SkillDetector;
using nlohmann::json;

// Counts up whenever the meaning of a field changes; a state of another version is not read.
constexpr int kVersion = 1;

std::int64_t to_micros(TimePoint at) {
    return at.time_since_epoch().count();
}

TimePoint to_time(const json& micros) {
    return TimePoint{std::chrono::microseconds{micros.get<std::int64_t>()}};
}

json to_json(const Deviation& deviation) {
    return {{"type", static_cast<int>(deviation.type)},       {"baseline_value", deviation.baseline_value},
            {"observed_value", deviation.observed_value},     {"baseline_samples", deviation.baseline_samples},
            {"observed_samples", deviation.observed_samples}, {"z", deviation.z},
            {"tail_probability", deviation.tail_probability}};
}

Deviation to_deviation(const json& from) {
    Deviation deviation;
    const int type = from.at("type").get<int>();
    if (type < 0 || type > static_cast<int>(AnomalyType::pattern_shift)) {
        throw json::other_error::create(501, "unknown type", &from);
    }
    deviation.type = static_cast<AnomalyType>(type);
    from.at("baseline_value").get_to(deviation.baseline_value);
    from.at("observed_value").get_to(deviation.observed_value);
    from.at("baseline_samples").get_to(deviation.baseline_samples);
    from.at("observed_samples").get_to(deviation.observed_samples);
    from.at("z").get_to(deviation.z);
    from.at("tail_probability").get_to(deviation.tail_probability);
    return deviation;
}

json to_json(const Baseline& baseline) {
    return {{"count", baseline.count},           {"completed", baseline.completed},
            {"timed", baseline.timed},           {"mean_seconds", baseline.mean_seconds},
            {"sd_seconds", baseline.sd_seconds}, {"mean_log", baseline.mean_log},
            {"sd_log", baseline.sd_log},         {"drift_variance", baseline.drift_variance}};
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

}  // namespace

std::string to_text(const DetectorState& state) {
    json episodes = json::array();
    for (const AnomalyEngine::OpenEpisode& open : state.episodes) {
        episodes.push_back({{"skill_name", open.skill_name},
                            {"channel", static_cast<int>(open.channel)},
                            {"started_at", to_micros(open.episode.started_at)},
                            {"excluded", open.episode.excluded},
                            {"deviation", to_json(open.episode.deviation)},
                            {"baseline", to_json(open.episode.baseline)}});
    }
    return json{{"version", kVersion},
                {"until", to_micros(state.until)},
                {"last_id", state.last_id},
                {"episodes", std::move(episodes)}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<DetectorState> parse_detector_state(std::string_view text) {
    try {
        const json from = json::parse(text);
        if (from.at("version").get<int>() != kVersion) {
            return std::nullopt;
        }
        DetectorState state;
        state.until = to_time(from.at("until"));
        from.at("last_id").get_to(state.last_id);
        for (const json& open : from.at("episodes")) {
            const int channel = open.at("channel").get<int>();
            if (channel != SkillDetector::completion && channel != SkillDetector::duration) {
                return std::nullopt;
            }
            anomaly::Episode episode;
            episode.started_at = to_time(open.at("started_at"));
            open.at("excluded").get_to(episode.excluded);
            episode.deviation = to_deviation(open.at("deviation"));
            episode.baseline = to_baseline(open.at("baseline"));
            state.episodes.push_back(
                {open.at("skill_name").get<std::string>(), static_cast<SkillDetector::Channel>(channel), episode});
        }
        return state;
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

}  // namespace session_buddy::app
