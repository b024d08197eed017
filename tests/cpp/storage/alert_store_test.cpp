// Stored alerts: what the detector's writes change and what they leave to people, commands, filters and pages.
#include "session_buddy/storage/alert_store.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "session_buddy/core/alert_command.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/pruner.hpp"
#include "storage/alert_rows.hpp"
#include "storage/side_tables.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

Alert plain_alert(const std::string& skill_name, TimePoint detected_at,
                  AlertKind kind = AlertKind::completion_rate_fell) {
    Alert alert;
    alert.skill_name = skill_name;
    alert.kind = kind;
    alert.detected_at = detected_at;
    alert.since = detected_at - minutes{30};
    alert.since_low = detected_at - minutes{40};
    alert.since_high = detected_at - minutes{20};
    alert.before = {.value = 0.98, .low = 0.97, .high = 0.99, .samples = 812};
    alert.after = {.value = 0.5, .low = 0.25, .high = 0.75, .samples = 20};
    alert.once_in_seconds = 24192000.5;
    alert.failures_in_a_row = 7;
    alert.errors = {{.error_type = "timeout", .before = 0.01, .after = 0.2, .count = 9}};
    alert.session_id = "s1";
    alert.session_share = 0.6;
    alert.sessions = 4;
    return alert;
}

class Alerts : public testing::Test {
  protected:
    void SetUp() override {
        database = open_database(path, {.busy_timeout = milliseconds{50}});
        database->exec(test::insertion("a", "2020-01-01") + test::insertion("b", "2020-01-01"));
    }
    void write(const std::vector<Alert>& alerts) {
        create_side_tables(*database, SideTable::Group::state);
        create_side_tables(*database, SideTable::Group::alerts);
        AlertRowWriter(*database).write(alerts);
    }
    std::vector<Alert> all() { return read({}).alerts; }
    AlertPage read(const AlertFilter& filter) { return read_alerts(path, filter, now, milliseconds{50}); }
    std::string changes() {
        return test::query_one(path, "SELECT value FROM session_buddy_state WHERE key = 'alert_changes'");
    }

    const TimePoint now = test::at("2026-02-10T12:00:00Z");
    test::TempDir dir;
    std::string path = dir.file("skills.db");
    std::unique_ptr<SQLite::Database> database;
    AlertStore store{path, milliseconds{50}};
};

TEST_F(Alerts, of_a_database_without_any_are_an_empty_page) {
    EXPECT_EQ(read({}), AlertPage{});
    EXPECT_EQ(store.acknowledge(1, "", now), std::nullopt);
    EXPECT_FALSE(store.unmute("a", now));
    EXPECT_FALSE(sql::has_table(*database, "session_buddy_alert")) << "nothing was written";
}

TEST_F(Alerts, are_read_as_they_were_written) {
    Alert open = plain_alert("a", now);
    Alert ended = plain_alert("b", now - minutes{60}, AlertKind::duration_rose);
    ended.ended_at = now - minutes{1};
    ended.end = AlertEnd::recovered;
    ended.errors.clear();
    ended.session_id.clear();
    write({open, ended});
    open.id = 1;
    ended.id = 2;
    EXPECT_EQ(all(), (std::vector<Alert>{open, ended}));
}

TEST_F(Alerts, that_two_servers_write_are_stored_once_and_count_as_one_change) {
    Alert alert = plain_alert("a", now);
    write({alert});
    write({alert});
    EXPECT_EQ(all().size(), 1U);
    EXPECT_EQ(changes(), "1");
    alert.after.samples = 40;
    write({alert});
    EXPECT_EQ(all().front().after.samples, 40);
    EXPECT_EQ(changes(), "2");
}

TEST_F(Alerts, that_ended_are_not_opened_again_by_a_server_that_lags_behind) {
    const Alert alert = plain_alert("a", now);
    Alert ended = alert;
    ended.ended_at = now + minutes{5};
    ended.end = AlertEnd::recovered;
    const Alert next = plain_alert("a", now + minutes{10});
    write({alert});
    write({ended});
    write({next});
    write({alert});
    write({ended});
    const auto stored = all();
    ASSERT_EQ(stored.size(), 2U);
    EXPECT_EQ(stored[0].detected_at, next.detected_at);
    EXPECT_EQ(stored[0].ended_at, std::nullopt);
    EXPECT_EQ(stored[1].ended_at, ended.ended_at);
}

TEST_F(Alerts, that_are_found_again_at_another_time_stay_one_alert_and_acknowledged) {
    write({plain_alert("a", now)});
    ASSERT_TRUE(store.acknowledge(1, "known", now));
    write({plain_alert("a", now + minutes{3})});
    const auto stored = all();
    ASSERT_EQ(stored.size(), 1U);
    EXPECT_EQ(stored[0].detected_at, now + minutes{3});
    EXPECT_EQ(stored[0].note, "known");
}

TEST_F(Alerts, of_skills_that_are_gone_are_not_written) {
    write({plain_alert("gone", now)});
    EXPECT_TRUE(all().empty());
}

TEST_F(Alerts, keep_their_acknowledgement_when_the_detector_writes_them_again) {
    Alert alert = plain_alert("a", now);
    write({alert});
    const auto acknowledged = store.acknowledge(1, "known", now + minutes{1});
    ASSERT_TRUE(acknowledged);
    EXPECT_EQ(acknowledged->acknowledged_at, now + minutes{1});
    alert.after.samples = 40;
    write({alert});
    EXPECT_EQ(all().front().note, "known");
    ASSERT_TRUE(store.acknowledge(1, "", now + minutes{2}));
    EXPECT_EQ(all().front().note, "");
    EXPECT_EQ(all().front().acknowledged_at, now + minutes{2});
}

TEST_F(Alerts, are_marked_as_muted_until_the_mute_ends_or_is_removed) {
    write({plain_alert("a", now), plain_alert("b", now)});
    const Mute mute = store.mute("a", now + minutes{1}, "upgrade", now - minutes{1});
    EXPECT_EQ(mute,
              (Mute{.skill_name = "a", .muted_at = now - minutes{1}, .until = now + minutes{1}, .reason = "upgrade"}));
    EXPECT_EQ(read({.skill_name = "a"}).mutes, std::vector{mute});
    EXPECT_TRUE(read({.skill_name = "a"}).alerts.at(0).muted);
    EXPECT_FALSE(read({.skill_name = "b"}).alerts.at(0).muted);
    EXPECT_FALSE(read_alerts(path, {.skill_name = "a"}, now + minutes{1}, milliseconds{50}).alerts.at(0).muted);
    EXPECT_FALSE(store.unmute("a", now + minutes{1})) << "it is over";
    store.mute("a", std::nullopt, "", now);
    EXPECT_TRUE(store.unmute("a", now));
    EXPECT_FALSE(store.unmute("a", now));
    EXPECT_TRUE(read({}).mutes.empty());
}

TEST_F(Alerts, can_be_filtered_and_paged) {
    Alert ended = plain_alert("a", now - minutes{60}, AlertKind::duration_rose);
    ended.ended_at = now - minutes{50};
    ended.end = AlertEnd::accepted;
    write({ended, plain_alert("a", now - minutes{20}), plain_alert("b", now - minutes{10})});
    const auto count = [&](const AlertFilter& filter) { return read(filter).total; };
    EXPECT_EQ(count({.open = true}), 2);
    EXPECT_EQ(count({.open = false}), 1);
    EXPECT_EQ(count({.skill_name = "a"}), 2);
    EXPECT_EQ(count({.kind = AlertKind::duration_rose}), 1);
    EXPECT_EQ(count({.from = now - minutes{50}}), 3);
    EXPECT_EQ(count({.from = now - minutes{49}}), 2) << "open ones have not ended";
    EXPECT_EQ(count({.to = now - minutes{20}}), 1);
    const AlertPage page = read({.limit = 1, .offset = 1});
    EXPECT_EQ(page.total, 3);
    ASSERT_EQ(page.alerts.size(), 1U);
    EXPECT_EQ(page.alerts[0].skill_name, "a");
}

TEST_F(Alerts, with_an_explanation_of_another_program_are_left_out) {
    write({plain_alert("a", now), plain_alert("b", now)});
    database->exec("UPDATE session_buddy_alert SET explanation = '{}' WHERE skill_name = 'a'");
    EXPECT_EQ(all().size(), 1U);
}

TEST_F(Alerts, reject_texts_and_names_that_are_not_valid) {
    EXPECT_THROW(store.acknowledge(1, std::string(kMaxAlertNote + 1, 'x'), now), StorageError);
    EXPECT_THROW(store.mute("a", {}, std::string(kMaxAlertNote + 1, 'x'), now), StorageError);
    EXPECT_THROW(store.acknowledge(1, "\x1b[1m", now), StorageError);
    EXPECT_THROW(store.mute("a", {}, "a\nb", now), StorageError);
    EXPECT_THROW(store.mute("", {}, "", now), StorageError);
}

TEST_F(Alerts, of_a_locked_database_are_not_changed) {
    write({plain_alert("a", now)});
    database->exec("BEGIN IMMEDIATE");
    try {
        static_cast<void>(store.acknowledge(1, "", now));
        FAIL() << "it is locked";
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::busy);
    }
    database->exec("ROLLBACK");
    EXPECT_TRUE(store.acknowledge(1, "", now));
}

TEST_F(Alerts, keep_an_acknowledgement_that_only_a_removed_log_has) {
    write({plain_alert("a", now)});
    database->exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.reset();
    ASSERT_TRUE(store.acknowledge(1, "known", now));
    ASSERT_TRUE(std::filesystem::remove(path + "-wal"));
    EXPECT_FALSE(store.unmute("b", now)) << "the next command notices it";
    EXPECT_EQ(all().at(0).note, "known");
}

TEST_F(Alerts, that_ended_before_the_cutoff_are_pruned) {
    Alert old = plain_alert("a", now - std::chrono::days{20});
    old.ended_at = now - std::chrono::days{19};
    old.end = AlertEnd::recovered;
    Alert recent = plain_alert("a", now - std::chrono::days{8});
    recent.ended_at = now - std::chrono::days{3};
    recent.end = AlertEnd::recovered;
    write({old, recent, plain_alert("b", now - std::chrono::days{30})});
    Pruner pruner(path, prune_cutoff(now, std::chrono::days{7}), milliseconds{50});
    while (pruner.step(now)) {
    }
    const auto left = all();
    ASSERT_EQ(left.size(), 2U);
    EXPECT_EQ(left[0].detected_at, recent.detected_at);
    EXPECT_EQ(left[1].ended_at, std::nullopt) << "an open one stays, however old";
}

TEST_F(Alerts, and_mutes_follow_a_renamed_skill_and_go_with_a_forgotten_one) {
    write({plain_alert("a", now)});
    store.mute("a", {}, "", now);
    rename_in_side_tables(*database, "a", "c");
    EXPECT_EQ(all().at(0).skill_name, "c");
    EXPECT_TRUE(all().at(0).muted);
    forget_in_side_tables(*database, "c");
    EXPECT_EQ(read({}), AlertPage{});
}

}  // namespace
}  // namespace session_buddy::storage
