// Renders the responses of the HTTP API as JSON text, and sorts, filters and pages their items.
#include "session_buddy/protocol/api_response.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <ranges>
#include <span>
#include <unordered_map>
#include <utility>

#include "json_writer.hpp"
#include "session_buddy/core/version.hpp"
#include "session_buddy/protocol/entities.hpp"
#include "session_buddy/protocol/open_alerts.hpp"

namespace session_buddy::protocol {

namespace {

constexpr std::string_view kApiVersion = "1.0";
constexpr std::size_t kTypicalPointBytes = 160;

// When the snapshot was taken; nullopt before the first cycle.
std::optional<TimePoint> snapshot_time(const Snapshot& snapshot) {
    return snapshot.sequence > 0 ? std::optional(snapshot.at) : std::nullopt;
}

ApiBody begin_with_timestamp(const Snapshot& snapshot) {
    ApiBody body;
    body.text += '{';
    body.volatile_begin = body.text.size();
    append_member(body.text, "at", snapshot_time(snapshot));
    body.volatile_end = body.text.size();
    return body;
}

// The total, and the items of the page under `key`.
template <typename Item, typename Append>
void append_page(std::string& out, const Page& page, std::span<Item> items, std::string_view key, Append append) {
    const auto total = static_cast<std::int64_t>(items.size());
    const auto first = std::min(page.offset, total);
    const auto count = std::min(page.limit, total - first);
    append_member(out, "total", total);
    append_member(out, "limit", page.limit);
    append_member(out, "offset", page.offset);
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
    append_member(out, "from", sparklines.from);
    append_member(out, "step_seconds", kHourSeconds);
    append_member(out, "invocation_count", std::views::transform(hours, &Sparklines::Hour::invocation_count));
    append_member(out, "completed_count", std::views::transform(hours, &Sparklines::Hour::completed_count));
    append_member(out, "unknown_count", std::views::transform(hours, &Sparklines::Hour::unknown_count));
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
    const OpenAlerts alerts(*snapshot.alerts);
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
            episode.current = alerts.item(**found);
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
                                .current = alerts.item(*anomaly)});
        }
    }
    return episodes;
}

bool matches(const Alert& alert, const AlertsRequest& request) {
    return (request.state == AlertState::all || (request.state == AlertState::open) == !alert.ended_at) &&
           (!request.skill_name || *request.skill_name == alert.skill_name) &&
           (!request.kind || *request.kind == alert.kind) &&
           (!request.from || !alert.ended_at || *alert.ended_at >= *request.from) &&
           (!request.to || alert.detected_at < *request.to);
}

// At most one alert of a skill and kind is open.
bool is_same(const Alert& left, const Alert& right) {
    if (left.id != 0 && right.id != 0) {
        return left.id == right.id;
    }
    return left.skill_name == right.skill_name && left.kind == right.kind &&
           (left.detected_at == right.detected_at || (!left.ended_at && !right.ended_at));
}

// Replaces the values of a stored alert that is still open by those of the last cycle, except what people have set.
void refresh(Alert& stored, const std::vector<Alert>& current) {
    const auto found = std::ranges::find_if(
        current, [&stored](const Alert& alert) { return !alert.ended_at && is_same(alert, stored); });
    if (found == current.end() || stored.ended_at) {
        return;
    }
    Alert refreshed = *found;
    refreshed.id = stored.id;
    refreshed.acknowledged_at = stored.acknowledged_at;
    refreshed.note = std::move(stored.note);
    refreshed.muted = stored.muted;
    stored = std::move(refreshed);
}

// The anomalies by skill, in the order of the snapshot: largest score first.
class AnomaliesBySkill {
  public:
    explicit AnomaliesBySkill(const Snapshot& snapshot) {
        const OpenAlerts alerts(*snapshot.alerts);
        for (const Anomaly& anomaly : *snapshot.anomalies) {
            by_skill_[anomaly.skill_name].push_back(alerts.item(anomaly));
        }
    }
    [[nodiscard]] std::span<const AnomalyItem> of(std::string_view skill_name) const {
        const auto found = by_skill_.find(skill_name);
        return found == by_skill_.end() ? std::span<const AnomalyItem>{} : found->second;
    }

  private:
    std::unordered_map<std::string_view, std::vector<AnomalyItem>> by_skill_;
};

// The members of the schema Skill, without the braces.
void append_skill(std::string& out, const SkillMetrics& skill, const AnomaliesBySkill& anomalies) {
    append_member(out, "skill_name", skill.skill_name);
    append_key(out, "window");
    append_object<kWindow>(out, skill.window);
    append_key(out, "lifetime");
    append_object<kLifetime>(out, skill.lifetime);
    append_key(out, "anomalies");
    append_objects<kOpenAnomaly>(out, anomalies.of(skill.skill_name));
}

char lower(char byte) {
    return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
}

bool contains(std::string_view text, std::string_view part) {
    return !std::ranges::search(text, part, {}, lower, lower).empty();
}

// The largest deviation of an open anomaly; nullopt without any.
std::optional<double> deviation_score(const SkillMetrics& skill, const AnomaliesBySkill& anomalies) {
    const auto open = anomalies.of(skill.skill_name);
    return open.empty() ? std::nullopt : std::optional(open.front().anomaly->deviation_score);
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
    WindowMetrics sum;
    for (std::uint32_t index = 0; index < skills.size(); ++index) {
        const auto& window = skills.at(index).window;
        sum.invocation_count += window.invocation_count;
        sum.completed_count += window.completed_count;
        sum.unknown_count += window.unknown_count;
    }
    append_member(out, "invocation_count", sum.invocation_count);
    append_member(out, "completed_count", sum.completed_count);
    append_member(out, "unknown_count", sum.unknown_count);
}

// Lifetime sums over all skills.
void append_lifetime_totals(std::string& out, const SkillTable& skills) {
    LifetimeMetrics sum;
    for (std::uint32_t index = 0; index < skills.size(); ++index) {
        const auto& skill = skills.at(index);
        sum.total_invocations += skill.lifetime.total_invocations;
        sum.completed_invocations += skill.lifetime.completed_invocations;
        sum.unknown_invocations += skill.lifetime.unknown_invocations;
        sum.last_invocation_at = std::max(sum.last_invocation_at, last_invocation(skill));
    }
    append_key(out, "lifetime");
    append_object<kLifetimeSums>(out, sum);
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
    append_member(out, "version", kVersion);
    append_member(out, "api_version", kApiVersion);
    append_member(out, "started_at", state.started_at);
    body.volatile_begin = out.size();
    const auto at = snapshot_time(snapshot);
    append_member(out, "at", at);
    append_member(out, "age_seconds",
                  at ? std::optional(std::max(Seconds(state.now - *at).count(), 0.0)) : std::nullopt);
    body.volatile_end = out.size();
    append_member(out, "update_interval_seconds", config.update_interval.count());
    append_member(out, "window_seconds", config.window.count());
    append_member(out, "anomaly_threshold", config.anomaly_threshold);
    append_member(out, "push", config.push);
    append_key(out, "database");
    const auto& database = snapshot.database;
    out += '{';
    append_member(out, "readable", database.readable);
    append_member(out, "reason",
                  database.readable ? std::nullopt : std::optional(without_paths(database.reason, config.db_path)));
    if (state.show_path) {
        append_member(out, "path", config.db_path);
    }
    out += '}';
    append_member(out, "clients", state.clients);
    append_member(out, "skills", snapshot.skills->size());
    append_totals(out, *snapshot.skills);
    append_lifetime_totals(out, *snapshot.skills);
    append_member(out, "active_sessions", snapshot.active_sessions);
    append_member(out, "anomalies", snapshot.anomalies->size());
    append_member(out, "limits_reached", limits_reached(snapshot));
    out += '}';
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
            ranked.push_back({&skill, request.sort == SkillSort::deviation_score ? deviation_score(skill, anomalies)
                                                                                 : sort_value(skill, request.sort)});
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

ApiBody groups_response(const Snapshot& snapshot, const GroupsRequest& request) {
    auto groups = skill_groups(*snapshot.skills);
    if (request.active) {
        std::erase_if(groups, [](const SkillGroup& group) { return group.window.invocation_count == 0; });
    }
    ApiBody body = begin_with_timestamp(snapshot);
    std::string& out = body.text;
    append_page(out, request.page, std::span<const SkillGroup>(groups), "groups", append_object<kGroup, SkillGroup>);
    out += '}';
    return body;
}

ApiBody skill_response(const Snapshot& snapshot, const SkillMetrics& skill, const SkillHistory& history) {
    ApiBody body = begin_with_timestamp(snapshot);
    std::string& out = body.text;
    append_skill(out, skill, AnomaliesBySkill(snapshot));
    append_member(out, "first_invocation_at", history.first_invocation_at);
    append_key(out, "errors");
    append_objects<kErrorCount>(out, history.errors);
    append_key(out, "phases");
    append_objects<kPhase>(out, history.phases);
    out += '}';
    return body;
}

ApiBody series_response(const SeriesRequest& request, const SeriesPlan& plan,
                        const std::vector<metrics::SeriesPoint>& points) {
    ApiBody body;
    std::string& out = body.text;
    out.reserve((points.size() + 1) * kTypicalPointBytes);
    out += '{';
    append_member(out, "skill_name", request.skill_name);
    append_member(out, "from", plan.from);
    append_member(out, "to", plan.to());
    append_member(out, "step_seconds", plan.step.count());
    append_key(out, "points");
    TimePoint at = plan.from;
    append_array(out, points, [&](std::string& text, const metrics::SeriesPoint& point) {
        append_object<kPoint>(text, SeriesItem{at, point});
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
    append_page(out, request.page, std::span<const EpisodeItem>(episodes), "anomalies",
                append_object<kEpisode, EpisodeItem>);
    out += '}';
    return body;
}

std::vector<const Alert*> unstored_alerts(const Snapshot& snapshot, const AlertsRequest& request) {
    std::vector<const Alert*> unstored;
    for (const Alert& alert : *snapshot.alerts) {
        if (alert.id == 0 && matches(alert, request)) {
            unstored.push_back(&alert);
        }
    }
    return unstored;
}

ApiBody alerts_response(const Snapshot& snapshot, const AlertsRequest& request, std::string_view budget,
                        AlertPage stored) {
    const auto unstored = unstored_alerts(snapshot, request);
    const auto skipped = static_cast<std::size_t>(std::min<std::int64_t>(request.page.offset, std::ssize(unstored)));
    std::vector<Alert> alerts;
    std::int64_t total = stored.total;
    for (std::size_t i = 0; i < unstored.size(); ++i) {
        // A cycle may have stored it after the snapshot.
        if (std::ranges::any_of(stored.alerts, [&](const Alert& alert) { return is_same(alert, *unstored[i]); })) {
            continue;
        }
        ++total;
        if (i >= skipped) {
            alerts.push_back(*unstored[i]);
        }
    }
    for (Alert& alert : stored.alerts) {
        refresh(alert, *snapshot.alerts);
        alerts.push_back(std::move(alert));
    }
    alerts.resize(std::min(alerts.size(), static_cast<std::size_t>(request.page.limit)));
    ApiBody body = begin_with_timestamp(snapshot);
    std::string& out = body.text;
    append_member(out, "budget", budget);
    append_member(out, "total", total);
    append_member(out, "limit", request.page.limit);
    append_member(out, "offset", request.page.offset);
    append_key(out, "alerts");
    append_objects<kAlert>(out, alerts);
    append_key(out, "mutes");
    append_objects<kMute>(out, stored.mutes);
    out += '}';
    return body;
}

std::string command_response(const Alert& acknowledged) {
    std::string out;
    append_object<kAlert>(out, acknowledged);
    return out;
}

std::string command_response(const Mute& mute) {
    std::string out;
    append_object<kMute>(out, mute);
    return out;
}

std::string command_response(Unmuted /*unmuted*/) {
    return R"({"removed":true})";
}

ApiBody sessions_response(const Snapshot& snapshot, const SessionsRequest& request, Seconds window) {
    const auto& sessions = *snapshot.sessions;
    const auto count = std::min(sessions.size(), static_cast<std::size_t>(request.limit));
    ApiBody body = begin_with_timestamp(snapshot);
    std::string& out = body.text;
    append_member(out, "total", snapshot.active_sessions);
    append_member(out, "window_seconds", window.count());
    append_key(out, "sessions");
    append_objects<kActiveSession>(out, std::span(sessions).first(count));
    out += '}';
    return body;
}

}  // namespace session_buddy::protocol
