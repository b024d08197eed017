// Conversion of parsed input to events for the store: every field, times and keys.
#include "session_buddy/app/skill_events.hpp"

#include <gtest/gtest.h>

#include <set>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::app {
namespace {

using ingest::HookEvent;
using ingest::ReportedInvocation;
using storage::SkillEvent;

const TimePoint kReceivedAt = parse_timestamp("2026-02-10T12:00:00.000001Z").value();

HookEvent hook(HookEvent::Kind kind) {
    HookEvent made;
    made.kind = kind;
    made.key = kind == HookEvent::Kind::started || kind == HookEvent::Kind::finished ? "t1" : "";
    made.skill_name = kind == HookEvent::Kind::session_end ? "" : "a";
    made.session_id = "s1";
    return made;
}

TEST(SkillEventOfHook, keeps_kind_key_names_and_time_of_receipt) {
    for (const auto& [kind, expected] : {std::pair{HookEvent::Kind::started, SkillEvent::Kind::started},
                                         std::pair{HookEvent::Kind::finished, SkillEvent::Kind::finished},
                                         std::pair{HookEvent::Kind::command, SkillEvent::Kind::command},
                                         std::pair{HookEvent::Kind::session_end, SkillEvent::Kind::session_end}}) {
        const HookEvent from = hook(kind);
        const SkillEvent made = to_skill_event(from, kReceivedAt);
        EXPECT_EQ(made.kind, expected);
        if (kind != HookEvent::Kind::command) {
            EXPECT_EQ(made.key, from.key);
        }
        EXPECT_EQ(made.at, kReceivedAt);
        EXPECT_EQ(made.record.skill_name, from.skill_name);
        EXPECT_EQ(made.record.session_id, "s1");
        EXPECT_EQ(made.record.invoked_at, "") << "the store computes it";
        EXPECT_FALSE(made.record.completed);
        EXPECT_EQ(made.record.duration_seconds, std::nullopt);
        EXPECT_EQ(made.record.error_type, std::nullopt);
    }
}

TEST(SkillEventOfHook, keeps_the_outcome_of_a_use) {
    HookEvent from = hook(HookEvent::Kind::finished);
    from.duration_seconds = 1.5;
    from.error_type = "exit_code";
    const SkillEvent failed = to_skill_event(from, kReceivedAt);
    EXPECT_EQ(failed.at, kReceivedAt) << "the time of the end, for any duration";
    EXPECT_EQ(failed.record.duration_seconds, 1.5);
    EXPECT_EQ(failed.record.error_type, "exit_code");
    from.error_type.clear();
    from.completed = true;
    EXPECT_TRUE(to_skill_event(from, kReceivedAt).record.completed);
    EXPECT_EQ(to_skill_event(from, kReceivedAt).record.error_type, std::nullopt);
}

TEST(SkillEventOfHook, gives_each_typed_command_a_unique_key) {
    std::set<std::string> keys;
    for (int i = 0; i < 1000; ++i) {
        keys.insert(to_skill_event(hook(HookEvent::Kind::command), kReceivedAt).key);
    }
    EXPECT_EQ(keys.size(), 1000U);
    for (const std::string& key : keys) {
        EXPECT_TRUE(is_valid_event_key(key));
        EXPECT_EQ(key.size(), 29U) << "\"hook:\" and 96 bits";
    }
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
    EXPECT_EQ(made.kind, SkillEvent::Kind::invocation);
    EXPECT_EQ(made.key, "k");
    EXPECT_EQ(made.record.skill_name, "deploy");
    EXPECT_EQ(made.record.session_id, "ci");
    EXPECT_TRUE(made.record.completed);
    EXPECT_EQ(made.record.invoked_at, "2026-02-10 11:00+01:00") << "as it was reported";
    EXPECT_EQ(made.record.duration_seconds, 2.5);
    EXPECT_EQ(made.record.error_type, "e");
    EXPECT_EQ(made.record.workflow_path, "w/p");
    EXPECT_EQ(made.record.workflow_phase, "p");
    EXPECT_EQ(made.record.workflow_step_id, "7");
    EXPECT_EQ(made.record.selection_rank, 3);
    EXPECT_EQ(made.record.user_query, std::nullopt);
    EXPECT_EQ(made.record.embedding, std::nullopt);
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
