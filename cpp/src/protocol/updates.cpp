// Renders the messages metrics_update and session_update.
#include "session_buddy/protocol/updates.hpp"

#include <algorithm>
#include <utility>

#include "json_metrics.hpp"
#include "json_text.hpp"

namespace session_buddy::protocol {

using json_text::append_number;
using json_text::append_string;
using json_text::append_timestamp;

namespace {

// Typical size of one entry, and of a message without entries: avoids repeated reallocation.
constexpr std::size_t kTypicalEntryBytes = 192;

void append_skill(std::string& out, const SkillMetrics& skill) {
    out += R"({"skill_name":)";
    append_string(out, skill.skill_name);
    out += R"(,"invocation_count":)";
    append_number(out, skill.window.invocation_count);
    out += R"(,"completed_count":)";
    append_number(out, skill.window.completed_count);
    out += R"(,"avg_duration":)";
    append_number(out, skill.window.avg_duration_seconds);
    out += R"(,"last_invocation_at":)";
    append_timestamp(out, skill.window.last_invocation_at);
    out += '}';
}

void append_anomaly(std::string& out, const Anomaly& anomaly, bool details) {
    out += R"({"skill_name":)";
    append_string(out, anomaly.skill_name);
    out += R"(,"anomaly_type":)";
    append_string(out, to_string(anomaly.type));
    out += R"(,"baseline_value":)";
    append_number(out, anomaly.baseline_value);
    out += R"(,"observed_value":)";
    append_number(out, anomaly.observed_value);
    out += R"(,"deviation_score":)";
    append_number(out, anomaly.deviation_score);
    if (details) {
        out += R"(,"details":)";
        append_details(out, anomaly);
    }
    out += '}';
}

// The order of top_skills: most invocations first, then most recent, then by name.
bool ranks_before(const SkillMetrics* left, const SkillMetrics* right) {
    const auto& a = left->window;
    const auto& b = right->window;
    if (a.invocation_count != b.invocation_count) {
        return a.invocation_count > b.invocation_count;
    }
    if (a.last_invocation_at != b.last_invocation_at) {
        return a.last_invocation_at > b.last_invocation_at;
    }
    return left->skill_name < right->skill_name;
}

}  // namespace

MetricsRenderer::MetricsRenderer(SnapshotPtr snapshot) : snapshot_(std::move(snapshot)) {
    const auto& anomalies = *snapshot_->anomalies;
    for (std::size_t i = 0; i < anomalies.size(); ++i) {
        anomalies_by_skill_[anomalies[i].skill_name].push_back(i);
    }
}

std::string MetricsRenderer::render(const Subscription& subscription) const {
    const std::size_t skills = subscription.all() ? snapshot_->skills->top().size() : subscription.names().size();
    std::string out;
    out.reserve((skills + 1) * kTypicalEntryBytes);
    out += R"({"type":"metrics_update","timestamp":)";
    append_timestamp(out, snapshot_->at);
    out += R"(,"data":{"top_skills":)";
    append_top_skills(out, subscription);
    out += R"(,"anomalies":)";
    append_anomalies(out, subscription);
    out += "}}";
    return out;
}

void MetricsRenderer::append_top_skills(std::string& out, const Subscription& subscription) const {
    const auto& table = *snapshot_->skills;
    if (subscription.all()) {
        append_array(out, table.top(),
                     [&table](std::string& text, std::uint32_t index) { append_skill(text, table.at(index)); });
        return;
    }
    std::vector<const SkillMetrics*> active;
    active.reserve(subscription.names().size());
    for (const auto& name : subscription.names()) {
        const auto* skill = table.find(name);
        if (skill != nullptr && skill->window.invocation_count > 0) {
            active.push_back(skill);
        }
    }
    std::ranges::sort(active, ranks_before);
    append_array(out, active, [](std::string& text, const SkillMetrics* skill) { append_skill(text, *skill); });
}

void MetricsRenderer::append_anomalies(std::string& out, const Subscription& subscription) const {
    const auto& anomalies = *snapshot_->anomalies;
    const AnomalyView& view = subscription.anomalies();
    std::vector<const Anomaly*> wanted;
    const auto consider = [&](const Anomaly& anomaly) {
        if (!(anomaly.deviation_score < view.min_deviation)) {
            wanted.push_back(&anomaly);
        }
    };
    if (subscription.all()) {
        std::ranges::for_each(anomalies, consider);
    } else {
        for (const auto& name : subscription.names()) {
            if (const auto found = anomalies_by_skill_.find(name); found != anomalies_by_skill_.end()) {
                std::ranges::for_each(found->second, [&](std::size_t index) { consider(anomalies[index]); });
            }
        }
        // Restores the order of the snapshot, largest score first: all pointers are into one array.
        std::ranges::sort(wanted);
    }
    append_array(out, wanted,
                 [&view](std::string& text, const Anomaly* anomaly) { append_anomaly(text, *anomaly, view.details); });
}

std::string metrics_update(SnapshotPtr snapshot, const Subscription& subscription) {
    return MetricsRenderer(std::move(snapshot)).render(subscription);
}

std::string session_update(const Snapshot& snapshot) {
    std::string out;
    out.reserve((snapshot.sessions->size() + 1) * kTypicalEntryBytes);
    out += R"({"type":"session_update","timestamp":)";
    append_timestamp(out, snapshot.at);
    out += R"(,"data":{"active_sessions":)";
    append_array(out, *snapshot.sessions, append_session);
    out += "}}";
    return out;
}

}  // namespace session_buddy::protocol
