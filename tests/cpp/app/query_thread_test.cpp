// The query threads: limits, queued queries, timeouts, and a database that disappears and comes back.
#include "session_buddy/app/query_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/sample_snapshot.hpp"
#include "session_buddy/storage/database.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

using nlohmann::json;
using server::HttpReply;
using server::QueryRequest;

using protocol::MetricsRequest;
using protocol::SeriesRequest;
using protocol::ServerRequest;
using protocol::SkillRequest;
using protocol::to_query;

constexpr std::chrono::seconds kPatience{20};

protocol::ApiQuery skills_query(std::string_view text = "") {
    return to_query(protocol::parse_skills_request(text));
}

class QueryThreadTest : public testing::Test {
  protected:
    QueryThreadTest() {
        config.db_path = dir.file("skills.db");
        static_cast<void>(storage::open_database(config.db_path, {}));
    }

    static std::future<HttpReply> ask(server::Queries& thread, QueryRequest request) {
        auto promise = std::make_shared<std::promise<HttpReply>>();
        auto future = promise->get_future();
        thread.submit(std::move(request), [promise](HttpReply response) { promise->set_value(std::move(response)); });
        return future;
    }
    static HttpReply response_of(std::future<HttpReply> future) {
        if (future.wait_for(kPatience) != std::future_status::ready) {
            throw std::runtime_error("no answer");
        }
        return future.get();
    }
    static std::string error_of(const HttpReply& response) { return json::parse(response.body).at("error"); }
    static std::string header(const HttpReply& response, const std::string& name) {
        for (const auto& [key, value] : response.headers) {
            if (key == name) {
                return value;
            }
        }
        return {};
    }

    test::TempDir dir;
    Config config;
    test::ManualClock clock{test::kNoon};
};

/// Blocks the thread in a query until it is released.
class Hold {
  public:
    QueryThread::Metrics metrics() {
        return [this](const QueryRequest&, const SnapshotPtr&) {
            entered_.set_value();
            released_.get_future().wait();
            HttpReply response;
            response.body = "held";
            return response;
        };
    }
    void wait_until_held() { ASSERT_EQ(entered_.get_future().wait_for(kPatience), std::future_status::ready); }
    void release() { released_.set_value(); }

  private:
    std::promise<void> entered_;
    std::promise<void> released_;
};

TEST_F(QueryThreadTest, answers_from_the_latest_snapshot) {
    QueryThread thread(config, clock);
    thread.start();
    EXPECT_EQ(json::parse(response_of(ask(thread, {.query = skills_query()})).body).at("total"), 0);
    thread.publish(test::snapshot_of(1, {test::skill("a", 4), test::skill("b", 0)}));
    EXPECT_EQ(json::parse(response_of(ask(thread, {.query = skills_query()})).body).at("total"), 2);
    const auto info = json::parse(response_of(ask(thread, {.query = ServerRequest{}, .clients = 3})).body);
    EXPECT_EQ(info.at("clients"), 3);
    EXPECT_EQ(info.at("skills"), 2);
    EXPECT_EQ(info.at("started_at"), "2026-02-10T12:00:00Z");
}

TEST_F(QueryThreadTest, passes_metrics_requests_to_the_callback_and_answers_404_without_one) {
    QueryThread without(config, clock);
    without.start();
    EXPECT_EQ(response_of(ask(without, {.query = MetricsRequest{}})).status, 404U);
    QueryThread thread(config, clock, [](const QueryRequest& request, const SnapshotPtr& snapshot) {
        HttpReply response;
        response.content_type = request.accept;
        response.body = std::string(2000, 'x') + std::to_string(snapshot->sequence);
        return response;
    });
    thread.start();
    const auto response =
        response_of(ask(thread, {.query = MetricsRequest{}, .accept = "text/plain", .accept_encoding = "gzip"}));
    EXPECT_EQ(response.content_type, "text/plain");
    EXPECT_EQ(header(response, "Content-Encoding"), "gzip");
}

TEST_F(QueryThreadTest, an_exception_is_answered_with_500_and_the_thread_continues) {
    QueryThread thread(config, clock, [](const QueryRequest&, const SnapshotPtr&) -> HttpReply {
        throw std::runtime_error("secret");
    });
    thread.start();
    const auto response = response_of(ask(thread, {.query = MetricsRequest{}}));
    EXPECT_EQ(response.status, 500U);
    EXPECT_EQ(error_of(response), "internal_error");
    EXPECT_EQ(response.body.find("secret"), std::string::npos);
    EXPECT_EQ(response_of(ask(thread, {.query = skills_query()})).status, 200U);
}

TEST_F(QueryThreadTest, queries_beyond_max_queries_are_rejected) {
    config.max_queries = 2;
    Hold hold;
    QueryThread thread(config, clock, hold.metrics());
    thread.start();
    auto held = ask(thread, {.query = MetricsRequest{}});
    hold.wait_until_held();
    auto first = ask(thread, {.query = skills_query()});
    auto second = ask(thread, {.query = to_query(protocol::parse_sessions_request(""))});
    const auto rejected = response_of(ask(thread, {.query = skills_query()}));
    EXPECT_EQ(rejected.status, 503U);
    EXPECT_EQ(error_of(rejected), "too_many_queries");
    EXPECT_EQ(json::parse(rejected.body).at("max_queries"), 2);
    EXPECT_EQ(header(rejected, "Retry-After"), "1");
    hold.release();
    EXPECT_EQ(response_of(std::move(held)).body, "held");
    EXPECT_EQ(response_of(std::move(first)).status, 200U);
    EXPECT_EQ(response_of(std::move(second)).status, 200U);
}

TEST_F(QueryThreadTest, database_queries_do_not_fill_the_queue_of_snapshot_queries) {
    config.max_queries = 1;
    QueryThreads threads(config, clock);
    // Nothing is answered yet, so each queue is full after one query.
    auto read = ask(threads, {.query = SeriesRequest{}});
    EXPECT_EQ(error_of(response_of(ask(threads, {.query = to_query(protocol::parse_anomalies_request(""))}))),
              "too_many_queries");
    auto skills = ask(threads, {.query = skills_query()});
    EXPECT_EQ(skills.wait_for(std::chrono::seconds{0}), std::future_status::timeout);
    EXPECT_EQ(error_of(response_of(ask(threads, {.query = to_query(protocol::parse_sessions_request(""))}))),
              "too_many_queries");
    threads.start();
    EXPECT_EQ(response_of(std::move(skills)).status, 200U);
    EXPECT_EQ(response_of(std::move(read)).status, 200U);
    threads.stop();
}

TEST_F(QueryThreadTest, the_thread_is_chosen_by_the_decoded_query) {
    config.max_queries = 1;
    QueryThreads threads(config, clock);
    const auto skills = [&](std::string_view query) { return ask(threads, {.query = skills_query(query)}); };
    // Nothing is answered yet, so queries for the database thread find its queue full.
    auto read = ask(threads, {.query = SeriesRequest{}});
    for (const auto* query :
         {"sparkline=true", "%73parkline=true", "sparkl%69ne=tru%65", "limit=5&&%73parkline=true"}) {
        EXPECT_EQ(error_of(response_of(skills(query))), "too_many_queries") << query;
    }
    threads.start();
    EXPECT_EQ(response_of(std::move(read)).status, 200U);
    threads.stop();
}

TEST_F(QueryThreadTest, a_query_that_only_resembles_a_sparkline_query_does_not_wait_for_the_database) {
    config.max_queries = 1;
    for (const auto* query : {"search=sparkline", "sparkline=false", "search=sparkline%3Dtrue", "sparkline=yes"}) {
        QueryThreads threads(config, clock);
        auto read = ask(threads, {.query = SeriesRequest{}});
        auto waits_elsewhere = ask(threads, {.query = skills_query(query)});
        EXPECT_EQ(waits_elsewhere.wait_for(std::chrono::seconds{0}), std::future_status::timeout) << query;
        EXPECT_EQ(error_of(response_of(ask(threads, {.query = MetricsRequest{}}))), "too_many_queries") << query;
    }
}

TEST_F(QueryThreadTest, a_query_queued_longer_than_query_timeout_times_out) {
    config.query_timeout = Seconds{0.1};
    QueryThread thread(config, clock);
    auto waiting = ask(thread, {.query = skills_query()});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{101};
    std::this_thread::sleep_until(deadline);  // the time limit itself
    thread.start();
    const auto response = response_of(std::move(waiting));
    EXPECT_EQ(response.status, 503U);
    EXPECT_EQ(error_of(response), "query_timeout");
    EXPECT_EQ(response_of(ask(thread, {.query = skills_query()})).status, 200U);
}

// A thread with an open database whose reads never end: an infinite view replaces the table. (Opening such a database
// would be rejected.)
class EndlessReads {
  public:
    EndlessReads(const Config& config, const Clock& clock) : thread_(config, clock, hold_.metrics()) {
        auto opens = std::make_shared<std::promise<HttpReply>>();
        auto opened = opens->get_future();
        thread_.submit({.query = SeriesRequest{}},
                       [opens](HttpReply response) { opens->set_value(std::move(response)); });
        thread_.submit({.query = MetricsRequest{}}, [](const HttpReply&) {});
        thread_.start();
        hold_.wait_until_held();
        EXPECT_EQ(opened.get().status, 200U);
        test::execute(config.db_path,
                      "ALTER TABLE skill_invocation RENAME TO kept; CREATE VIEW skill_invocation AS WITH RECURSIVE"
                      " n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, 'a' AS skill_name,"
                      " '2026-02-10T11:00:00Z' AS invoked_at, 0 AS completed, NULL AS duration_seconds FROM n");
    }
    QueryThread& thread() { return thread_; }
    void release() { hold_.release(); }

  private:
    Hold hold_;
    QueryThread thread_;
};

TEST_F(QueryThreadTest, a_long_read_times_out_at_query_timeout) {
    config.query_timeout = Seconds{300};
    EndlessReads endless(config, clock);
    config.query_timeout = Seconds{0.5};
    auto read = ask(endless.thread(), {.query = SeriesRequest{}});
    endless.release();
    const auto response = response_of(std::move(read));
    EXPECT_EQ(response.status, 503U);
    EXPECT_EQ(error_of(response), "query_timeout");
    config.query_timeout = Seconds{300};
    EXPECT_EQ(response_of(ask(endless.thread(), {.query = skills_query()})).status, 200U);
}

TEST_F(QueryThreadTest, a_stop_aborts_a_long_read_and_rejects_queued_queries) {
    config.query_timeout = Seconds{300};
    EndlessReads endless(config, clock);
    QueryThread& thread = endless.thread();
    auto cut_off = ask(thread, {.query = SeriesRequest{}});
    auto behind = ask(thread, {.query = SeriesRequest{}});
    endless.release();
    thread.stop();
    EXPECT_EQ(error_of(response_of(std::move(cut_off))), "stopping");
    EXPECT_EQ(error_of(response_of(std::move(behind))), "stopping");
    EXPECT_EQ(error_of(response_of(ask(thread, {.query = skills_query()}))), "stopping");
}

TEST_F(QueryThreadTest, every_query_is_answered_even_if_the_thread_never_started) {
    auto future = [&] {
        QueryThread thread(config, clock);
        return ask(thread, {.query = skills_query()});
    }();
    EXPECT_EQ(error_of(response_of(std::move(future))), "stopping");
}

TEST_F(QueryThreadTest, without_a_database_history_is_503_and_other_queries_still_work) {
    QueryThread thread(config, clock);
    thread.publish(test::snapshot_of(1, {test::skill("a", 4)}));
    thread.start();
    const auto history = [&] { return response_of(ask(thread, {.query = SeriesRequest{}})); };
    EXPECT_EQ(history().status, 200U);
    std::filesystem::rename(config.db_path, dir.file("away.db"));
    const auto gone = history();
    EXPECT_EQ(gone.status, 503U);
    EXPECT_EQ(error_of(gone), "database_unavailable");
    EXPECT_EQ(header(gone, "Retry-After"), "1");
    EXPECT_EQ(gone.body.find(dir.path().string()), std::string::npos);
    EXPECT_EQ(response_of(ask(thread, {.query = skills_query()})).status, 200U);
    EXPECT_EQ(response_of(ask(thread, {.query = skills_query("sparkline=true")})).status, 503U);
    EXPECT_EQ(response_of(ask(thread, {.query = SkillRequest{"a"}})).status, 503U);
    EXPECT_EQ(response_of(ask(thread, {.query = to_query(protocol::parse_anomalies_request(""))})).status, 503U);
    EXPECT_FALSE(std::filesystem::exists(config.db_path)) << "a query creates no database";
    std::filesystem::rename(dir.file("away.db"), config.db_path);
    EXPECT_EQ(history().status, 200U);
}

TEST_F(QueryThreadTest, recounts_hours_when_the_hour_or_the_file_changes_and_reads_incrementally_otherwise) {
    QueryThread thread(config, clock);
    thread.publish(test::snapshot_of(1, {test::skill("a", 4)}));
    thread.start();
    const auto counts = [&] {
        const auto response = response_of(ask(thread, {.query = skills_query("sparkline=true")}));
        const auto line = json::parse(response.body).at("skills").at(0).at("sparkline").at("invocation_count");
        return line.get<std::vector<int>>();
    };
    test::execute(config.db_path, test::insertion("a", "2026-02-10T12:00:00Z") +
                                      test::insertion("a", "2026-02-10 11:59:59") +
                                      test::insertion("a", "2026-02-09T12:59:59Z") +  // an hour too old
                                      test::insertion("a", "2026-02-09T13:00:00Z") +
                                      test::insertion("a", "2026-02-10T13:00:00Z"));  // from the future: counts as now
    auto found = counts();
    EXPECT_EQ((std::vector<int>{found.front(), found.at(22), found.back()}), (std::vector<int>{1, 1, 2}));
    test::execute(config.db_path, test::insertion("a", "2026-02-10T11:00:00Z"));  // arrives late
    EXPECT_EQ(counts().at(22), 2);
    clock.advance(std::chrono::hours{1});
    found = counts();
    EXPECT_EQ((std::vector<int>{found.front(), found.at(21), found.at(22), found.back()}),
              (std::vector<int>{0, 2, 1, 1}));
    // Another database under the same name.
    const std::string other = dir.file("other.db");
    static_cast<void>(storage::open_database(other, {}));
    test::execute(other, test::insertion("a", "2026-02-10T13:10:00Z") + "PRAGMA wal_checkpoint(TRUNCATE);");
    std::filesystem::remove(config.db_path + "-wal");
    std::filesystem::remove(config.db_path + "-shm");
    std::filesystem::rename(other, config.db_path);
    found = counts();
    EXPECT_EQ((std::vector<int>{found.at(21), found.at(22), found.back()}), (std::vector<int>{0, 0, 1}));
}

TEST_F(QueryThreadTest, sparklines_count_unknown_outcomes) {
    QueryThread thread(config, clock);
    thread.publish(test::snapshot_of(1, {test::skill("a", 4)}));
    thread.start();
    test::execute(config.db_path,
                  test::insertion("a", "2026-02-10T12:00:00Z") + test::insertion("a", "2026-02-10T12:00:00Z") +
                      "CREATE TABLE IF NOT EXISTS session_buddy_mark (invocation_id INTEGER PRIMARY KEY,"
                      " marks INTEGER NOT NULL); INSERT INTO session_buddy_mark VALUES (2, 1);");
    const auto response = response_of(ask(thread, {.query = skills_query("sparkline=true")}));
    const auto line = json::parse(response.body).at("skills").at(0).at("sparkline");
    EXPECT_EQ(line.at("completed_count").back(), 2);
    EXPECT_EQ(line.at("unknown_count").back(), 1);
}

TEST_F(QueryThreadTest, clients_that_ask_for_the_same_of_one_snapshot_share_one_body_while_it_is_sent) {
    std::size_t rendered = 0;
    QueryThread thread(config, clock, [&rendered](const QueryRequest&, const SnapshotPtr&) {
        HttpReply response;
        response.content_type = "text/plain";
        response.body = std::string(100'000, static_cast<char>('a' + rendered++));
        return response;
    });
    thread.start();
    thread.publish(test::snapshot_of(1, {}));
    {
        const auto first = response_of(ask(thread, {.query = MetricsRequest{}}));
        const auto second = response_of(ask(thread, {.query = MetricsRequest{}}));
        EXPECT_EQ(first.body.data(), second.body.data());
        EXPECT_EQ(second.content_type, "text/plain");
        const auto gzip = response_of(ask(thread, {.query = MetricsRequest{}, .accept_encoding = "gzip"}));
        EXPECT_EQ(header(gzip, "Content-Encoding"), "gzip");
        EXPECT_NE(response_of(ask(thread, {.query = MetricsRequest{}, .accept = "x/y"})).body, first.body);
        thread.publish(test::snapshot_of(2, {}));
        EXPECT_NE(response_of(ask(thread, {.query = MetricsRequest{}})).body, first.body);
    }
    const auto before = rendered;
    static_cast<void>(response_of(ask(thread, {.query = MetricsRequest{}})));
    EXPECT_EQ(rendered, before + 1) << "a sent body is not kept";
}

TEST_F(QueryThreadTest, a_body_that_is_being_sent_is_shared_even_if_no_further_one_is_admitted) {
    config.max_response_bytes = 1'048'576;
    QueryThread thread(config, clock, [](const QueryRequest&, const SnapshotPtr&) {
        HttpReply response;
        response.body = std::string(2'000'000, 'x');
        return response;
    });
    thread.start();
    const auto first = response_of(ask(thread, {.query = MetricsRequest{}}));
    const auto second = response_of(ask(thread, {.query = MetricsRequest{}}));
    EXPECT_EQ(second.status, 200U);
    EXPECT_EQ(second.body.data(), first.body.data()) << "it takes no further memory";
    EXPECT_EQ(error_of(response_of(ask(thread, {.query = skills_query()}))), "too_many_unread_responses");
}

TEST_F(QueryThreadTest, responses_that_clients_do_not_read_are_bounded_and_further_queries_get_503) {
    config.max_response_bytes = 1'048'576;
    QueryThread thread(config, clock, [](const QueryRequest& request, const SnapshotPtr&) {
        HttpReply response;
        response.body = std::string(std::stoul(request.accept), 'x');
        return response;
    });
    thread.start();
    const auto of_size = [&](const char* size) {
        return response_of(ask(thread, {.query = MetricsRequest{}, .accept = size}));
    };
    {
        const auto larger_than_all = of_size("3000000");
        EXPECT_EQ(larger_than_all.body.size(), 3'000'000U) << "otherwise no client could ever get it";
        const auto rejected = of_size("1");
        EXPECT_EQ(rejected.status, 503U);
        EXPECT_EQ(error_of(rejected), "too_many_unread_responses");
        EXPECT_EQ(json::parse(rejected.body).at("max_response_bytes"), 1'048'576);
        EXPECT_EQ(header(rejected, "Retry-After"), "1");
    }
    const auto one = of_size("600000");
    EXPECT_EQ(one.status, 200U);
    EXPECT_EQ(of_size("600001").status, 503U);
    EXPECT_EQ(of_size("400000").status, 200U);
}

}  // namespace
}  // namespace session_buddy::app
