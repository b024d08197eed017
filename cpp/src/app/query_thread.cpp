// Answers API queries: deadlines, errors as HTTP problems, and responses shared between clients.
#include "session_buddy/app/query_thread.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "hourly_counts.hpp"
#include "http_response.hpp"
#include "response_budget.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/overloaded.hpp"
#include "session_buddy/metrics/series.hpp"
#include "session_buddy/protocol/api_request.hpp"
#include "session_buddy/protocol/api_response.hpp"
#include "session_buddy/server/representation.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/history_queries.hpp"

namespace session_buddy::app {
namespace {

constexpr unsigned kQueryRetryAfterSeconds = 1;
/// Busy timeout for the database lock; all queued queries wait for it too.
constexpr std::chrono::milliseconds kQueryBusyTimeout{500};
/// After this idle time the connection is closed, because a replaced database file would go unnoticed.
constexpr std::chrono::milliseconds kIdleTime{2000};
/// A smaller body is built for each client; larger ones are shared to save memory.
constexpr std::size_t kMinSharedBytes = 65'536;
constexpr std::int64_t kMaxErrors = 20;
constexpr std::int64_t kMaxPhases = 100;

server::HttpReply problem(unsigned status, std::string_view error, std::string_view detail,
                          const std::vector<protocol::ProblemMember>& members = {}) {
    constexpr unsigned kUnavailable = 503;
    return server::http_error(status, error, detail, members, status == kUnavailable ? kQueryRetryAfterSeconds : 0);
}

server::HttpReply server_is_stopping() {
    return problem(503, "stopping", "The server is stopping");
}

server::HttpReply timeout_response() {
    return problem(503, "query_timeout", "The query timed out (query_timeout); narrow the range or retry later");
}

server::HttpReply too_many_unread(std::size_t limit) {
    return problem(503, "too_many_unread_responses",
                   fmt::format("Unread responses reached max_response_bytes ({}); retry later", limit),
                   {{"max_response_bytes", static_cast<std::int64_t>(limit)}});
}

/// The message does not reveal the path of the database.
server::HttpReply unavailable(storage::StorageErrc code) {
    using storage::StorageErrc;
    std::string_view reason = "The database cannot be read; retry later";
    if (code == StorageErrc::missing) {
        reason = "The database does not exist; retry later";
    } else if (code == StorageErrc::busy) {
        reason = "The database is locked by another program; retry later";
    } else if (code == StorageErrc::damaged || code == StorageErrc::not_a_database) {
        reason = "The database is damaged";
    }
    return problem(503, "database_unavailable", reason);
}

/// Whether the query needs the database.
bool reads_history(const protocol::ApiQuery& query) {
    const auto* const skills = std::get_if<protocol::SkillsRequest>(&query);
    return skills != nullptr ? skills->sparkline
                             : std::holds_alternative<protocol::SkillRequest>(query) ||
                                   std::holds_alternative<protocol::SeriesRequest>(query) ||
                                   std::holds_alternative<protocol::AnomaliesRequest>(query) ||
                                   std::holds_alternative<protocol::AlertsRequest>(query);
}

/// Thrown if a series would cover more invocations than one response may hold.
struct TooManyInvocations : std::exception {};

}  // namespace

struct QueryThread::History {
    History(const std::string& path, std::function<bool()> give_up)
        : queries(path, kQueryBusyTimeout, std::move(give_up)) {}

    storage::HistoryQueries queries;
    HourlyCounts hours;

    [[nodiscard]] std::vector<metrics::SeriesPoint> series(const std::optional<std::string>& skill_name,
                                                           const protocol::SeriesPlan& plan, TimePoint now) {
        metrics::SeriesBuilder builder(plan.from, plan.step, plan.points);
        bool complete = true;
        queries.read_series(skill_name, plan.from, plan.to(), now,
                            {.invocation =
                                 [&](const storage::InvocationView& run) {
                                     complete = builder.add(run.at, {.completed = run.completed,
                                                                     .duration = run.duration_seconds,
                                                                     .outcome_is_unknown = run.outcome_is_unknown,
                                                                     .duration_is_bound = run.duration_is_bound});
                                     return complete;
                                 },
                             .hour =
                                 [&](const storage::RollupRow& hour) {
                                     builder.add_hour(hour.hour, {.invocation_count = hour.invocation_count,
                                                                  .completed_count = hour.completed_count,
                                                                  .avg_duration = hour.avg_duration_seconds,
                                                                  .unknown_count = hour.unknown_count,
                                                                  .bound_count = hour.bound_count});
                                 }});
        if (!complete) {
            throw TooManyInvocations();
        }
        return builder.finish();
    }
};

QueryThread::QueryThread(const Config& config, const Clock& clock, Metrics metrics,
                         std::shared_ptr<ResponseBudget> responses)
    : config_(config),
      clock_(clock),
      metrics_(std::move(metrics)),
      started_at_(clock.now()),
      responses_(responses ? std::move(responses) : std::make_shared<ResponseBudget>(config.max_response_bytes)),
      history_(std::make_unique<History>(config.db_path, [this] { return timed_out(); })),
      snapshot_(std::make_shared<Snapshot>()),
      worker_("query", config.max_queries) {}

QueryThread::~QueryThread() {
    stop();
}

void QueryThread::start() {
    worker_.start([this] { run(); });
}

void QueryThread::stop() {
    worker_.stop([](const Job& job) { job.done(server_is_stopping()); });
}

void QueryThread::publish(SnapshotPtr snapshot) {
    const std::lock_guard lock(snapshot_mutex_);
    snapshot_ = std::move(snapshot);
}

void QueryThread::submit(server::QueryRequest request, Done done) {
    const auto timeout = std::chrono::duration_cast<SteadyTime::duration>(config_.query_timeout);
    Job job{
        .request = std::move(request), .done = std::move(done), .deadline = std::chrono::steady_clock::now() + timeout};
    switch (worker_.push(job)) {
        case JobWorker<Job>::Push::queued:
            return;
        case JobWorker<Job>::Push::full:
            return job.done(problem(503, "too_many_queries",
                                    fmt::format("max_queries reached ({} queued); retry later", config_.max_queries),
                                    {{"max_queries", std::int64_t{config_.max_queries}}}));
        case JobWorker<Job>::Push::stopped:
            return job.done(server_is_stopping());
    }
}

void QueryThread::run() {
    for (;;) {
        std::optional<Job> job = worker_.pop(kIdleTime);
        if (!job) {  // idle or stopping
            history_->queries.close();
            job = worker_.pop();
        }
        if (!job) {
            return;
        }
        job->done(respond(*job));
    }
}

server::HttpReply QueryThread::respond(const Job& job) {
    if (std::chrono::steady_clock::now() >= job.deadline) {
        return timeout_response();
    }
    deadline_ = job.deadline;
    try {
        return bounded_response(job.request);
    } catch (const TooManyInvocations&) {
        return problem(400, "too_many_runs",
                       fmt::format("The time range has more than {} completed invocations; narrow it",
                                   metrics::SeriesBuilder::kMaxDurations));
    } catch (const storage::StorageError& error) {
        if (worker_.stopping()) {
            return server_is_stopping();
        }
        if (timed_out()) {
            return timeout_response();
        }
        log::kQueries.debug("query failed: {}", error.what());
        return unavailable(error.code());
    } catch (const std::bad_alloc&) {
        log::kQueries.error("query failed: out of memory");
        return problem(503, "out_of_memory", "The server is out of memory; narrow the range or retry later");
    } catch (const std::exception& error) {
        log::kQueries.error("query failed: {}", error.what());
        return problem(500, "internal_error", "The query failed; see the server's log");
    }
}

bool QueryThread::timed_out() const {
    return worker_.stopping() || std::chrono::steady_clock::now() >= deadline_;
}

server::HttpReply QueryThread::bounded_response(const server::QueryRequest& request) {
    SnapshotPtr snapshot;
    {
        const std::lock_guard lock(snapshot_mutex_);
        snapshot = snapshot_;
    }
    // Only responses that depend on nothing but the snapshot and the request are shared; the others are small.
    const bool may_share = !std::holds_alternative<protocol::ServerRequest>(request.query) &&
                           !reads_history(request.query) && request.if_none_match.empty();
    const bool gzip = server::accepts_gzip(request.accept_encoding);
    if (may_share) {
        for (const SharedResponse& other : shared_responses_) {
            const auto owner = other.body.lock();
            if (owner && other.sequence == snapshot->sequence && other.query == request.query &&
                other.accept == request.accept && other.gzip == gzip) {
                server::HttpReply response = other.response;
                response.body = server::Body(other.bytes, owner);
                return response;
            }
        }
    }
    if (responses_->exhausted()) {
        return too_many_unread(config_.max_response_bytes);
    }
    server::HttpReply response = look_up(request, snapshot);
    compress(response, request);
    auto body = responses_->admit(response.body);
    if (!body) {
        return too_many_unread(config_.max_response_bytes);
    }
    if (may_share && body->size() >= kMinSharedBytes) {
        std::erase_if(shared_responses_, [](const SharedResponse& other) { return other.body.expired(); });
        response.body = {};
        shared_responses_.push_back({.sequence = snapshot->sequence,
                                     .query = request.query,
                                     .accept = request.accept,
                                     .gzip = gzip,
                                     .response = response,
                                     .bytes = {body->data(), body->size()},
                                     .body = body->owner()});
    }
    response.body = std::move(*body);
    return response;
}

server::HttpReply QueryThread::look_up(const server::QueryRequest& request, const SnapshotPtr& snapshot) {
    return std::visit(
        Overloaded{
            [](const protocol::BadParameter& bad) { return server::bad_parameter(bad); },
            [&](const protocol::ServerRequest&) {
                return to_response(protocol::server_response(*snapshot, config_,
                                                             {.started_at = started_at_,
                                                              .now = clock_.now(),
                                                              .clients = request.clients,
                                                              .show_path = request.may_see_paths}),
                                   request);
            },
            [&](const protocol::SkillsRequest& query) {
                const auto* const lines =
                    query.sparkline ? &history_->hours.update(history_->queries, clock_.now()) : nullptr;
                return to_response(protocol::skills_response(*snapshot, query, lines), request);
            },
            [&](const protocol::GroupsRequest& query) {
                return to_response(protocol::groups_response(*snapshot, query), request);
            },
            [&](const protocol::SkillRequest& query) { return skill(*snapshot, query, request); },
            [&](const protocol::SeriesRequest& query) { return series(query, request); },
            [&](const protocol::AnomaliesRequest& query) {
                storage::EpisodeFilter filter{.skill_name = query.skill_name, .from = query.from, .to = query.to};
                if (query.state != protocol::EpisodeState::all) {
                    filter.open = query.state == protocol::EpisodeState::open;
                }
                if (query.type) {
                    filter.anomaly_type = std::string(to_string(*query.type));
                }
                return to_response(protocol::anomalies_response(*snapshot, query, history_->queries.episodes(filter)),
                                   request);
            },
            [&](const protocol::AlertsRequest& query) { return alerts(*snapshot, query, request); },
            [&](const protocol::SessionsRequest& query) {
                return to_response(protocol::sessions_response(*snapshot, query, config_.session_window), request);
            },
            [&](const protocol::MetricsRequest&) {
                return metrics_ ? metrics_(request, snapshot) : problem(404, "not_found", "No such endpoint");
            },
        },
        request.query);
}

server::HttpReply QueryThread::skill(const Snapshot& snapshot, const protocol::SkillRequest& query,
                                     const server::QueryRequest& request) {
    const SkillMetrics* const metrics = snapshot.skills->find(query.skill_name);
    if (metrics == nullptr) {
        return problem(404, "unknown_skill", "Unknown skill: no invocations recorded; /api/v1/skills lists all skills");
    }
    const TimePoint since = snapshot.at - std::chrono::duration_cast<std::chrono::microseconds>(config_.window);
    auto history = history_->queries.skill_history(query.skill_name, since, kMaxErrors, kMaxPhases);
    if (history.first_invocation_at > snapshot.at) {
        history.first_invocation_at = snapshot.at;  // a row from the future counts as now
    }
    return to_response(protocol::skill_response(snapshot, *metrics, history), request);
}

server::HttpReply QueryThread::series(const protocol::SeriesRequest& query, const server::QueryRequest& request) {
    const TimePoint now = clock_.now();
    const auto planned = protocol::plan_series(query, now, history_->queries.pruned_before());
    if (const auto* bad = std::get_if<protocol::BadParameter>(&planned)) {
        return server::bad_parameter(*bad);
    }
    const auto& plan = std::get<protocol::SeriesPlan>(planned);
    return to_response(protocol::series_response(query, plan, history_->series(query.skill_name, plan, now)), request);
}

server::HttpReply QueryThread::alerts(const Snapshot& snapshot, const protocol::AlertsRequest& query,
                                      const server::QueryRequest& request) {
    storage::AlertFilter filter{.skill_name = query.skill_name,
                                .kind = query.kind,
                                .from = query.from,
                                .to = query.to,
                                .limit = query.page.limit};
    if (query.state != protocol::AlertState::all) {
        filter.open = query.state == protocol::AlertState::open;
    }
    const auto unstored = std::ssize(protocol::unstored_alerts(snapshot, query));
    filter.offset = std::max<std::int64_t>(query.page.offset - unstored, 0);
    return to_response(protocol::alerts_response(snapshot, query, config_.alert_budget,
                                                 history_->queries.alerts(filter, clock_.now())),
                       request);
}

QueryThreads::QueryThreads(const Config& config, const Clock& clock, QueryThread::Metrics metrics)
    : responses_(std::make_shared<ResponseBudget>(config.max_response_bytes)),
      snapshot_queries_(config, clock, std::move(metrics), responses_),
      history_queries_(config, clock, {}, responses_) {}

void QueryThreads::start() {
    snapshot_queries_.start();
    history_queries_.start();
}

void QueryThreads::stop() {
    snapshot_queries_.stop();
    history_queries_.stop();
}

void QueryThreads::publish(const SnapshotPtr& snapshot) {
    snapshot_queries_.publish(snapshot);
    history_queries_.publish(snapshot);
}

void QueryThreads::submit(server::QueryRequest request, Done done) {
    auto& thread = reads_history(request.query) ? history_queries_ : snapshot_queries_;
    thread.submit(std::move(request), std::move(done));
}

}  // namespace session_buddy::app
