// See intake.hpp.
#include "session_buddy/app/intake.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/tool_rule.hpp"
#include "session_buddy/ingest/hook_event.hpp"
#include "session_buddy/ingest/invocation_json.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::app {
namespace {

constexpr log::Logger kLog{"session_buddy.intake"};

/// For one lock on the database: a tool that reports through a hook makes its user wait.
constexpr std::chrono::milliseconds kBusyTimeout{100};
/// Between two looks at the spool and at what never ended.
constexpr std::chrono::milliseconds kLookPause{1000};
/// Of the spool, at a look.
constexpr std::size_t kMaxTakenIn = 1000;
constexpr unsigned kRetryAfterSeconds = 2;

using Json = nlohmann::ordered_json;

server::IntakeAnswer error_answer(unsigned status, std::string_view code, const std::string& message) {
    return {.status = status, .body = Json{{"error", code}, {"message", message}}.dump()};
}

server::IntakeAnswer unavailable(const std::string& message) {
    auto answer = error_answer(503, "database_unavailable", message);
    answer.retry_after = kRetryAfterSeconds;
    return answer;
}

server::IntakeAnswer bad_event(const ingest::BadEvent& bad) {
    Json body{{"error", "bad_request"}, {"message", bad.reason}};
    if (!bad.field.empty()) {
        body["field"] = bad.field;
    }
    return {.status = 400, .body = body.dump()};
}

server::IntakeAnswer bad_report(const ingest::ReportFault& fault) {
    Json body{{"error", fault.too_many ? "too_many_invocations" : "bad_request"}, {"message", fault.reason}};
    if (fault.index) {
        body["index"] = *fault.index;
    }
    if (!fault.field.empty()) {
        body["field"] = fault.field;
    }
    return {.status = fault.too_many ? 413U : 400U, .body = body.dump()};
}

/// Without parameters such as charset, in lower case.
std::string media_type(std::string_view content_type) {
    std::string type(content_type.substr(0, content_type.find(';')));
    std::erase_if(type, [](char character) { return character == ' ' || character == '\t'; });
    std::ranges::transform(type, type.begin(), [](char character) {
        return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a') : character;
    });
    return type;
}

std::optional<ingest::ReportForm> form_of(std::string_view content_type) {
    const std::string type = media_type(content_type);
    if (type == "application/json") {
        return ingest::ReportForm::json;
    }
    if (type == "application/x-ndjson" || type == "application/ndjson" || type == "application/jsonl") {
        return ingest::ReportForm::ndjson;
    }
    return std::nullopt;
}

}  // namespace

IntakeThread::IntakeThread(const Config& config, const Clock& clock)
    : config_(config),
      clock_(clock),
      namer_(parse_tool_rules(config.tools)),
      spool_(config.db_path, config.max_spool_events) {}

IntakeThread::~IntakeThread() {
    stop();
}

void IntakeThread::start() {
    thread_ = std::thread([this] { run(); });
}

void IntakeThread::stop() {
    {
        const std::lock_guard lock(mutex_);
        open_ = false;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
    // What nobody worked off, because there was no start.
    for (const Job& job : std::exchange(jobs_, {})) {
        job.done(unavailable("The server is stopping"));
    }
}

void IntakeThread::take(server::IntakeRequest request, Done done) {
    {
        const std::lock_guard lock(mutex_);
        if (open_) {
            jobs_.push_back({.request = std::move(request), .at = clock_.now(), .done = std::move(done)});
            wake_.notify_all();
            return;
        }
    }
    done(unavailable("The server is stopping"));
}

void IntakeThread::run() {
    auto next_look = std::chrono::steady_clock::now();
    for (;;) {
        std::deque<Job> jobs;
        {
            std::unique_lock lock(mutex_);
            wake_.wait_until(lock, next_look, [this] { return !jobs_.empty() || !open_; });
            if (jobs_.empty() && !open_) {
                return;
            }
            jobs.swap(jobs_);
        }
        // All that came in meanwhile shares one transaction.
        work_off(std::move(jobs));
        if (std::chrono::steady_clock::now() >= next_look) {
            look_after_open_uses();
            next_look = std::chrono::steady_clock::now() + kLookPause;
        }
    }
}

void IntakeThread::work_off(std::deque<Job> jobs) {
    std::vector<Pending> hooks;
    std::vector<Pending> reports;
    for (Job& job : jobs) {
        read(std::move(job), hooks, reports);
    }
    if (!hooks.empty()) {
        store_hooks(hooks);
    }
    if (!reports.empty()) {
        store_reports(reports);
    }
}

/// Answers at once where there is nothing to store.
void IntakeThread::read(Job job, std::vector<Pending>& hooks, std::vector<Pending>& reports) {
    try {
        if (job.request.kind == server::IntakeRequest::Kind::hook) {
            auto read = ingest::read_hook_event(job.request.body, namer_);
            if (const auto* bad = std::get_if<ingest::BadEvent>(&read)) {
                job.done(bad_event(*bad));
            } else if (auto* event = std::get_if<ingest::HookEvent>(&read)) {
                hooks.push_back({.done = std::move(job.done), .events = {to_skill_event(std::move(*event), job.at)}});
            } else {
                job.done({});
            }
            return;
        }
        const auto form = form_of(job.request.content_type);
        if (!form) {
            job.done(error_answer(415, "unsupported_media_type",
                                  "The Content-Type must be application/json or application/x-ndjson"));
            return;
        }
        auto read = ingest::read_invocations(job.request.body, *form);
        if (const auto* fault = std::get_if<ingest::ReportFault>(&read)) {
            job.done(bad_report(*fault));
            return;
        }
        Pending pending{.done = std::move(job.done), .events = {}};
        for (auto& invocation : std::get<std::vector<ingest::ReportedInvocation>>(read)) {
            pending.events.push_back(to_skill_event(std::move(invocation), job.at));
        }
        reports.push_back(std::move(pending));
    } catch (const std::exception& error) {  // memory
        kLog.error("a request could not be taken in: {}", error.what());
        if (job.done) {
            job.done(error_answer(500, "internal_error", "The request could not be taken in"));
        }
    }
}

std::vector<storage::EventStore::Outcome> IntakeThread::store(const std::vector<Pending>& pending,
                                                              storage::Source source) {
    std::vector<storage::SkillEvent> events;
    for (const Pending& job : pending) {
        events.insert(events.end(), job.events.begin(), job.events.end());
    }
    return open_store().take(events, source);
}

void IntakeThread::store_hooks(const std::vector<Pending>& hooks) {
    std::string trouble;
    try {
        while (spool_.take_in(open_store(), kMaxTakenIn) == kMaxTakenIn) {
        }
        store(hooks, storage::Source::hook_request);
    } catch (const std::exception& error) {
        trouble = error.what();
    }
    for (const Pending& hook : hooks) {
        if (trouble.empty()) {
            hook.done({});
            continue;
        }
        try {
            for (const storage::SkillEvent& event : hook.events) {
                spool_.put(event, Spool::Durability::power);
            }
            hook.done({});
        } catch (const std::exception& error) {
            kLog.error("an event of a hook is refused: {}; {}", trouble, error.what());
            hook.done(unavailable("The event can be stored neither in the database nor beside it"));
        }
    }
}

void IntakeThread::store_reports(const std::vector<Pending>& reports) {
    using std::chrono::steady_clock;
    const auto deadline =
        steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(config_.busy_timeout);
    std::vector<storage::EventStore::Outcome> outcomes;
    std::string trouble;
    for (bool again = true; again;) {
        again = false;
        trouble.clear();
        try {
            outcomes = store(reports, storage::Source::http);
        } catch (const storage::StorageError& error) {
            trouble = error.what();
            again = error.code() == storage::StorageErrc::busy && steady_clock::now() < deadline;
        } catch (const std::exception& error) {
            trouble = error.what();
        }
    }
    auto outcome = outcomes.begin();
    for (const Pending& report : reports) {
        if (!trouble.empty()) {
            report.done(unavailable("The database cannot be written now"));
            continue;
        }
        const auto end = outcome + static_cast<std::ptrdiff_t>(report.events.size());
        const auto stored = std::count_if(outcome, end, [](const auto& one) { return one.is_new; });
        report.done(
            {.status = 202, .body = Json{{"stored", stored}, {"known", std::distance(outcome, end) - stored}}.dump()});
        outcome = end;
    }
    if (!trouble.empty()) {
        kLog.warning("{} requests are refused: {}", reports.size(), trouble);
    }
}

void IntakeThread::look_after_open_uses() {
    try {
        spool_.take_in(open_store(), kMaxTakenIn);
        open_store().expire(clock_.now() - std::chrono::duration_cast<TimePoint::duration>(config_.hook_timeout));
        in_trouble_ = false;
    } catch (const std::exception& error) {
        if (!in_trouble_) {
            kLog.debug("the spool and what never ended must wait: {}", error.what());
        }
        in_trouble_ = true;
    }
}

storage::EventStore& IntakeThread::open_store() {
    if (!store_) {
        store_ = std::make_unique<storage::EventStore>(
            config_.db_path,
            storage::OpenOptions{
                .busy_timeout = kBusyTimeout, .create = false, .durability = storage::Durability::power});
    }
    return *store_;
}

}  // namespace session_buddy::app
