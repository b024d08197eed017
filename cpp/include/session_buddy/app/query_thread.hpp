// The threads that answer HTTP API queries: from the latest snapshot, and from the database for history.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/core/worker.hpp"
#include "session_buddy/server/queries.hpp"

namespace session_buddy::app {

class ResponseBudget;

/// At most max_queries are queued; a query that exceeds query_timeout is answered with 503.
class QueryThread final : public server::Queries {
  public:
    /// Answers GET /metrics, on the query thread. May throw. It sets Vary, ETag and the caching headers itself; the
    /// body is compressed afterwards if the client accepts gzip.
    using Metrics = std::function<server::HttpReply(const server::QueryRequest&, const SnapshotPtr&)>;

    /// `config` and `clock` must outlive it. Without `metrics`, GET /metrics is answered with 404. `responses`: budget
    /// for all unsent bodies, shared between threads; by default max_response_bytes for this thread.
    QueryThread(const Config& config, const Clock& clock, Metrics metrics = {},
                std::shared_ptr<ResponseBudget> responses = {});
    ~QueryThread() override;  // stops

    void start();
    /// Stops the thread and interrupts the current query. The current, queued and later queries are answered with 503.
    /// Idempotent.
    void stop();

    /// Later responses use this snapshot, which must not be null. Thread-safe.
    void publish(SnapshotPtr snapshot);

    void submit(server::QueryRequest request, Done done) override;

  private:
    using SteadyTime = std::chrono::steady_clock::time_point;
    struct Job {
        server::QueryRequest request;
        Done done;
        SteadyTime deadline;
    };

    void run();
    [[nodiscard]] server::HttpReply respond(const Job& job);
    /// The response with a body shared between clients that ask for the same at the same time, or 503 if the unsent
    /// bodies exceed the budget.
    [[nodiscard]] server::HttpReply bounded_response(const server::QueryRequest& request);
    [[nodiscard]] server::HttpReply look_up(const server::QueryRequest& request, const SnapshotPtr& snapshot);
    [[nodiscard]] server::HttpReply skill(const Snapshot& snapshot, const protocol::SkillRequest& query,
                                          const server::QueryRequest& request);
    [[nodiscard]] server::HttpReply alerts(const Snapshot& snapshot, const protocol::AlertsRequest& query,
                                           const server::QueryRequest& request);
    [[nodiscard]] server::HttpReply series(const protocol::SeriesRequest& query, const server::QueryRequest& request);
    /// Polled by SQLite's progress handler while it reads.
    [[nodiscard]] bool timed_out() const;

    const Config& config_;
    const Clock& clock_;
    const Metrics metrics_;
    const TimePoint started_at_;
    const std::shared_ptr<ResponseBudget> responses_;

    /// A response that is still being sent, with its request as the cache key.
    struct SharedResponse {
        std::uint64_t sequence;  // of the snapshot
        protocol::ApiQuery query;
        std::string accept;
        bool gzip;
        server::HttpReply response;  // without its body
        std::string_view bytes;
        std::weak_ptr<const void> body;
    };

    // Used only by the thread.
    struct History;
    std::unique_ptr<History> history_;
    SteadyTime deadline_;  // of the current query
    std::vector<SharedResponse> shared_responses_;

    std::mutex snapshot_mutex_;
    SnapshotPtr snapshot_;
    JobWorker<Job> worker_;
};

/// Two query threads, each with its own queue, so that responses from the snapshot, such as /metrics, never wait for
/// reads from the database.
class QueryThreads final : public server::Queries {
  public:
    QueryThreads(const Config& config, const Clock& clock, QueryThread::Metrics metrics = {});

    void start();
    void stop();
    void publish(const SnapshotPtr& snapshot);
    void submit(server::QueryRequest request, Done done) override;

  private:
    std::shared_ptr<ResponseBudget> responses_;
    QueryThread snapshot_queries_;
    QueryThread history_queries_;
};

}  // namespace session_buddy::app
