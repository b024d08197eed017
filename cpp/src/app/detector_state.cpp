// Serializes the detector state to JSON and back.
#include "session_buddy/app/detector_state.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>

#include "session_buddy/core/fields.hpp"

namespace session_buddy::app {
namespace {

using anomaly::AnomalyEngine;
using anomaly::Baseline;
using anomaly::Deviation;
using anomaly::SkillDetector;
using nlohmann::json;

// Incremented when the meaning of a field changes; a state of another version is ignored.
constexpr int kStateVersion = 2;
constexpr const char* kHead = storage::kStateHead;

std::int64_t to_micros(TimePoint at) {
    return at.time_since_epoch().count();
}

TimePoint to_time(const json& micros) {
    return TimePoint{std::chrono::microseconds{micros.get<std::int64_t>()}};
}

constexpr auto kDeviation =
    entity("Deviation", "", field<"type">(&Deviation::type), field<"baseline_value">(&Deviation::baseline_value),
           field<"observed_value">(&Deviation::observed_value), field<"baseline_samples">(&Deviation::baseline_samples),
           field<"observed_samples">(&Deviation::observed_samples), field<"z">(&Deviation::z),
           field<"tail_probability">(&Deviation::tail_probability));

constexpr auto kBaseline =
    entity("Baseline", "", field<"count">(&Baseline::count), field<"completed">(&Baseline::completed),
           field<"timed">(&Baseline::timed), field<"mean_seconds">(&Baseline::mean_seconds),
           field<"sd_seconds">(&Baseline::sd_seconds), field<"mean_log">(&Baseline::mean_log),
           field<"sd_log">(&Baseline::sd_log), field<"drift_variance">(&Baseline::drift_variance));

// Formatted directly, because a busy database needs a hundred of these per cycle. Numbers are finite and formatted as
// the shortest text that round-trips.
template <const auto& kEntity, typename Value>
std::string to_json(const Value& value) {
    std::string out;
    for_each_field<kEntity>([&](const auto& field) {
        out += out.empty() ? field.template json_key<'{'>() : field.template json_key<','>();
        if constexpr (std::is_same_v<decltype(field.get), AnomalyType Deviation::*>) {
            fmt::format_to(std::back_inserter(out), "{}", static_cast<int>(field.of(value)));
        } else {
            fmt::format_to(std::back_inserter(out), "{}", field.of(value));
        }
    });
    return out + '}';
}

void read(const json& from, AnomalyType& into) {
    into = static_cast<AnomalyType>(from.get<int>());
    if (kAnomalyTypes[into].empty()) {
        throw json::other_error::create(501, "unknown type", &from);
    }
}

template <typename Number>
void read(const json& from, Number& into) {
    from.get_to(into);
}

template <const auto& kEntity, typename Value>
void read_object(const json& from, Value& into) {
    for_each_field<kEntity>([&](const auto& field) { read(from.at(field.name), into.*field.get); });
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
    read_object<kDeviation>(from.at("deviation"), episode.deviation);
    read_object<kBaseline>(from.at("baseline"), episode.baseline);
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
                    to_json<kDeviation>(open.episode.deviation), to_json<kBaseline>(open.episode.baseline))};
}

storage::StateEntry removed_episode_entry(std::string_view skill_name, SkillDetector::Channel channel) {
    return {episode_name(skill_name, channel), std::nullopt};
}

std::string head_of(const std::vector<storage::StateEntry>& entries) {
    const auto head = std::ranges::find(entries, kHead, &storage::StateEntry::name);
    return head == entries.end() ? std::string() : head->text.value_or("");
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
