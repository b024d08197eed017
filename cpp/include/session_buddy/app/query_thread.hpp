// The threads that answer what clients ask: from the newest snapshot, and from the database where they ask for history.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/server/queries.hpp"

namespace session_buddy::app {

class ResponseBudget;

/// At most max_queries wait; none is answered later than query_timeout allows.
class QueryThread final : public server::Queries {
  public:
    /// Answers GET /metrics, on the query thread. May throw. The body is compressed afterwards where the client takes
    /// that; Vary, ETag and caching are for it to say.
    using Metrics = std::function<server::QueryResponse(const server::QueryRequest&, const SnapshotPtr&)>;

    /// `config` and `clock` must outlive it. Without `metrics` there is nothing at that path. `responses`: what all
    /// answers together may take until they are sent; max_response_bytes for this thread where there is none.
    QueryThread(const Config& config, const Clock& clock, Metrics metrics = {},
                std::shared_ptr<ResponseBudget> responses = {});
    ~QueryThread() override;  // stops

    void start();
    /// Ends the thread, and with it the query it is at; that one and those that wait are answered with 503, and so are
    /// all later ones. Idempotent.
    void stop();

    /// What is answered from here on is of this snapshot, which must not be null. Thread-safe.
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
    [[nodiscard]] server::QueryResponse answer(const Job& job);
    /// With a body that several clients share where they ask for the same at the same time, or a refusal where the
    /// bodies that are not sent yet take too much.
    [[nodiscard]] server::QueryResponse bounded_answer(const server::QueryRequest& request);
    [[nodiscard]] server::QueryResponse look_up(const server::QueryRequest& request, const SnapshotPtr& snapshot);
    [[nodiscard]] server::QueryResponse skill(const Snapshot& snapshot, const server::QueryRequest& request);
    [[nodiscard]] server::QueryResponse series(const server::QueryRequest& request);
    /// Asked by the database while it reads.
    [[nodiscard]] bool timed_out() const;

    const Config& config_;
    const Clock& clock_;
    const Metrics metrics_;
    const TimePoint started_at_;
    const std::shared_ptr<ResponseBudget> responses_;

    /// An answer from a snapshot that is still being sent, and what was asked for it.
    struct SharedAnswer {
        std::uint64_t sequence;  // of the snapshot
        server::QueryRequest::Kind kind;
        std::string query;
        std::string accept;
        bool gzip;
        server::QueryResponse answer;  // without its body
        std::string_view bytes;
        std::weak_ptr<const void> body;
    };

    // What only the thread uses.
    struct History;
    std::unique_ptr<History> history_;
    SteadyTime deadline_;  // of the query it is at
    std::vector<SharedAnswer> shared_answers_;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    SnapshotPtr snapshot_;
    std::atomic<bool> open_ = true;  // changed under the mutex
    std::thread thread_;
};

/// Two of them, each with its own queue: what the snapshot answers, /metrics among it, never waits for what is read
/// from the database.
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
