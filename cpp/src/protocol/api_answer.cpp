// See api_answer.hpp.
#include "session_buddy/protocol/api_answer.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "json_figures.hpp"
#include "json_text.hpp"
#include "session_buddy/core/version.hpp"
#include "session_buddy/metrics/wilson.hpp"

namespace session_buddy::protocol {

using json_text::append_number;
using json_text::append_string;
using json_text::append_timestamp;

namespace {

constexpr std::string_view kApiVersion = "1.0";
constexpr std::size_t kUsualSkillBytes = 512;

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

// When the snapshot was taken; nothing before the first.
std::optional<TimePoint> moment_of(const Snapshot& snapshot) {
    return snapshot.sequence > 0 ? std::optional(snapshot.at) : std::nullopt;
}

ApiBody begin_with_moment(const Snapshot& snapshot) {
    ApiBody body;
    body.text += '{';
    body.varies_from = body.text.size();
    append_key(body.text, "at");
    append_optional(body.text, moment_of(snapshot));
    body.varies_to = body.text.size();
    return body;
}

std::optional<double> rate(std::int64_t part, std::int64_t whole) {
    return whole > 0 ? std::optional(static_cast<double>(part) / static_cast<double>(whole)) : std::nullopt;
}

std::optional<double> mean_duration(const WindowFigures& window) {
    return window.timed_count > 0 ? std::optional(window.avg_duration_seconds) : std::nullopt;
}

// The figures do not tell a mean of 0 from none.
std::optional<double> mean_duration(const LifetimeFigures& lifetime) {
    return lifetime.avg_duration_seconds > 0.0 ? std::optional(lifetime.avg_duration_seconds) : std::nullopt;
}

std::optional<TimePoint> last_in_window(const WindowFigures& window) {
    return window.invocation_count > 0 ? std::optional(window.last_invocation_at) : std::nullopt;
}

std::optional<TimePoint> last_invocation(const SkillFigures& skill) {
    const auto last = last_in_window(skill.window);
    return last ? last : skill.lifetime.last_invocation_at;
}

void append_window(std::string& out, const WindowFigures& window) {
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

void append_lifetime(std::string& out, const LifetimeFigures& lifetime) {
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

// Of one skill, so without its name.
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

// The anomalies of each skill that has any, in the snapshot's order, which is the largest score first.
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

// What a SKILL is made of, without its closing brace.
void append_skill(std::string& out, const SkillFigures& skill, const AnomaliesBySkill& anomalies) {
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

// The value to sort by, of whatever kind, so that larger ones are larger; nothing where there is none.
std::optional<double> sort_value(const SkillFigures& skill, SkillSort sort, const AnomaliesBySkill& anomalies) {
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
    const SkillFigures* skill;
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

// Without what would name a file.
std::string without_paths(std::string reason, const std::string& db_path) {
    for (const std::string& named : {" \"" + db_path + '"', db_path}) {
        for (auto at = reason.find(named); at != std::string::npos; at = reason.find(named)) {
            reason.erase(at, named.size());
        }
    }
    return reason.find('/') == std::string::npos ? reason : "the database cannot be read";
}

}  // namespace

ApiBody server_answer(const Snapshot& snapshot, const Config& config, const ServerState& state) {
    ApiBody body;
    std::string& out = body.text;
    out += '{';
    append_key(out, "version");
    append_string(out, kVersion);
    append_key(out, "api_version");
    append_string(out, kApiVersion);
    append_key(out, "started_at");
    append_timestamp(out, state.started_at);
    body.varies_from = out.size();
    const auto at = moment_of(snapshot);
    append_key(out, "at");
    append_optional(out, at);
    append_key(out, "age_seconds");
    append_optional(out, at ? std::optional(std::max(Seconds(state.now - *at).count(), 0.0)) : std::nullopt);
    body.varies_to = out.size();
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
    out += '}';
    append_key(out, "clients");
    append_number(out, static_cast<std::int64_t>(state.clients));
    append_key(out, "skills");
    append_number(out, static_cast<std::int64_t>(snapshot.skills->size()));
    append_key(out, "active_sessions");
    append_number(out, static_cast<std::int64_t>(snapshot.sessions->size()));
    append_key(out, "anomalies");
    append_number(out, static_cast<std::int64_t>(snapshot.anomalies->size()));
    out += '}';
    return body;
}

std::vector<const SkillFigures*> matching_skills(const Snapshot& snapshot, const SkillsRequest& request) {
    const AnomaliesBySkill anomalies(snapshot);
    std::vector<Ranked> ranked;
    for (std::uint32_t place = 0; place < snapshot.skills->size(); ++place) {
        const SkillFigures& skill = snapshot.skills->at(place);
        const bool wanted = (!request.active || skill.window.invocation_count > 0) &&
                            (request.search.empty() || contains(skill.skill_name, request.search));
        if (wanted) {
            ranked.push_back({&skill, sort_value(skill, request.sort, anomalies)});
        }
    }
    std::ranges::sort(ranked,
                      [&](const Ranked& left, const Ranked& right) { return ranks_before(left, right, request); });
    std::vector<const SkillFigures*> skills;
    skills.reserve(ranked.size());
    std::ranges::transform(ranked, std::back_inserter(skills), &Ranked::skill);
    return skills;
}

ApiBody skills_answer(const Snapshot& snapshot, const SkillsRequest& request) {
    const auto skills = matching_skills(snapshot, request);
    const AnomaliesBySkill anomalies(snapshot);
    const auto total = static_cast<std::int64_t>(skills.size());
    const auto first = std::min(request.page.offset, total);
    const auto count = std::min(request.page.limit, total - first);
    ApiBody body = begin_with_moment(snapshot);
    std::string& out = body.text;
    out.reserve(static_cast<std::size_t>(count + 1) * kUsualSkillBytes);
    append_key(out, "total");
    append_number(out, total);
    append_key(out, "limit");
    append_number(out, request.page.limit);
    append_key(out, "offset");
    append_number(out, request.page.offset);
    append_key(out, "skills");
    const auto page = std::span(skills).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    append_array(out, page, [&](std::string& text, const SkillFigures* skill) {
        text += '{';
        append_skill(text, *skill, anomalies);
        text += '}';
    });
    out += '}';
    return body;
}

ApiBody sessions_answer(const Snapshot& snapshot, const SessionsRequest& request, Seconds window) {
    const auto& sessions = *snapshot.sessions;
    const auto count = std::min(sessions.size(), static_cast<std::size_t>(request.limit));
    ApiBody body = begin_with_moment(snapshot);
    std::string& out = body.text;
    append_key(out, "total");
    append_number(out, static_cast<std::int64_t>(sessions.size()));
    append_key(out, "window_seconds");
    append_number(out, window.count());
    append_key(out, "sessions");
    append_array(out, std::span(sessions).first(count), append_session);
    out += '}';
    return body;
}

}  // namespace session_buddy::protocol
