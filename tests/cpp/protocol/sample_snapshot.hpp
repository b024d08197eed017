// Sample snapshots for tests.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::test {

inline constexpr TimePoint kNoon = std::chrono::sys_days{std::chrono::February / 10 / 2026} + std::chrono::hours{12};

/// "s7"
inline std::string numbered(std::string prefix, int number) {
    prefix += std::to_string(number);
    return prefix;
}

/// A table of these skills; the first `top` of them are the top skills.
inline std::shared_ptr<const SkillTable> table_of(const std::vector<SkillMetrics>& skills, std::size_t top = 10) {
    std::vector<SkillTable::Entry> entries;
    auto index = std::make_shared<SkillTable::Index>();
    std::vector<std::uint32_t> best;
    for (const auto& skill : skills) {
        const auto position = static_cast<std::uint32_t>(entries.size());
        index->emplace(skill.skill_name, position);
        entries.push_back(std::make_shared<SkillMetrics>(skill));
        if (best.size() < top && skill.window.invocation_count > 0) {
            best.push_back(position);
        }
    }
    return std::make_shared<SkillTable>(std::move(entries), std::move(index), std::move(best));
}

inline SkillMetrics skill(std::string name, std::int64_t count, TimePoint last = kNoon) {
    SkillMetrics result;
    result.skill_name = std::move(name);
    result.window = {count, count / 2, count > 0 ? 1.5 : 0.0, last};
    result.lifetime = {count + 100, count + 50, 2.5, last};
    return result;
}

/// Without details.
inline Anomaly anomaly(std::string skill_name, AnomalyType type, double baseline, double observed, double deviation) {
    Anomaly result;
    result.skill_name = std::move(skill_name);
    result.type = type;
    result.baseline_value = baseline;
    result.observed_value = observed;
    result.deviation_score = deviation;
    return result;
}

/// Open, with all times at kNoon.
inline Alert alert(std::string skill_name, AlertKind kind, std::int64_t id) {
    Alert result;
    result.id = id;
    result.skill_name = std::move(skill_name);
    result.kind = kind;
    result.detected_at = result.since = result.since_low = result.since_high = kNoon;
    return result;
}

/// Active only at kNoon.
inline SessionMetrics session(std::string session_id, std::int64_t invocations) {
    SessionMetrics result;
    result.session_id = std::move(session_id);
    result.first_activity_at = kNoon;
    result.last_activity_at = kNoon;
    result.invocations = invocations;
    return result;
}

/// Snapshot number `sequence` with these skills; readable, one second after the previous one.
inline std::shared_ptr<Snapshot> snapshot_of(std::uint64_t sequence, const std::vector<SkillMetrics>& skills) {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->sequence = sequence;
    snapshot->at = kNoon + std::chrono::seconds{sequence};
    snapshot->skills = table_of(skills);
    snapshot->database = {true, ""};
    return snapshot;
}

}  // namespace session_buddy::test
