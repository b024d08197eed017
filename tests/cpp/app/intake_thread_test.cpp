// The ingestion thread: each request is answered exactly once, also after errors, and never reported as stored if it is
// not.
#include "session_buddy/app/intake_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "session_buddy/core/log.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"
#include "support/arrivals.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

using nlohmann::json;
using server::HttpReply;
using server::IntakeRequest;
using testing::ElementsAre;
using testing::Not;

/// The answers to one request; there must be exactly one.
class Reply {
  public:
    void operator()(HttpReply response) { responses_.push(std::move(response)); }
    HttpReply wait() { return responses_.first(); }
    [[nodiscard]] std::size_t count() { return responses_.size(); }

  private:
    test::Arrivals<HttpReply> responses_;
};

std::string hook(const std::string& name, const std::string& key) {
    return json{{"hook_event_name", name}, {"session_id", "s1"}, {"tool_name", "Read"}, {"tool_use_id", key}}.dump();
}

std::string report(const std::string& skill, const std::string& key = "") {
    json made{{"skill_name", skill}, {"session_id", "s1"}, {"completed", true}};
    if (!key.empty()) {
        made["key"] = key;
    }
    return made.dump();
}

/// The write lock, held by another program while this is in scope.
class Locked {
  public:
    explicit Locked(const std::string& path) : database_(path, SQLite::OPEN_READWRITE, 5000) {
        database_.exec("BEGIN IMMEDIATE");
    }

  private:
    SQLite::Database database_;
};

class IntakeTest : public testing::Test {
  protected:
    IntakeTest() {
        config.db_path = path;
        config.busy_timeout = Seconds{0.3};
        static_cast<void>(storage::open_database(path, {}));
        log::set_sink([](const log::Record&) {});
    }
    ~IntakeTest() override {
        intake.reset();
        log::reset_sink();
        for (const auto& reply : replies) {
            EXPECT_EQ(reply->count(), 1U) << "each request is answered once";
        }
    }
    void make() { intake = std::make_unique<IntakeThread>(config, clock); }
    void start() {
        make();
        intake->start();
    }
    Reply& send(IntakeRequest::Kind kind, std::string body, std::string type = "application/json") {
        const auto reply = std::make_shared<Reply>();
        replies.push_back(reply);
        intake->submit({.kind = kind, .content_type = std::move(type), .body = std::move(body)},
                       [reply](HttpReply response) { (*reply)(std::move(response)); });
        return *reply;
    }
    Reply& send_hook(std::string body) { return send(IntakeRequest::Kind::hook, std::move(body)); }
    Reply& send_report(std::string body) { return send(IntakeRequest::Kind::invocations, std::move(body)); }
    [[nodiscard]] std::string rows() const { return test::query_one(path, "SELECT count(*) FROM skill_invocation"); }
    [[nodiscard]] std::size_t spooled() const {
        std::size_t count = 0;
        if (std::filesystem::exists(path + "-spool")) {
            for (const auto& entry : std::filesystem::directory_iterator(path + "-spool")) {
                count += entry.path().extension() == ".json" ? 1U : 0U;
            }
        }
        return count;
    }

    test::TempDir dir;
    std::string path = dir.file("skills.db");
    Config config;
    test::ManualClock clock{parse_timestamp("2026-02-10T12:00:00Z").value()};
    std::vector<std::shared_ptr<Reply>> replies;
    std::unique_ptr<IntakeThread> intake;
};

TEST_F(IntakeTest, requests_before_the_start_are_queued) {
    make();
    Reply& hooked = send_hook(hook("PostToolUse", "t1"));
    Reply& reported = send_report(report("a"));
    EXPECT_EQ(hooked.count() + reported.count(), 0U);
    intake->start();
    EXPECT_EQ(hooked.wait().status, 202U);
    EXPECT_EQ(reported.wait().status, 202U);
    EXPECT_EQ(rows(), "2");
}

TEST_F(IntakeTest, rejects_requests_that_were_never_started_or_come_after_a_stop) {
    make();
    std::vector<Reply*> sent{&send_hook(hook("PostToolUse", "t1")), &send_report(report("a"))};
    intake->stop();
    intake->stop();
    sent.push_back(&send_hook(hook("PostToolUse", "t2")));
    sent.push_back(&send_report(report("b")));
    sent.push_back(&send_report("junk"));
    for (Reply* reply : sent) {
        ASSERT_EQ(reply->count(), 1U) << "immediately";
        EXPECT_EQ(reply->wait().status, 503U);
        EXPECT_THAT(reply->wait().headers, ElementsAre(std::pair("Retry-After", "2")));
        EXPECT_EQ(json::parse(reply->wait().body).at("error"), "database_unavailable");
    }
}

TEST_F(IntakeTest, a_stop_answers_queued_requests_and_reports_stored_only_what_is_stored) {
    start();
    std::unique_ptr<Locked> lock = std::make_unique<Locked>(path);
    for (int i = 0; i < 20; ++i) {
        send_hook(hook("PostToolUse", "t" + std::to_string(i)));
        send_report(report("r" + std::to_string(i)));
    }
    intake->stop();
    lock.reset();
    std::size_t rejected = 0;
    std::size_t stored = 0;
    for (const auto& reply : replies) {
        ASSERT_EQ(reply->count(), 1U);
        const auto status = reply->wait().status;
        EXPECT_TRUE(status == 202U || status == 503U) << status;
        stored += status == 202U ? 1U : 0U;
        rejected += status == 503U ? 1U : 0U;
    }
    EXPECT_EQ(rejected, 20U) << "reports are rejected while the database is locked";
    EXPECT_EQ(stored, 20U) << "hook events are spooled";
    EXPECT_EQ(spooled(), 20U);
    EXPECT_EQ(rows(), "0");
    start();
    send_hook(hook("PreToolUse", "next")).wait();
    EXPECT_EQ(rows(), "20");
    EXPECT_EQ(spooled(), 0U);
}

TEST_F(IntakeTest, answers_each_request_once_during_a_concurrent_stop) {
    for (int round = 0; round < 10; ++round) {
        start();
        std::mutex mutex;
        std::vector<std::shared_ptr<Reply>> sent;
        std::vector<std::thread> threads;
        for (int sender = 0; sender < 3; ++sender) {
            threads.emplace_back([&, sender] {
                for (int i = 0; i < 50; ++i) {
                    const auto reply = std::make_shared<Reply>();
                    {
                        const std::scoped_lock lock(mutex);
                        sent.push_back(reply);
                    }
                    intake->submit({.kind = IntakeRequest::Kind::invocations,
                                    .content_type = "application/json",
                                    .body = report("a", std::to_string(round) + '-' + std::to_string(sender) + '-' +
                                                            std::to_string(i))},
                                   [reply](HttpReply response) { (*reply)(std::move(response)); });
                }
            });
        }
        intake->stop();
        for (auto& thread : threads) {
            thread.join();
        }
        replies.insert(replies.end(), sent.begin(), sent.end());
    }
    std::size_t stored = 0;
    for (const auto& reply : replies) {
        ASSERT_EQ(reply->count(), 1U);
        stored += reply->wait().status == 202U ? 1U : 0U;
    }
    EXPECT_EQ(rows(), std::to_string(stored));
}

/// Number of commits in the WAL: each ends with a frame that contains the size of the database.
std::size_t commits_in(const std::string& log) {
    constexpr std::size_t kHeader = 32;
    constexpr std::size_t kFrameHeader = 24;
    constexpr std::size_t kPage = 4096;
    std::size_t commits = 0;
    for (std::size_t at = kHeader; at + kFrameHeader <= log.size(); at += kFrameHeader + kPage) {
        commits += log.substr(at + 4, 4) != std::string(4, '\0') ? 1U : 0U;
    }
    return commits;
}

TEST_F(IntakeTest, stores_all_queued_requests_in_one_transaction) {
    config.busy_timeout = Seconds{20.0};
    start();
    send_report(report("first", "k")).wait();  // creates the side tables
    const std::size_t before = commits_in(dir.contents().at("skills.db-wal"));
    std::unique_ptr<Locked> lock = std::make_unique<Locked>(path);
    send_report(report("held"));  // together with what arrives before the thread requests the lock
    for (int i = 0; i < 100; ++i) {
        send_report(report("r" + std::to_string(i % 60), "k" + std::to_string(i % 60)));
    }
    lock.reset();
    std::size_t stored = 0;
    std::size_t known = 0;
    for (const auto& reply : replies) {
        const auto response = reply->wait();
        ASSERT_EQ(response.status, 202U);
        stored += json::parse(response.body).at("stored").get<std::size_t>();
        known += json::parse(response.body).at("known").get<std::size_t>();
    }
    EXPECT_EQ(stored, 62U);
    EXPECT_EQ(known, 40U);
    EXPECT_EQ(rows(), "62");
    const std::size_t commits = commits_in(dir.contents().at("skills.db-wal")) - before;
    EXPECT_GE(commits, 1U);
    EXPECT_LE(commits, 2U) << "one for the batch that was in progress, one for all that arrived meanwhile";
}

TEST_F(IntakeTest, answers_each_of_a_batch_with_its_own_counts) {
    start();
    std::unique_ptr<Locked> lock = std::make_unique<Locked>(path);
    Reply& two = send_report("[" + report("a", "k1") + "," + report("a", "k2") + "]");
    Reply& one = send_report("[" + report("a", "k2") + "," + report("a", "k3") + "]");
    Reply& none = send_report("[]");
    Reply& bad = send_report("[" + report("a", "k4") + ",{\"skill_name\":7}]");
    Reply& lines = send(IntakeRequest::Kind::invocations, report("a", "k1") + "\n" + report("a") + "\n",
                        " Application/X-NDJSON ; charset=utf-8");
    lock.reset();
    EXPECT_EQ(two.wait().body, R"({"stored":2,"known":0})");
    EXPECT_EQ(one.wait().body, R"({"stored":1,"known":1})");
    EXPECT_EQ(none.wait().body, R"({"stored":0,"known":0})");
    EXPECT_EQ(bad.wait().status, 400U);
    EXPECT_EQ(json::parse(bad.wait().body).at("index"), 1);
    EXPECT_EQ(lines.wait().body, R"({"stored":1,"known":1})");
    EXPECT_EQ(rows(), "4");
}

TEST_F(IntakeTest, error_responses_do_not_contain_the_input) {
    const std::string marker = "private-9f3b";
    start();
    const struct {
        IntakeRequest::Kind kind;
        std::string body;
        std::string type;
        unsigned status;
    } cases[] = {
        {IntakeRequest::Kind::hook, marker, "application/json", 400},
        {IntakeRequest::Kind::hook, "{\"" + marker + "\":1}", "", 400},
        {IntakeRequest::Kind::hook, std::string(100'000, '['), "", 400},
        {IntakeRequest::Kind::hook, "", "text/plain", 400},
        {IntakeRequest::Kind::hook, R"({"hook_event_name":"Stop"})", "text/plain", 202},
        {IntakeRequest::Kind::invocations, marker, "application/json", 400},
        {IntakeRequest::Kind::invocations, "[{\"" + marker + " \":1}]", "application/json", 400},
        {IntakeRequest::Kind::invocations, "{\"user_query\":\"" + marker + "\"}", "application/jsonl", 400},
        {IntakeRequest::Kind::invocations, "", "application/json", 400},
        {IntakeRequest::Kind::invocations, report("a"), "", 415},
        {IntakeRequest::Kind::invocations, report("a"), marker, 415},
        {IntakeRequest::Kind::invocations, report("a"), "application/jsonx", 415},
    };
    for (const auto& [kind, body, type, status] : cases) {
        const auto response = send(kind, body, type).wait();
        EXPECT_EQ(response.status, status) << body.substr(0, 100);
        EXPECT_THAT(response.body, Not(testing::HasSubstr(marker)));
        EXPECT_EQ(response.body.empty(), status == 202U);
        EXPECT_TRUE(response.body.empty() || json::parse(response.body).contains("detail"));
        EXPECT_THAT(response.headers, testing::IsEmpty());
    }
    EXPECT_EQ(rows(), "0");
}

TEST_F(IntakeTest, a_locked_database_is_written_when_it_is_unlocked_in_time) {
    config.busy_timeout = Seconds{20.0};
    start();
    std::unique_ptr<Locked> lock = std::make_unique<Locked>(path);
    Reply& waiting = send_report(report("a"));
    Reply& event = send_hook(hook("PostToolUse", "t1"));
    EXPECT_EQ(waiting.count(), 0U);
    lock.reset();
    EXPECT_EQ(waiting.wait().status, 202U);
    EXPECT_EQ(event.wait().status, 202U);
    send_hook(hook("PreToolUse", "t2")).wait();  // spooled events are stored by now
    EXPECT_EQ(rows(), "2");
}

TEST_F(IntakeTest, an_invalid_or_missing_database_is_an_error_until_it_is_back) {
    const std::string whole = dir.contents().at("skills.db");
    std::ofstream(path, std::ios::trunc) << "not a database, but a text of some length";
    start();
    EXPECT_EQ(send_report(report("a")).wait().status, 503U);
    EXPECT_EQ(send_hook(hook("PostToolUse", "t1")).wait().status, 202U);
    std::filesystem::remove(path);
    EXPECT_EQ(send_report(report("a")).wait().status, 503U);
    EXPECT_EQ(send_hook(hook("PostToolUse", "t2")).wait().status, 202U);
    EXPECT_FALSE(std::filesystem::exists(path)) << "the ingestion thread does not create the database";
    EXPECT_EQ(spooled(), 2U);
    std::ofstream(path, std::ios::binary) << whole;
    EXPECT_EQ(send_report(report("a")).wait().status, 202U);
    send_hook(hook("PreToolUse", "t3")).wait();
    EXPECT_EQ(rows(), "3");
    EXPECT_EQ(spooled(), 0U);
}

TEST_F(IntakeTest, an_event_that_can_be_stored_nowhere_is_rejected) {
    std::ofstream(path + "-spool") << "a file instead of the folder";
    start();
    const Locked lock(path);
    const auto response = send_hook(hook("PostToolUse", "t1")).wait();
    EXPECT_EQ(response.status, 503U);
    EXPECT_THAT(response.headers, ElementsAre(std::pair("Retry-After", "2")));
}

/// A slow trigger of another tool: milliseconds per row.
void make_slow(const std::string& path) {
    test::execute(path,
                  "CREATE TRIGGER slow AFTER INSERT ON skill_invocation BEGIN SELECT count(*) FROM (WITH RECURSIVE"
                  " n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) SELECT i FROM n); END");
}

std::string many(std::size_t count) {
    json records = json::array();
    for (std::size_t i = 0; i < count; ++i) {
        records.push_back(json::parse(report("a", "k" + std::to_string(i))));
    }
    return records.dump();
}

TEST_F(IntakeTest, other_programs_and_hooks_get_the_lock_while_a_large_batch_is_stored) {
    make_slow(path);
    start();
    Reply& large = send_report(many(2000));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (rows() == "0" && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    { const Locked lock(path); }  // waits at most five seconds
    EXPECT_EQ(send_hook(hook("PostToolUse", "t1")).wait().status, 202U);
    EXPECT_EQ(send_hook("[]").wait().status, 400U);
    EXPECT_EQ(large.count(), 0U);
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM skill_invocation WHERE skill_name = 'Read'"), "1");
    intake->stop();
}

TEST_F(IntakeTest, a_stop_interrupts_a_batch_and_reports_how_much_is_stored) {
    make_slow(path);
    start();
    Reply& large = send_report(many(2000));
    Reply& next = send_report(many(2000));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (rows() == "0" && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    intake->stop();
    ASSERT_EQ(large.count(), 1U);
    EXPECT_EQ(large.wait().status, 503U);
    const json response = json::parse(large.wait().body);
    EXPECT_EQ(response.at("error"), "database_unavailable");
    EXPECT_EQ(response.at("known"), 0);
    EXPECT_EQ(response.at("stored").dump(), rows());
    EXPECT_EQ(next.wait().status, 503U);
    EXPECT_FALSE(json::parse(next.wait().body).contains("stored"));
    test::execute(path, "DROP TRIGGER slow");
    start();
    const json again = json::parse(send_report(many(2000)).wait().body);
    EXPECT_EQ(again.at("known"), response.at("stored"));
    EXPECT_EQ(rows(), "2000") << "the rest, and nothing twice";
}

TEST_F(IntakeTest, an_empty_report_is_answered) {
    start();
    EXPECT_EQ(send_report("[]").wait().body, R"({"stored":0,"known":0})");
}

TEST_F(IntakeTest, events_count_from_their_arrival_and_open_ones_expire) {
    config.hook_timeout = Seconds{60.0};
    start();
    send_hook(hook("PreToolUse", "t1")).wait();
    send_hook(hook("PreToolUse", "t2")).wait();
    clock.advance(std::chrono::seconds(5));
    send_hook(hook("PostToolUse", "t1")).wait();
    clock.advance(std::chrono::seconds(60));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (rows() != "2" && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    EXPECT_THAT(test::query(path, "SELECT invoked_at, completed, duration_seconds, error_type FROM skill_invocation"),
                ElementsAre("2026-02-10T12:00:00.000Z|1|5.0|NULL", "2026-02-10T12:00:00.000Z|1|NULL|NULL"));
    EXPECT_EQ(test::query_one(path, "SELECT count(*) FROM session_buddy_unknown"), "1");
}

}  // namespace
}  // namespace session_buddy::app
