// See query_thread.hpp.
#include "session_buddy/app/query_thread.hpp"

#include <spdlog/fmt/fmt.h>

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "http_answer.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/protocol/api_answer.hpp"
#include "session_buddy/protocol/api_request.hpp"
#include "session_buddy/protocol/problem.hpp"

namespace session_buddy::app {
namespace {

constexpr log::Logger kLog{"session_buddy.queries"};

/// What a client is told to wait, in seconds.
constexpr const char* kRetryAfter = "1";

server::QueryAnswer problem(unsigned status, std::string_view error, std::string_view detail,
                            const std::vector<protocol::ProblemMember>& members = {}) {
    server::QueryAnswer answer;
    answer.status = status;
    answer.content_type = protocol::kProblemType;
    answer.body = protocol::problem(status, error, detail, members);
    constexpr unsigned kUnavailable = 503;
    if (status == kUnavailable) {
        answer.headers = {{"Retry-After", kRetryAfter}};
    }
    return answer;
}

server::QueryAnswer stopping() {
    return problem(503, "stopping", "The server is stopping");
}

server::QueryAnswer bad_parameter(const protocol::BadParameter& bad) {
    return problem(400, "bad_parameter", bad.detail, {{"parameter", bad.parameter}});
}

}  // namespace

QueryThread::QueryThread(const Config& config, const Clock& clock, Metrics metrics)
    : config_(config),
      clock_(clock),
      metrics_(std::move(metrics)),
      started_at_(clock.now()),
      snapshot_(std::make_shared<Snapshot>()) {}

QueryThread::~QueryThread() {
    stop();
}

void QueryThread::start() {
    thread_ = std::thread([this] { run(); });
}

void QueryThread::stop() {
    {
        const std::lock_guard lock(mutex_);
        open_ = false;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
    for (const Job& job : std::exchange(jobs_, {})) {
        job.done(stopping());
    }
}

void QueryThread::publish(SnapshotPtr snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(snapshot);
}

void QueryThread::ask(server::QueryRequest request, Done done) {
    server::QueryAnswer refusal;
    {
        const std::lock_guard lock(mutex_);
        if (open_ && jobs_.size() < config_.max_queries) {
            const auto patience = std::chrono::duration_cast<SteadyTime::duration>(config_.query_timeout);
            jobs_.push_back({.request = std::move(request),
                             .done = std::move(done),
                             .deadline = std::chrono::steady_clock::now() + patience});
            wake_.notify_all();
            return;
        }
        refusal = open_ ? problem(503, "too_many_queries",
                                  fmt::format("Too many queries wait: at most {}; ask again later",
                                              config_.max_queries),
                                  {{"max_queries", std::int64_t{config_.max_queries}}})
                        : stopping();
    }
    done(std::move(refusal));
}

void QueryThread::run() {
    for (;;) {
        Job job;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return !jobs_.empty() || !open_; });
            if (!open_) {
                return;
            }
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        job.done(answer(job));
    }
}

server::QueryAnswer QueryThread::answer(const Job& job) {
    if (std::chrono::steady_clock::now() >= job.deadline) {
        return problem(503, "query_timeout", "The query waited for too long; ask again later");
    }
    try {
        server::QueryAnswer found = look_up(job.request);
        compress(found, job.request);
        return found;
    } catch (const std::exception& error) {
        kLog.error("a query failed: {}", error.what());
        return problem(500, "internal_error", "The query failed; the log of the server says why");
    }
}

server::QueryAnswer QueryThread::look_up(const server::QueryRequest& request) {
    using Kind = server::QueryRequest::Kind;
    SnapshotPtr snapshot;
    {
        const std::lock_guard lock(mutex_);
        snapshot = snapshot_;
    }
    // Reads the request with `read` and answers with what `find` makes of it.
    const auto answered = [&](auto read, auto find) {
        const auto parsed = read(request.query);
        const auto* bad = std::get_if<protocol::BadParameter>(&parsed);
        return bad != nullptr ? bad_parameter(*bad) : to_answer(find(std::get<0>(parsed)), request);
    };
    switch (request.kind) {
        case Kind::server_info:
            if (const auto bad = protocol::require_no_parameter(request.query)) {
                return bad_parameter(*bad);
            }
            return to_answer(
                protocol::server_answer(
                    *snapshot, config_,
                    {.started_at = started_at_, .now = clock_.now(), .clients = request.clients}),
                request);
        case Kind::skills:
            return answered(protocol::read_skills_request, [&](const protocol::SkillsRequest& asked) {
                return protocol::skills_answer(*snapshot, asked);
            });
        case Kind::sessions:
            return answered(protocol::read_sessions_request, [&](const protocol::SessionsRequest& asked) {
                return protocol::sessions_answer(*snapshot, asked, config_.session_window);
            });
        case Kind::metrics:
            if (metrics_) {
                return metrics_(request, snapshot);
            }
            break;
        case Kind::skill:
        case Kind::series:
        case Kind::anomalies:
            break;
    }
    return problem(404, "not_found", "There is nothing at this path");
}

}  // namespace session_buddy::app
