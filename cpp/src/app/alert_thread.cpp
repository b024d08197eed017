// Runs one command after the other on one connection, which is closed when idle.
#include "session_buddy/app/alert_thread.hpp"

#include <chrono>
#include <exception>
#include <utility>
#include <variant>

#include "session_buddy/core/log.hpp"
#include "session_buddy/core/overloaded.hpp"

namespace session_buddy::app {
namespace {

/// Queued commands wait for it, too, and so does a stop.
constexpr std::chrono::milliseconds kCommandBusyTimeout{1000};
/// After this idle time the connection is closed, because a replaced database file would go unnoticed.
constexpr std::chrono::milliseconds kCommandIdleTime{2000};

AlertCommandError to_error(storage::StorageErrc code) {
    switch (code) {
        case storage::StorageErrc::busy:
            return AlertCommandError::locked;
        case storage::StorageErrc::read_only:
            return AlertCommandError::read_only;
        default:
            return AlertCommandError::unavailable;
    }
}

}  // namespace

AlertThread::AlertThread(const Config& config, const Clock& clock)
    : clock_(clock), store_(config.db_path, kCommandBusyTimeout) {}

AlertThread::~AlertThread() {
    stop();
}

void AlertThread::start() {
    worker_.start([this] { run(); });
}

void AlertThread::stop() {
    worker_.stop([](const Job& job) { job.done(AlertCommandError::stopping); });
}

void AlertThread::submit(AlertCommand command, Done done) {
    Job job{.command = std::move(command), .done = std::move(done)};
    switch (worker_.push(job)) {
        case JobWorker<Job>::Push::queued:
            return;
        case JobWorker<Job>::Push::full:
            return job.done(AlertCommandError::too_many);
        case JobWorker<Job>::Push::stopped:
            return job.done(AlertCommandError::stopping);
    }
}

void AlertThread::run() {
    for (;;) {
        std::optional<Job> job = worker_.pop(kCommandIdleTime);
        if (!job) {  // idle or stopping
            store_.close();
            job = worker_.pop();
        }
        if (!job) {
            return;
        }
        job->done(execute(job->command));
    }
}

AlertCommandResult AlertThread::execute(const AlertCommand& command) {
    const TimePoint now = clock_.now();
    try {
        return std::visit(Overloaded{
                              [&](const AcknowledgeAlert& wanted) -> AlertCommandResult {
                                  auto alert = store_.acknowledge(wanted.id, wanted.note, now);
                                  return alert ? AlertCommandResult(std::move(*alert)) : AlertCommandError::not_found;
                              },
                              [&](const MuteSkill& wanted) -> AlertCommandResult {
                                  const auto until = wanted.time ? std::optional(now + *wanted.time) : std::nullopt;
                                  return store_.mute(wanted.skill_name, until, wanted.reason, now);
                              },
                              [&](const UnmuteSkill& wanted) -> AlertCommandResult {
                                  return store_.unmute(wanted.skill_name, now) ? AlertCommandResult(Unmuted{})
                                                                               : AlertCommandError::not_found;
                              },
                          },
                          command);
    } catch (const storage::StorageError& error) {
        log::kServer.debug("command on alerts failed: {}", error.what());
        return to_error(error.code());
    } catch (const std::exception& error) {
        log::kServer.error("command on alerts failed: {}", error.what());
        return AlertCommandError::unavailable;
    }
}

}  // namespace session_buddy::app
