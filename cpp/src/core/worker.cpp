// The start and end of a worker's thread.
#include "session_buddy/core/worker.hpp"

#include <csignal>
#include <exception>

#include "session_buddy/core/log.hpp"

namespace session_buddy {
namespace {

std::atomic<void (*)()> failure_handler{nullptr};

/// Signals are for the main thread, except for synchronous faults and SIGPROF.
void block_signals() {
    sigset_t signals;
    sigfillset(&signals);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) {
        sigdelset(&signals, fault);
    }
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

Worker::~Worker() {
    stop();
}

void Worker::start(std::function<void()> body) {
    stopping_ = false;
    thread_ = std::thread([name = name_, body = std::move(body)] {
        block_signals();
        try {
            body();
        } catch (const std::exception& error) {
            log::kServer.error("the {} thread failed: {}", name, error.what());
            if (auto* const handler = failure_handler.load(); handler != nullptr) {
                handler();
            }
        }
    });
}

void Worker::request_stop() noexcept {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
}

void Worker::stop() noexcept {
    request_stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

bool Worker::wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, time, [this] { return stopping(); });
}

void Worker::on_failure(void (*handler)()) noexcept {
    failure_handler = handler;
}

}  // namespace session_buddy
