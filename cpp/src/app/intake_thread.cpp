// The ingestion thread: hook events before reports, batched transactions, the spool as a fallback for hooks, and a
// periodic maintenance step.
#include "session_buddy/app/intake_thread.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>

#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/tool_rule.hpp"
#include "session_buddy/ingest/hook_event.hpp"
#include "session_buddy/ingest/invocation_json.hpp"
#include "session_buddy/protocol/problem.hpp"
#include "session_buddy/server/representation.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::app {
namespace {

using std::chrono::duration_cast;
using std::chrono::steady_clock;

/// Busy timeout for the database lock. Clients that submit hooks wait for it.
constexpr std::chrono::milliseconds kIntakeBusyTimeout{50};
/// Interval between maintenance steps: draining the spool and expiring open tool uses.
constexpr std::chrono::milliseconds kMaintenanceInterval{1000};
/// Maximum time for parsing reports before the parsed ones are stored and hooks are served.
constexpr std::chrono::milliseconds kMaxReadTime{50};
/// Soft limit on parsed records that are not stored yet.
constexpr std::size_t kMaxBufferedEvents = ingest::kMaxReportedInvocations;
constexpr unsigned kRetryAfterSeconds = 2;

server::HttpReply unavailable(const std::string& message, const std::vector<protocol::ProblemMember>& members = {}) {
    return server::http_error(503, "database_unavailable", message, members, kRetryAfterSeconds);
}

server::HttpReply stopping() {
    return unavailable("The server is stopping");
}

server::HttpReply bad_event(const ingest::BadEvent& bad) {
    std::vector<protocol::ProblemMember> members;
    if (!bad.field.empty()) {
        members.emplace_back("field", bad.field);
    }
    return server::http_error(400, "bad_request", bad.reason, members);
}

server::HttpReply bad_report(const ingest::ReportFault& fault) {
    std::vector<protocol::ProblemMember> members;
    if (fault.index) {
        members.emplace_back("index", static_cast<std::int64_t>(*fault.index));
    }
    if (!fault.field.empty()) {
        members.emplace_back("field", fault.field);
    }
    return server::http_error(fault.too_many ? 413U : 400U, fault.too_many ? "too_many_invocations" : "bad_request",
                              fault.reason, members);
}

std::optional<ingest::ReportFormat> report_format(std::string_view content_type) {
    const std::string type = server::media_type(content_type);
    if (type == "application/json") {
        return ingest::ReportFormat::json;
    }
    if (type == "application/x-ndjson" || type == "application/ndjson" || type == "application/jsonl") {
        return ingest::ReportFormat::ndjson;
    }
    return std::nullopt;
}

}  // namespace

IntakeThread::IntakeThread(const Config& config, const Clock& clock)
    : config_(config),
      clock_(clock),
      namer_(parse_tool_rules(config.tools)),
      spool_(config.db_path, config.max_spool_events),
      max_lock_(std::chrono::duration_cast<steady_clock::duration>(config.max_write_lock)) {}

IntakeThread::~IntakeThread() {
    stop();
}

void IntakeThread::start() {
    worker_.start([this] { run(); });
}

void IntakeThread::stop() {
    worker_.stop([](const Job& job) { job.done(stopping()); });
}

void IntakeThread::submit(server::IntakeRequest request, Done done) {
    Job job{.request = std::move(request), .at = clock_.now(), .done = std::move(done)};
    if (worker_.push(job) != JobWorker<Job>::Push::queued) {
        job.done(stopping());
    }
}

void IntakeThread::run() {
    auto next_maintenance = steady_clock::now();
    for (bool open = true; open;) {  // after stop() all requests are rejected
        auto until = next_maintenance;
        if (!reports_.empty()) {
            until = std::min(until, next_write_);
        } else if (!unread_.empty()) {
            until = steady_clock::now();
        }
        auto [arrived, last] = worker_.take_all(until);
        open = !last;
        try {
            read(arrived, open);
            store_hooks();
            store_reports(/*last_try=*/!open);
            if (open && steady_clock::now() >= next_maintenance) {
                drain_and_expire();
                next_maintenance = steady_clock::now() + kMaintenanceInterval;
            }
        } catch (const std::exception& error) {  // memory
            log::kIntake.error("requests rejected: cannot store them: {}", error.what());
            reject_all();
            for (const Job& job : std::exchange(arrived, {})) {
                job.done(unavailable("The server could not store the event; retry later"));
            }
        }
    }
}

/// Parses hooks first, because users wait for them; then reports, up to the limits on time and records.
void IntakeThread::read(std::deque<Job>& arrived, bool open) {
    for (; !arrived.empty(); arrived.pop_front()) {
        Job& job = arrived.front();
        if (job.request.kind == server::IntakeRequest::Kind::hook) {
            read_hook(job);
        } else {
            unread_.push_back(std::move(job));
        }
    }
    for (const auto until = steady_clock::now() + kMaxReadTime;
         open && !unread_.empty() && report_events_.size() - first_event_ < kMaxBufferedEvents &&
         steady_clock::now() < until;) {
        Job job = std::move(unread_.front());
        unread_.pop_front();
        read_report(job);
    }
    if (!open) {
        for (const Job& job : std::exchange(unread_, {})) {
            job.done(stopping());
        }
    }
}

/// Answers immediately if there is nothing to store.
void IntakeThread::read_hook(Job& job) {
    auto read = ingest::read_hook_event(job.request.body, namer_, job.at, config_.builtin_commands);
    if (const auto* bad = std::get_if<ingest::BadEvent>(&read)) {
        job.done(bad_event(*bad));
        return;
    }
    auto& events = std::get<std::vector<ingest::AgentEvent>>(read);
    if (events.empty()) {
        job.done(server::accepted());
        return;
    }
    for (ingest::AgentEvent& event : events) {
        if (event.bad_duration) {
            log::kIntake.debug("duration of an invocation of {} ignored: duration_ms, in seconds, {}", event.skill_name,
                               kDurationRule);
        }
        // Events are stored in this order: the last one answers for all.
        hooks_.push_back({.done = [](const server::HttpReply&) {}, .event = to_skill_event(std::move(event))});
    }
    hooks_.back().done = std::move(job.done);
}

void IntakeThread::read_report(Job& job) {
    const auto format = report_format(job.request.content_type);
    if (!format) {
        job.done(server::http_error(415, "unsupported_media_type",
                                    "The Content-Type must be application/json or application/x-ndjson"));
        return;
    }
    auto read = ingest::read_invocations(job.request.body, *format);
    job.request.body = {};
    if (const auto* fault = std::get_if<ingest::ReportFault>(&read)) {
        job.done(bad_report(*fault));
        return;
    }
    auto& invocations = std::get<std::vector<ingest::ReportedInvocation>>(read);
    reports_.push_back({.done = std::move(job.done),
                        .left = invocations.size(),
                        .deadline = steady_clock::now() + duration_cast<steady_clock::duration>(config_.busy_timeout)});
    for (auto& invocation : invocations) {
        report_events_.push_back(to_skill_event(std::move(invocation), job.at));
    }
}

/// Stores all hook events (at most one per connection). Events that the database cannot accept now are spooled.
void IntakeThread::store_hooks() {
    if (hooks_.empty()) {
        return;
    }
    std::vector<storage::SkillEvent> events;
    events.reserve(hooks_.size());
    for (const Hook& hook : hooks_) {
        events.push_back(hook.event);
    }
    const std::vector<Hook> hooks = std::exchange(hooks_, {});  // without memory for the events, reject_all() answers
    std::size_t stored = 0;
    std::string failure;
    try {
        storage::EventStore& store = open_store();
        if (drain_spool(store)) {
            while (stored < hooks.size()) {
                if (stored > 0) {
                    std::this_thread::sleep_for(storage::kLockPause);
                }
                const auto outcomes =
                    store.ingest_some(std::span(events).subspan(stored), storage::Source::hook_request, max_lock_);
                rows_stored_.add(static_cast<std::uint64_t>(
                    std::ranges::count_if(outcomes, [](const auto& one) { return one.is_new; })));
                for (std::size_t i = 0; i < outcomes.size(); ++i) {
                    hooks[stored++].done(server::accepted());
                }
            }
            return;
        }
        failure = "the server is stopping";
    } catch (const std::exception& error) {
        failure = error.what();
    }
    for (const Hook& hook : std::span(hooks).subspan(stored)) {
        try {
            spool_.put(hook.event, storage::Source::hook_request, storage::Durability::power);
        } catch (const std::exception& error) {
            log::kIntake.error("hook event rejected: {}; {}", failure, error.what());
            hook.done(unavailable("The event can be stored neither in the database nor in the spool; retry later"));
            continue;
        }
        hook.done(server::accepted());
    }
}

/// Drains the spool completely, because it may hold the start of a tool use that ends now. False if stop() came first.
bool IntakeThread::drain_spool(storage::EventStore& store) {
    while (spool_.drain(store, Spool::kBatchEvents, max_lock_)) {
        if (!worker_.wait(storage::kLockPause)) {
            return false;
        }
    }
    return true;
}

void IntakeThread::store_reports(bool last_try) {
    while (!reports_.empty() && (last_try || steady_clock::now() >= next_write_)) {
        if (!store_some_reports(last_try)) {
            next_write_ = steady_clock::now() + storage::kLockPause;
        }
        if (last_try) {
            while (!reports_.empty()) {
                reject_first("The server is stopping");
            }
        }
    }
    discard_stored();
}

/// Stores records in one transaction. Returns whether the next one may follow immediately.
bool IntakeThread::store_some_reports(bool last_try) {
    const std::span<const storage::SkillEvent> waiting = std::span(report_events_).subspan(first_event_);
    try {
        complete_stored(open_store().ingest_some(one_by_one_ ? waiting.first(reports_.front().left) : waiting,
                                                 storage::Source::http, max_lock_));
        return false;
    } catch (const storage::StorageError& error) {
        if (error.code() != storage::StorageErrc::busy) {
            // If the database rejects one record, store the reports one by one, so that only that request is rejected.
            if (std::exchange(one_by_one_, true) || reports_.size() == 1) {
                log::kIntake.warning("request rejected: {}", error.what());
                reject_first("The database cannot be written; retry later");
            }
            return true;
        }
        std::size_t rejected = 0;
        for (; !reports_.empty() && (last_try || steady_clock::now() >= reports_.front().deadline); ++rejected) {
            reject_first("The database is locked by another program; retry later");
        }
        if (rejected > 0) {
            log::kIntake.warning("{} requests rejected: {}", rejected, error.what());
        }
        return false;
    }
}

/// Answers the requests whose records are all stored.
void IntakeThread::complete_stored(std::span<const storage::EventStore::Result> outcomes) {
    first_event_ += outcomes.size();
    const auto deadline = steady_clock::now() + duration_cast<steady_clock::duration>(config_.busy_timeout);
    while (!reports_.empty() && (!outcomes.empty() || reports_.front().left == 0)) {
        Report& report = reports_.front();
        const auto own = outcomes.first(std::min(outcomes.size(), report.left));
        outcomes = outcomes.subspan(own.size());
        const auto stored = std::ranges::count_if(own, [](const auto& one) { return one.is_new; });
        rows_stored_.add(static_cast<std::uint64_t>(stored));
        report.stored += stored;
        report.known += static_cast<std::int64_t>(own.size()) - stored;
        report.left -= own.size();
        report.deadline = deadline;
        if (report.left == 0) {
            report.done({.status = 202,
                         .body = nlohmann::ordered_json{{"stored", report.stored}, {"known", report.known}}.dump()});
            reports_.pop_front();
        }
    }
}

/// Rejects the oldest report. Its first records may be stored already: the response contains their number.
void IntakeThread::reject_first(const std::string& why) {
    const Report report = std::move(reports_.front());
    reports_.pop_front();
    first_event_ += report.left;
    if (report.stored + report.known == 0) {
        report.done(unavailable(why));
    } else {
        report.done(unavailable(why + "; the first `stored` + `known` records of the request are stored",
                                {{"stored", report.stored}, {"known", report.known}}));
    }
}

void IntakeThread::discard_stored() {
    if (reports_.empty()) {
        report_events_ = {};
        first_event_ = 0;
        one_by_one_ = false;
    } else if (first_event_ >= kMaxBufferedEvents) {
        report_events_.erase(report_events_.begin(),
                             report_events_.begin() + static_cast<std::ptrdiff_t>(first_event_));
        first_event_ = 0;
    }
}

void IntakeThread::reject_all() {
    for (const Hook& hook : std::exchange(hooks_, {})) {
        hook.done(unavailable("The server could not store the event; retry later"));
    }
    while (!reports_.empty()) {
        reject_first("The server could not store the request; retry later");
    }
    discard_stored();
}

void IntakeThread::drain_and_expire() {
    try {
        storage::EventStore& store = open_store();
        if (!spool_.drain(store, Spool::kBatchEvents,
                          max_lock_)) {  // else the spool may hold the end of an open tool use
            store.expire(clock_.now() - std::chrono::duration_cast<TimePoint::duration>(config_.hook_timeout));
        }
        maintenance_failed_ = false;
    } catch (const std::exception& error) {
        if (!maintenance_failed_) {
            log::kIntake.debug("cannot drain the spool or expire open tool uses; retrying: {}", error.what());
        }
        maintenance_failed_ = true;
    }
}

storage::EventStore& IntakeThread::open_store() {
    if (!store_) {
        store_ = std::make_unique<storage::EventStore>(
            config_.db_path, storage::OpenOptions{.busy_timeout = kIntakeBusyTimeout,
                                                  .create = false,
                                                  .durability = storage::Durability::power,
                                                  .max_values_per_skill = config_.max_values_per_skill});
    }
    return *store_;
}

}  // namespace session_buddy::app
