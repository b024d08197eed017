// Renders the responses of the HTTP API as JSON text, and sorts, filters and pages their items.
#include "session_buddy/protocol/api_response.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "json_metrics.hpp"
#include "json_text.hpp"
#include "session_buddy/core/version.hpp"
#include "session_buddy/metrics/wilson.hpp"

namespace session_buddy::protocol {

using json_text::append_number;
using json_text::append_string;
using json_text::append_timestamp;

namespace {

constexpr std::string_view kApiVersion = "1.0";
constexpr std::size_t kTypicalPointBytes = 160;

void append_key(std::string& out, std::string_view key) {
    out += out.empty() || out.back() == '{' ? "\"" : ",\"";
    out += key;
    out += "\":";
}

void append_bool(std::string& out, bool value) {
    out += value ? "true" : "false";
}

template <typename Value, typename Append>
void append_or_null(std::string& out, const std::optional<Value>& value, Append append) {
    if (value) {
        append(out, *value);
    } else {
        out += "null";
    }
}

void append_optional(std::string& out, const std::optional<double>& value) {
    append_or_null(out, value, [](std::string& text, double number) { append_number(text, number); });
}

void append_optional(std::string& out, const std::optional<TimePoint>& value) {
    append_or_null(out, value, append_timestamp);
}

// When the snapshot was taken; nullopt before the first cycle.
std::optional<TimePoint> snapshot_time(const Snapshot& snapshot) {
    return snapshot.sequence > 0 ? std::optional(snapshot.at) : std::nullopt;
}

ApiBody begin_with_timestamp(const Snapshot& snapshot) {
    ApiBody body;
    body.text += '{';
    body.volatile_begin = body.text.size();
    append_key(body.text, "at");
    append_optional(body.text, snapshot_time(snapshot));
    body.volatile_end = body.text.size();
    return body;
}

std::optional<double> rate(std::int64_t part, std::int64_t whole) {
    return whole > 0 ? std::optional(static_cast<double>(part) / static_cast<double>(whole)) : std::nullopt;
}

std::optional<double> mean_duration(const WindowMetrics& window) {
    return window.timed_count > 0 ? std::optional(window.avg_duration_seconds) : std::nullopt;
}

// LifetimeMetrics does not distinguish a mean of 0 from no mean.
std::optional<double> mean_duration(const LifetimeMetrics& lifetime) {
    return lifetime.avg_duration_seconds > 0.0 ? std::optional(lifetime.avg_duration_seconds) : std::nullopt;
}

std::optional<TimePoint> last_in_window(const WindowMetrics& window) {
    return window.invocation_count > 0 ? std::optional(window.last_invocation_at) : std::nullopt;
}

std::optional<TimePoint> last_invocation(const SkillMetrics& skill) {
    const auto last = last_in_window(skill.window);
    return last ? last : skill.lifetime.last_invocation_at;
}

void append_window(std::string& out, const WindowMetrics& window) {
    const auto interval = metrics::wilson_interval(window.completed_count, window.invocation_count);
    out += '{';
    append_key(out, "invocation_count");
    append_number(out, window.invocation_count);
    append_key(out, "completed_count");
    append_number(out, window.completed_count);
    append_key(out, "completion_rate");
    append_optional(out, rate(window.completed_count, window.invocation_count));
    append_key(out, "completion_rate_low");
    append_optional(out, interval ? std::optional(interval->low) : std::nullopt);
    append_key(out, "completion_rate_high");
    append_optional(out, interval ? std::optional(interval->high) : std::nullopt);
    append_key(out, "avg_duration");
    append_optional(out, mean_duration(window));
    append_key(out, "last_invocation_at");
    append_optional(out, last_in_window(window));
    out += '}';
}

void append_lifetime(std::string& out, const LifetimeMetrics& lifetime) {
    out += '{';
    append_key(out, "total_invocations");
    append_number(out, lifetime.total_invocations);
    append_key(out, "completed_invocations");
    append_number(out, lifetime.completed_invocations);
    append_key(out, "completion_rate");
    append_optional(out, rate(lifetime.completed_invocations, lifetime.total_invocations));
    append_key(out, "avg_duration_seconds");
    append_optional(out, mean_duration(lifetime));
    append_key(out, "last_invocation_at");
    append_optional(out, lifetime.last_invocation_at);
    out += '}';
}

// An anomaly within a skill, so without the name of the skill.
void append_anomaly(std::string& out, const Anomaly* anomaly) {
    out += '{';
    append_key(out, "anomaly_type");
    append_string(out, to_string(anomaly->type));
    append_key(out, "baseline_value");
    append_number(out, anomaly->baseline_value);
    append_key(out, "observed_value");
    append_number(out, anomaly->observed_value);
    append_key(out, "deviation_score");
    append_number(out, anomaly->deviation_score);
    append_key(out, "details");
    append_details(out, *anomaly);
    out += '}';
}

// The total, and the items of the page under `key`.
template <typename Item, typename Append>
void append_page(std::string& out, const Page& page, std::span<Item> items, std::string_view key, Append append) {
    const auto total = static_cast<std::int64_t>(items.size());
    const auto first = std::min(page.offset, total);
    const auto count = std::min(page.limit, total - first);
    append_key(out, "total");
    append_number(out, total);
    append_key(out, "limit");
    append_number(out, page.limit);
    append_key(out, "offset");
    append_number(out, page.offset);
    append_key(out, key);
    append_array(out, items.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)), append);
}

void append_sparkline(std::string& out, const Sparklines& sparklines, const std::string& skill_name) {
    static constexpr std::array<Sparklines::Hour, Sparklines::kHours> kNoInvocations{};
    const auto found = sparklines.by_skill.find(skill_name);
    const auto& hours = found == sparklines.by_skill.end() ? kNoInvocations : found->second;
    constexpr std::int64_t kHourSeconds = 3600;
    append_key(out, "sparkline");
    out += '{';
    append_key(out, "from");
    append_timestamp(out, sparklines.from);
    append_key(out, "step_seconds");
    append_number(out, kHourSeconds);
    append_key(out, "invocation_count");
    append_array(out, hours, [](std::string& text, const auto& hour) { append_number(text, hour.invocation_count); });
    append_key(out, "completed_count");
    append_array(out, hours, [](std::string& text, const auto& hour) { append_number(text, hour.completed_count); });
    out += '}';
}

void append_phase(std::string& out, const PhaseCount& phase) {
    out += '{';
    append_key(out, "workflow_phase");
    append_or_null(out, phase.workflow_phase, append_string);
    append_key(out, "invocation_count");
    append_number(out, phase.invocation_count);
    append_key(out, "completed_count");
    append_number(out, phase.completed_count);
    append_key(out, "completion_rate");
    append_optional(out, rate(phase.completed_count, phase.invocation_count));
    append_key(out, "avg_duration");
    append_optional(out, phase.avg_duration_seconds);
    out += '}';
}

void append_point(std::string& out, TimePoint at, const metrics::SeriesPoint& point) {
    out += '{';
    append_key(out, "at");
    append_timestamp(out, at);
    append_key(out, "invocation_count");
    append_number(out, point.invocation_count);
    append_key(out, "completed_count");
    append_number(out, point.completed_count);
    append_key(out, "avg_duration");
    append_optional(out, point.avg_duration);
    append_key(out, "p50_duration");
    append_optional(out, point.p50_duration);
    append_key(out, "p95_duration");
    append_optional(out, point.p95_duration);
    out += '}';
}

// An item of the list of anomalies: a stored episode, an anomaly of the snapshot, or both merged.
struct EpisodeItem {
    StoredEpisode stored;
    bool has_id = true;
    const Anomaly* current = nullptr;  // null if it is not in the snapshot
};

void append_episode(std::string& out, const EpisodeItem& episode) {
    const auto& stored = episode.stored;
    out += '{';
    append_key(out, "id");
    append_or_null(out, episode.has_id ? std::optional(stored.id) : std::nullopt,
                   [](std::string& text, std::int64_t id) { append_number(text, id); });
    append_key(out, "skill_name");
    append_string(out, stored.skill_name);
    append_key(out, "anomaly_type");
    append_string(out, stored.anomaly_type);
    append_key(out, "baseline_value");
    append_optional(out, stored.baseline_value);
    append_key(out, "observed_value");
    append_optional(out, stored.observed_value);
    append_key(out, "deviation_score");
    append_optional(out, stored.deviation_score);
    append_key(out, "detected_at");
    append_timestamp(out, stored.detected_at);
    append_key(out, "resolved_at");
    append_optional(out, stored.resolved_at);
    append_key(out, "details");
    if (episode.current != nullptr) {
        append_details(out, *episode.current);
    } else {
        out += "null";
    }
    out += '}';
}

bool matches(const Anomaly& anomaly, const AnomaliesRequest& request) {
    return request.state != EpisodeState::resolved &&
           (!request.skill_name || *request.skill_name == anomaly.skill_name) &&
           (!request.type || *request.type == anomaly.type) && (!request.to || anomaly.since < *request.to);
}

// Merges the stored episodes with the anomalies of the snapshot: an open episode gets its current values, and an
// anomaly that could not be written to the database is added without an id.
std::vector<EpisodeItem> merge_episodes(const Snapshot& snapshot, const AnomaliesRequest& request,
                                        std::vector<StoredEpisode> stored) {
    std::vector<const Anomaly*> unmatched;
    for (const Anomaly& anomaly : *snapshot.anomalies) {
        unmatched.push_back(&anomaly);
    }
    std::vector<EpisodeItem> episodes;
    episodes.reserve(stored.size());
    for (auto& row : stored) {
        EpisodeItem& episode = episodes.emplace_back(EpisodeItem{.stored = std::move(row)});
        if (episode.stored.resolved_at) {
            continue;
        }
        const auto found = std::ranges::find_if(unmatched, [&](const Anomaly* anomaly) {
            return anomaly->skill_name == episode.stored.skill_name &&
                   to_string(anomaly->type) == episode.stored.anomaly_type;
        });
        if (found != unmatched.end()) {
            episode.current = *found;
            episode.stored.baseline_value = (*found)->baseline_value;
            episode.stored.observed_value = (*found)->observed_value;
            episode.stored.deviation_score = (*found)->deviation_score;
            unmatched.erase(found);
        }
    }
    for (const Anomaly* anomaly : unmatched) {
        if (matches(*anomaly, request)) {
            episodes.push_back({.stored = {.skill_name = anomaly->skill_name,
                                           .anomaly_type = std::string(to_string(anomaly->type)),
                                           .baseline_value = anomaly->baseline_value,
                                           .observed_value = anomaly->observed_value,
                                           .deviation_score = anomaly->deviation_score,
                                           .detected_at = anomaly->since},
                                .has_id = false,
                                .current = anomaly});
        }
    }
    return episodes;
}

// The anomalies by skill, in the order of the snapshot: largest score first.
class AnomaliesBySkill {
  public:
    explicit AnomaliesBySkill(const Snapshot& snapshot) {
        for (const Anomaly& anomaly : *snapshot.anomalies) {
            by_skill_[anomaly.skill_name].push_back(&anomaly);
        }
    }
    [[nodiscard]] std::span<const Anomaly* const> of(std::string_view skill_name) const {
        const auto found = by_skill_.find(skill_name);
        return found == by_skill_.end() ? std::span<const Anomaly* const>{} : found->second;
    }

  private:
    std::unordered_map<std::string_view, std::vector<const Anomaly*>> by_skill_;
};

// The members of the schema Skill, without the braces.
void append_skill(std::string& out, const SkillMetrics& skill, const AnomaliesBySkill& anomalies) {
    append_key(out, "skill_name");
    append_string(out, skill.skill_name);
    append_key(out, "window");
    append_window(out, skill.window);
    append_key(out, "lifetime");
    append_lifetime(out, skill.lifetime);
    append_key(out, "anomalies");
    append_array(out, anomalies.of(skill.skill_name), append_anomaly);
}

char lower(char byte) {
    return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
}

bool contains(std::string_view text, std::string_view part) {
    return !std::ranges::search(text, part, {}, lower, lower).empty();
}

// The sort key as a number; nullopt if the skill has no such value.
std::optional<double> sort_value(const SkillMetrics& skill, SkillSort sort, const AnomaliesBySkill& anomalies) {
    switch (sort) {
        case SkillSort::completion_rate:
            return rate(skill.window.completed_count, skill.window.invocation_count);
        case SkillSort::avg_duration:
            return mean_duration(skill.window);
        case SkillSort::last_invocation_at:
            if (const auto last = last_invocation(skill)) {
                return static_cast<double>(last->time_since_epoch().count());
            }
            return std::nullopt;
        case SkillSort::deviation_score:
            if (const auto open = anomalies.of(skill.skill_name); !open.empty()) {
                return open.front()->deviation_score;
            }
            return std::nullopt;
        case SkillSort::total_invocations:
            return static_cast<double>(skill.lifetime.total_invocations);
        case SkillSort::skill_name:
        case SkillSort::invocation_count:
            break;
    }
    return static_cast<double>(skill.window.invocation_count);
}

struct Ranked {
    const SkillMetrics* skill;
    std::optional<double> value;
};

bool ranks_before(const Ranked& left, const Ranked& right, const SkillsRequest& request) {
    const auto& name = left.skill->skill_name;
    const auto& other = right.skill->skill_name;
    if (request.sort == SkillSort::skill_name) {
        return request.descending ? name > other : name < other;
    }
    if (left.value.has_value() != right.value.has_value()) {
        return left.value.has_value();
    }
    if (left.value != right.value) {
        return request.descending ? left.value > right.value : left.value < right.value;
    }
    return name < other;
}

// Removes paths of files.
std::string without_paths(std::string reason, const std::string& db_path) {
    if (db_path.empty()) {
        return reason;
    }
    for (const std::string& named : {" \"" + db_path + '"', db_path}) {
        for (auto at = reason.find(named); at != std::string::npos; at = reason.find(named)) {
            reason.erase(at, named.size());
        }
    }
    return reason.find('/') == std::string::npos ? reason : "the database cannot be read";
}

// Sums of the window over all skills.
void append_totals(std::string& out, const SkillTable& skills) {
    std::int64_t invocations = 0;
    std::int64_t completed = 0;
    for (std::uint32_t index = 0; index < skills.size(); ++index) {
        const auto& window = skills.at(index).window;
        invocations += window.invocation_count;
        completed += window.completed_count;
    }
    append_key(out, "invocation_count");
    append_number(out, invocations);
    append_key(out, "completed_count");
    append_number(out, completed);
}

// Lifetime sums over all skills.
void append_lifetime_totals(std::string& out, const SkillTable& skills) {
    LifetimeMetrics sum;
    for (std::uint32_t index = 0; index < skills.size(); ++index) {
        const auto& skill = skills.at(index);
        sum.total_invocations += skill.lifetime.total_invocations;
        sum.completed_invocations += skill.lifetime.completed_invocations;
        sum.last_invocation_at = std::max(sum.last_invocation_at, last_invocation(skill));
    }
    append_key(out, "lifetime");
    out += '{';
    append_key(out, "total_invocations");
    append_number(out, sum.total_invocations);
    append_key(out, "completed_invocations");
    append_number(out, sum.completed_invocations);
    append_key(out, "last_invocation_at");
    append_optional(out, sum.last_invocation_at);
    out += '}';
}

}  // namespace

std::vector<std::string_view> limits_reached(const Snapshot& snapshot) {
    std::vector<std::string_view> options;
    const auto add = [&options](std::string_view option, const TrackedNames& names) {
        if (names.rows_in_other > 0) {
            options.push_back(option);
        }
    };
    add("max_tracked_skills", snapshot.tracked_skills);
    add("max_tracked_sessions", snapshot.tracked_sessions);
    add("max_tracked_error_types", snapshot.tracked_error_types);
    return options;
}

ApiBody server_response(const Snapshot& snapshot, const Config& config, const ServerState& state) {
    ApiBody body;
    std::string& out = body.text;
    out += '{';
    append_key(out, "version");
    append_string(out, kVersion);
    append_key(out, "api_version");
    append_string(out, kApiVersion);
    append_key(out, "started_at");
    append_timestamp(out, state.started_at);
    body.volatile_begin = out.size();
    const auto at = snapshot_time(snapshot);
    append_key(out, "at");
    append_optional(out, at);
    append_key(out, "age_seconds");
    append_optional(out, at ? std::optional(std::max(Seconds(state.now - *at).count(), 0.0)) : std::nullopt);
    body.volatile_end = out.size();
    append_key(out, "update_interval_seconds");
    append_number(out, config.update_interval.count());
    append_key(out, "window_seconds");
    append_number(out, config.window.count());
    append_key(out, "anomaly_threshold");
    append_number(out, config.anomaly_threshold);
    append_key(out, "push");
    append_bool(out, config.push);
    append_key(out, "database");
    out += '{';
    append_key(out, "readable");
    append_bool(out, snapshot.database.readable);
    append_key(out, "reason");
    if (snapshot.database.readable) {
        out += "null";
    } else {
        append_string(out, without_paths(snapshot.database.reason, config.db_path));
    }
    if (state.show_path) {
        append_key(out, "path");
        append_string(out, config.db_path);
    }
    out += '}';
    append_key(out, "clients");
    append_number(out, static_cast<std::int64_t>(state.clients));
    append_key(out, "skills");
    append_number(out, static_cast<std::int64_t>(snapshot.skills->size()));
    append_totals(out, *snapshot.skills);
    append_lifetime_totals(out, *snapshot.skills);
    append_key(out, "active_sessions");
    append_number(out, static_cast<std::int64_t>(snapshot.active_sessions));
    append_key(out, "anomalies");
    append_number(out, static_cast<std::int64_t>(snapshot.anomalies->size()));
    append_key(out, "limits_reached");
    out += '[';
    for (const std::string_view option : limits_reached(snapshot)) {
        out += out.back() == '[' ? "" : ",";
        append_string(out, option);
    }
    out += "]}";
    return body;
}

std::vector<const SkillMetrics*> matching_skills(const Snapshot& snapshot, const SkillsRequest& request) {
    const AnomaliesBySkill anomalies(snapshot);
    std::vector<Ranked> ranked;
    for (std::uint32_t index = 0; index < snapshot.skills->size(); ++index) {
        const SkillMetrics& skill = snapshot.skills->at(index);
        const bool wanted = (!request.active || skill.window.invocation_count > 0) &&
                            (request.search.empty() || contains(skill.skill_name, request.search));
        if (wanted) {
            ranked.push_back({&skill, sort_value(skill, request.sort, anomalies)});
        }
    }
    std::ranges::sort(ranked,
                      [&](const Ranked& left, const Ranked& right) { return ranks_before(left, right, request); });
    std::vector<const SkillMetrics*> skills;
    skills.reserve(ranked.size());
    std::ranges::transform(ranked, std::back_inserter(skills), &Ranked::skill);
    return skills;
}

ApiBody skills_response(const Snapshot& snapshot, const SkillsRequest& request, const Sparklines* sparklines) {
    const auto skills = matching_skills(snapshot, request);
    const AnomaliesBySkill anomalies(snapshot);
    ApiBody body = begin_with_timestamp(snapshot);
    std::string& out = body.text;
    append_page(out, request.page, std::span<const SkillMetrics* const>(skills), "skills",
                [&](std::string& text, const SkillMetrics* skill) {
                    text += '{';
                    append_skill(text, *skill, anomalies);
                    if (sparklines != nullptr) {
                        append_sparkline(text, *sparklines, skill->skill_name);
                    }
                    text += '}';
                });
    out += '}';
    return body;
}

ApiBody skill_response(const Snapshot& snapshot, const SkillMetrics& skill, const SkillHistory& history) {
    ApiBody body = begin_with_timestamp(snapshot);
    std::string& out = body.text;
    append_skill(out, skill, AnomaliesBySkill(snapshot));
    append_key(out, "first_invocation_at");
    append_optional(out, history.first_invocation_at);
    append_key(out, "errors");
    append_array(out, history.errors, [](std::string& text, const ErrorTypeCount& error) {
        append_error_count(text, error.error_type, error.count);
    });
    append_key(out, "phases");
    append_array(out, history.phases, append_phase);
    out += '}';
    return body;
}

ApiBody series_response(const SeriesRequest& request, const SeriesPlan& plan,
                        const std::vector<metrics::SeriesPoint>& points) {
    ApiBody body;
    std::string& out = body.text;
    out.reserve((points.size() + 1) * kTypicalPointBytes);
    out += '{';
    append_key(out, "skill_name");
    append_or_null(out, request.skill_name, append_string);
    append_key(out, "from");
    append_timestamp(out, plan.from);
    append_key(out, "to");
    append_timestamp(out, plan.to());
    append_key(out, "step_seconds");
    append_number(out, std::int64_t{plan.step.count()});
    append_key(out, "points");
    TimePoint at = plan.from;
    append_array(out, points, [&](std::string& text, const metrics::SeriesPoint& point) {
        append_point(text, at, point);
        at += plan.step;
    });
    out += '}';
    return body;
}

ApiBody anomalies_response(const Snapshot& snapshot, const AnomaliesRequest& request,
                           std::vector<StoredEpisode> stored) {
    std::vector<EpisodeItem> episodes = merge_episodes(snapshot, request, std::move(stored));
    std::ranges::stable_sort(episodes, [&](const EpisodeItem& left, const EpisodeItem& right) {
        return request.state == EpisodeState::open ? left.stored.deviation_score > right.stored.deviation_score
                                                   : left.stored.detected_at > right.stored.detected_at;
    });
    ApiBody body = begin_with_timestamp(snapshot);
    std::string& out = body.text;
    append_page(out, request.page, std::span<const EpisodeItem>(episodes), "anomalies", append_episode);
    out += '}';
    return body;
}

ApiBody sessions_response(const Snapshot& snapshot, const SessionsRequest& request, Seconds window) {
    const auto& sessions = *snapshot.sessions;
    const auto count = std::min(sessions.size(), static_cast<std::size_t>(request.limit));
    ApiBody body = begin_with_timestamp(snapshot);
    std::string& out = body.text;
    append_key(out, "total");
    append_number(out, static_cast<std::int64_t>(snapshot.active_sessions));
    append_key(out, "window_seconds");
    append_number(out, window.count());
    append_key(out, "sessions");
    append_array(out, std::span(sessions).first(count), append_session);
    out += '}';
    return body;
}

}  // namespace session_buddy::protocol
