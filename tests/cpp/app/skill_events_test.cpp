// Conversion of parsed input to events for the store: every field, times and keys.
#include "session_buddy/app/skill_events.hpp"

#include <gtest/gtest.h>

#include <set>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::app {
namespace {

using ingest::AgentEvent;
using ingest::ReportedInvocation;
using storage::SkillEvent;

const TimePoint kReceivedAt = parse_timestamp("2026-02-10T12:00:00.000001Z").value();

AgentEvent event(AgentEvent::Kind kind) {
    AgentEvent made;
    made.kind = kind;
    made.key = kind == AgentEvent::Kind::use ? "t1" : "";
    made.skill_name = kind == AgentEvent::Kind::session_end ? "" : "a";
    made.session_id = "s1";
    made.at = kReceivedAt;
    made.evidence.started = {.source = EvidenceSource::hook, .value = kReceivedAt};
    return made;
}

TEST(SkillEventOfAgent, keeps_kind_key_names_time_and_evidence) {
    for (const auto& [kind, expected] : {std::pair{AgentEvent::Kind::use, SkillEvent::Kind::use},
                                         std::pair{AgentEvent::Kind::command, SkillEvent::Kind::command},
                                         std::pair{AgentEvent::Kind::session_end, SkillEvent::Kind::session_end}}) {
        const AgentEvent from = event(kind);
        const SkillEvent made = to_skill_event(from);
        EXPECT_EQ(made.kind, expected);
        if (kind != AgentEvent::Kind::command) {
            EXPECT_EQ(made.key, from.key);
        }
        EXPECT_EQ(made.at, kReceivedAt);
        EXPECT_EQ(made.record.skill_name, from.skill_name);
        EXPECT_EQ(made.record.session_id, "s1");
        EXPECT_EQ(made.evidence, from.evidence);
    }
}

TEST(SkillEventOfAgent, gives_each_typed_command_without_a_key_a_unique_one) {
    std::set<std::string> keys;
    for (int i = 0; i < 1000; ++i) {
        keys.insert(to_skill_event(event(AgentEvent::Kind::command)).key);
    }
    EXPECT_EQ(keys.size(), 1000U);
    for (const std::string& key : keys) {
        EXPECT_TRUE(is_valid_event_key(key));
        EXPECT_EQ(key.size(), 29U) << "\"hook:\" and 96 bits";
    }
    AgentEvent known = event(AgentEvent::Kind::command);
    known.key = "prompt:1";
    EXPECT_EQ(to_skill_event(known).key, "prompt:1");
}

TEST(SkillEventOfReport, keeps_every_field) {
    const SkillEvent made = to_skill_event(ReportedInvocation{.key = "k",
                                                              .skill_name = "deploy",
                                                              .session_id = "ci",
                                                              .completed = true,
                                                              .invoked_at = "2026-02-10 11:00+01:00",
                                                              .duration_seconds = 2.5,
                                                              .error_type = "e",
                                                              .workflow_path = "w/p",
                                                              .workflow_phase = "p",
                                                              .workflow_step_id = "7",
                                                              .selection_rank = 3},
                                           kReceivedAt);
    EXPECT_EQ(made.kind, SkillEvent::Kind::use);
    EXPECT_EQ(made.key, "k");
    EXPECT_EQ(made.record.skill_name, "deploy");
    EXPECT_EQ(made.record.session_id, "ci");
    EXPECT_EQ(made.evidence.started.source, EvidenceSource::report);
    const Resolution resolved = resolve(made.evidence, made.at);
    EXPECT_EQ(resolved.outcome, Outcome::completed);
    EXPECT_EQ(resolved.invoked_at, parse_timestamp("2026-02-10T10:00:00Z"));
    EXPECT_EQ(resolved.duration_seconds, 2.5);
    EXPECT_FALSE(resolved.is_upper_bound);
    EXPECT_EQ(resolved.error_type, "e");
    EXPECT_EQ(made.record.workflow_path, "w/p");
    EXPECT_EQ(made.record.workflow_phase, "p");
    EXPECT_EQ(made.record.workflow_step_id, "7");
    EXPECT_EQ(made.record.selection_rank, 3);
    EXPECT_EQ(made.record.user_query, std::nullopt);
    EXPECT_EQ(made.record.embedding, std::nullopt);
}

TEST(SkillEventOfReport, with_an_unknown_outcome_claims_none) {
    ReportedInvocation report;
    report.skill_name = "deploy";
    report.completed = true;
    report.outcome_is_unknown = true;
    report.duration_seconds = 2.0;
    const SkillEvent made = to_skill_event(std::move(report), kReceivedAt);
    EXPECT_FALSE(made.evidence.result.outcome.exists());
    EXPECT_TRUE(made.evidence.is_settled());
    EXPECT_EQ(resolve(made.evidence, made.at).outcome, Outcome::unknown);
    EXPECT_EQ(resolve(made.evidence, made.at).duration_seconds, 2.0);
}

TEST(SkillEventOfReport, started_a_duration_before_it_was_reported) {
    const auto at = [](std::optional<double> duration) {
        ReportedInvocation report;
        report.duration_seconds = duration;
        return to_skill_event(report, kReceivedAt).at;
    };
    EXPECT_EQ(at(std::nullopt), kReceivedAt);
    EXPECT_EQ(at(0.0), kReceivedAt);
    EXPECT_EQ(at(2.5), kReceivedAt - std::chrono::milliseconds(2500));
    EXPECT_EQ(at(86'400.0), kReceivedAt - std::chrono::hours(24));
    EXPECT_EQ(at(1e308), kReceivedAt) << "not representable as a date";
}

}  // namespace
}  // namespace session_buddy::app
