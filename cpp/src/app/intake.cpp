// See intake.hpp.
#include "session_buddy/app/intake.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/tool_rule.hpp"
#include "session_buddy/ingest/hook_event.hpp"
#include "session_buddy/ingest/invocation_json.hpp"
#include "session_buddy/protocol/problem.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::app {
namespace {

constexpr log::Logger kLog{"session_buddy.intake"};

/// For a lock on the database: whoever waits for a hook waits for it, too.
constexpr std::chrono::milliseconds kBusyTimeout{50};
/// Between two looks at the spool and at what never ended.
constexpr std::chrono::milliseconds kLookPause{1000};
/// Of the spool, at a look.
constexpr std::size_t kMaxTakenIn = 1000;
/// Between two attempts at a database that is locked.
constexpr std::chrono::milliseconds kRetryPause{20};
/// In one transaction, or little more.
constexpr std::size_t kMaxEventsTogether = ingest::kMaxReportedInvocations;
constexpr unsigned kRetryAfterSeconds = 2;

server::IntakeAnswer error_answer(unsigned status, std::string_view code, std::string_view detail,
                                  const std::vector<protocol::ProblemMember>& members = {}) {
    return {.status = status, .body = protocol::problem(status, code, detail, members)};
}

server::IntakeAnswer unavailable(const std::string& message) {
    auto answer = error_answer(503, "database_unavailable", message);
    answer.retry_after = kRetryAfterSeconds;
    return answer;
}

server::IntakeAnswer bad_event(const ingest::BadEvent& bad) {
    std::vector<protocol::ProblemMember> members;
    if (!bad.field.empty()) {
        members.emplace_back("field", bad.field);
    }
    return error_answer(400, "bad_request", bad.reason, members);
}

server::IntakeAnswer bad_report(const ingest::ReportFault& fault) {
    std::vector<protocol::ProblemMember> members;
    if (fault.index) {
        members.emplace_back("index", static_cast<std::int64_t>(*fault.index));
    }
    if (!fault.field.empty()) {
        members.emplace_back("field", fault.field);
    }
    return error_answer(fault.too_many ? 413U : 400U, fault.too_many ? "too_many_invocations" : "bad_request",
                        fault.reason, members);
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
    using std::chrono::steady_clock;
    auto next_look = steady_clock::now();
    for (;;) {
        std::deque<Job> jobs;
        bool open = true;
        {
            std::unique_lock lock(mutex_);
            const auto until = reports_.empty() ? next_look : std::min(next_look, steady_clock::now() + kRetryPause);
            wake_.wait_until(lock, until, [this] { return !jobs_.empty() || !open_; });
            open = open_;
            jobs.swap(jobs_);
        }
        try {
            work_off(std::move(jobs));
            store_hooks();
            store_reports(/*last_try=*/!open);
            if (steady_clock::now() >= next_look) {
                look_after_open_uses();
                next_look = steady_clock::now() + kLookPause;
            }
        } catch (const std::exception& error) {  // memory
            kLog.error("what came in could not be stored: {}", error.what());
            const auto refuse = [](std::vector<Pending>& all) {
                for (const Pending& one : std::exchange(all, {})) {
                    one.done(error_answer(500, "internal_error", "The request could not be taken in"));
                }
            };
            refuse(hooks_);
            refuse(reports_);
            events_ = 0;
        }
        if (!open) {
            return;  // nothing comes after stop() but refusals
        }
    }
}

/// Many requests share one transaction, but not so many that it holds up other programs or fills the memory.
void IntakeThread::work_off(std::deque<Job> jobs) {
    while (!jobs.empty()) {
        read(jobs.front());
        jobs.pop_front();
        if (events_ >= kMaxEventsTogether) {
            store_hooks();
            store_reports(false);
        }
    }
}

/// Answers at once where there is nothing to store.
void IntakeThread::read(Job& job) {
    const auto refuse = [&job](server::IntakeAnswer answer) { job.done(std::move(answer)); };
    std::vector<storage::SkillEvent> events;
    if (job.request.kind == server::IntakeRequest::Kind::hook) {
        auto read = ingest::read_hook_event(job.request.body, namer_);
        if (const auto* bad = std::get_if<ingest::BadEvent>(&read)) {
            refuse(bad_event(*bad));
            return;
        }
        auto* event = std::get_if<ingest::HookEvent>(&read);
        if (event == nullptr) {
            job.done({});
            return;
        }
        if (event->bad_duration) {
            kLog.debug("the duration of an invocation of {} is left out: duration_ms, in seconds, {}",
                       event->skill_name, kDurationRule);
        }
        events.push_back(to_skill_event(std::move(*event), job.at));
    } else {
        const auto form = form_of(job.request.content_type);
        if (!form) {
            refuse(error_answer(415, "unsupported_media_type",
                                "The Content-Type must be application/json or application/x-ndjson"));
            return;
        }
        auto read = ingest::read_invocations(job.request.body, *form);
        if (const auto* fault = std::get_if<ingest::ReportFault>(&read)) {
            refuse(bad_report(*fault));
            return;
        }
        auto& invocations = std::get<std::vector<ingest::ReportedInvocation>>(read);
        events.reserve(invocations.size());
        for (auto& invocation : invocations) {
            events.push_back(to_skill_event(std::move(invocation), job.at));
        }
    }
    auto& pending = job.request.kind == server::IntakeRequest::Kind::hook ? hooks_ : reports_;
    pending.reserve(pending.size() + 1);
    events_ += events.size();
    pending.push_back(
        {.done = std::move(job.done),
         .events = std::move(events),
         .deadline = std::chrono::steady_clock::now() +
                     std::chrono::duration_cast<std::chrono::steady_clock::duration>(config_.busy_timeout)});
}

void IntakeThread::store_hooks() {
    const std::vector<Pending> hooks = std::exchange(hooks_, {});
    if (hooks.empty()) {
        return;
    }
    events_ -= hooks.size();
    std::string trouble;
    try {
        storage::EventStore& store = open_store();
        while (spool_.take_in(store, kMaxTakenIn)) {
        }
        std::vector<storage::SkillEvent> events;
        events.reserve(hooks.size());
        for (const Pending& hook : hooks) {
            events.push_back(hook.events.front());
        }
        const auto outcomes = store.take(events, storage::Source::hook_request);
        rows_stored_.add(
            static_cast<std::uint64_t>(std::ranges::count_if(outcomes, [](const auto& one) { return one.is_new; })));
    } catch (const std::exception& error) {
        trouble = error.what();
    }
    for (const Pending& hook : hooks) {
        try {
            if (!trouble.empty()) {
                spool_.put(hook.events.front(), storage::Source::hook_request, storage::Durability::power);
            }
        } catch (const std::exception& error) {
            kLog.error("an event of a hook is refused: {}; {}", trouble, error.what());
            hook.done(unavailable("The event can be stored neither in the database nor beside it"));
            continue;
        }
        hook.done({});
    }
}

void IntakeThread::store_reports(bool last_try) {
    if (reports_.empty()) {
        return;
    }
    std::string trouble;
    try {
        std::vector<storage::SkillEvent> events;
        for (const Pending& report : reports_) {
            events.insert(events.end(), report.events.begin(), report.events.end());
        }
        const auto outcomes = open_store().take(events, storage::Source::http);
        std::size_t place = 0;
        for (const Pending& report : std::exchange(reports_, {})) {
            answer_stored(report, std::span(outcomes).subspan(place, report.events.size()));
            events_ -= report.events.size();
            place += report.events.size();
        }
        return;
    } catch (const storage::StorageError& error) {
        trouble = error.what();
        if (error.code() != storage::StorageErrc::busy) {
            store_reports_one_by_one();
            return;
        }
    }
    const auto now = std::chrono::steady_clock::now();
    const auto is_over = [&](const Pending& report) { return last_try || now >= report.deadline; };
    std::size_t refused = 0;
    for (const Pending& report : reports_) {
        if (is_over(report)) {
            report.done(unavailable("The database is locked by another program"));
            events_ -= report.events.size();
            ++refused;
        }
    }
    std::erase_if(reports_, is_over);
    if (refused > 0) {
        kLog.warning("{} requests are refused: {}", refused, trouble);
    }
}

/// One of them may be what the database refuses, and the others need not suffer for it.
void IntakeThread::store_reports_one_by_one() {
    for (const Pending& report : std::exchange(reports_, {})) {
        events_ -= report.events.size();
        try {
            answer_stored(report, open_store().take(report.events, storage::Source::http));
        } catch (const storage::StorageError& error) {
            kLog.warning("a request is refused: {}", error.what());
            report.done(unavailable("The database cannot be written now"));
        }
    }
}

void IntakeThread::answer_stored(const Pending& report, std::span<const storage::EventStore::Outcome> outcomes) {
    const auto stored = std::ranges::count_if(outcomes, [](const auto& one) { return one.is_new; });
    rows_stored_.add(static_cast<std::uint64_t>(stored));
    const auto known = static_cast<std::ptrdiff_t>(outcomes.size()) - stored;
    report.done({.status = 202, .body = nlohmann::ordered_json{{"stored", stored}, {"known", known}}.dump()});
}

void IntakeThread::look_after_open_uses() {
    try {
        storage::EventStore& store = open_store();
        if (!spool_.take_in(store, kMaxTakenIn)) {  // what is still in it may be the end of what seems to have none
            store.expire(clock_.now() - std::chrono::duration_cast<TimePoint::duration>(config_.hook_timeout));
        }
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
