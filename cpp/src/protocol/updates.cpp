// Renders the messages metrics_update and session_update.
#include "session_buddy/protocol/updates.hpp"

#include <algorithm>
#include <utility>

#include "json_writer.hpp"
#include "session_buddy/protocol/entities.hpp"
#include "session_buddy/protocol/open_alerts.hpp"

namespace session_buddy::protocol {

namespace {

// Typical size of one entry, and of a message without entries: avoids repeated reallocation.
constexpr std::size_t kTypicalEntryBytes = 192;

// The order of top_skills: most invocations first, then most recent, then by name.
bool is_more_active(const SkillMetrics* left, const SkillMetrics* right) {
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

void append_top_skill(std::string& out, const SkillMetrics& skill, bool details) {
    if (details) {
        append_object<kTopSkill>(out, skill);
    } else {
        append_object<kPlainTopSkill>(out, skill);
    }
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
    append_value(out, snapshot_->at);
    out += R"(,"data":{"top_skills":)";
    append_top_skills(out, subscription);
    out += R"(,"anomalies":)";
    append_anomalies(out, subscription);
    if (subscription.anomalies().details) {
        out += R"(,"alerts":)";
        append_alerts(out, subscription);
    }
    out += "}}";
    return out;
}

void MetricsRenderer::append_top_skills(std::string& out, const Subscription& subscription) const {
    const auto& table = *snapshot_->skills;
    const bool details = subscription.anomalies().details;
    if (subscription.all()) {
        append_array(out, table.top(), [&table, details](std::string& text, std::uint32_t index) {
            append_top_skill(text, table.at(index), details);
        });
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
    std::ranges::sort(active, is_more_active);
    append_array(out, active,
                 [details](std::string& text, const SkillMetrics* skill) { append_top_skill(text, *skill, details); });
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
    if (view.details) {
        const OpenAlerts open(*snapshot_->alerts);
        append_array(out, wanted, [&open](std::string& text, const Anomaly* anomaly) {
            append_object<kAnomaly>(text, open.item(*anomaly));
        });
    } else {
        append_objects<kPlainAnomaly>(out, wanted);
    }
}

void MetricsRenderer::append_alerts(std::string& out, const Subscription& subscription) const {
    std::vector<const Alert*> wanted;
    for (const Alert& alert : *snapshot_->alerts) {
        if (subscription.all() || std::ranges::binary_search(subscription.names(), alert.skill_name)) {
            wanted.push_back(&alert);
        }
    }
    append_objects<kAlert>(out, wanted);
}

std::string metrics_update(SnapshotPtr snapshot, const Subscription& subscription) {
    return MetricsRenderer(std::move(snapshot)).render(subscription);
}

std::string session_update(const Snapshot& snapshot) {
    std::string out;
    out.reserve((snapshot.sessions->size() + 1) * kTypicalEntryBytes);
    out += R"({"type":"session_update","timestamp":)";
    append_value(out, snapshot.at);
    out += R"(,"data":{"active_sessions":)";
    append_objects<kActiveSession>(out, *snapshot.sessions);
    out += "}}";
    return out;
}

}  // namespace session_buddy::protocol
