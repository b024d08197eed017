// Background threads: how each starts, waits, fails and stops, and the bounded queue of those that do jobs for others.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace session_buddy {

/// A thread with a stop flag, as std::jthread, which libc++ has had by default only since LLVM 20. All signals are
/// blocked in it. The owner declares it last, so that the thread ends before what it uses is destroyed.
class Worker {
  public:
    /// `name` appears in the log and must outlive it.
    explicit Worker(const char* name) noexcept : name_(name) {}
    ~Worker();  // stops
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Runs `body` on a new thread; also after a stop. If `body` throws, the error is logged and the handler of
    /// on_failure(), if any, is called. Throws std::system_error if the system has no thread left.
    void start(std::function<void()> body);
    /// Sets the stop flag and wakes the thread. For owners that interrupt other waits, too, before they call stop().
    void request_stop() noexcept;
    /// Requests the stop and waits for the end of the thread. Idempotent; not for two threads at the same time.
    void stop() noexcept;

    /// Lock-free.
    [[nodiscard]] bool stopping() const noexcept { return stopping_; }
    /// For the thread itself: waits for `time`, and returns false immediately when it must stop.
    [[nodiscard]] bool wait(std::chrono::milliseconds time);

    /// Sets the handler of all workers; nullptr for none.
    static void on_failure(void (*handler)()) noexcept;

  protected:
    std::mutex mutex_;
    std::condition_variable wake_;

  private:
    const char* name_;
    std::atomic<bool> stopping_ = false;  // changed under mutex_
    std::thread thread_;
};

/// A worker with a bounded queue. Jobs that arrive before start() are queued; those after a stop are rejected. Every
/// accepted job is taken by the thread or passed to the argument of stop().
template <typename Job>
class JobWorker : public Worker {
  public:
    using Time = std::chrono::steady_clock::time_point;
    enum class Push : std::uint8_t { queued, full, stopped };
    /// The number of jobs is limited by those who push them.
    static constexpr std::size_t kBoundedByCallers = std::numeric_limits<std::size_t>::max();

    JobWorker(const char* name, std::size_t capacity) noexcept : Worker(name), capacity_(capacity) {}
    ~JobWorker() { Worker::stop(); }
    JobWorker(const JobWorker&) = delete;
    JobWorker& operator=(const JobWorker&) = delete;

    /// Moves from `job` only if it is queued. Thread-safe.
    [[nodiscard]] Push push(Job& job) {
        const std::lock_guard lock(mutex_);
        if (stopping() || jobs_.size() >= capacity_) {
            return stopping() ? Push::stopped : Push::full;
        }
        jobs_.push_back(std::move(job));
        wake_.notify_all();
        return Push::queued;
    }

    /// For a thread that leaves the rest at a stop: waits for the next job. nullopt after `time` or at a stop.
    [[nodiscard]] std::optional<Job> pop(std::chrono::milliseconds time) {
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, time, [this] { return has_event(); });
        return take_first();
    }
    [[nodiscard]] std::optional<Job> pop() {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return has_event(); });
        return take_first();
    }

    /// For a thread that drains the queue: waits for a job, a stop or `until`, and takes all jobs. `last`: at a stop;
    /// no job follows these.
    struct Batch {
        std::deque<Job> jobs;
        bool last;
    };
    [[nodiscard]] Batch take_all(Time until) {
        std::unique_lock lock(mutex_);
        wake_.wait_until(lock, until, [this] { return has_event(); });
        return {.jobs = std::exchange(jobs_, {}), .last = stopping()};
    }

    /// Stops the thread, then calls `reject` with each job that it has not taken.
    template <typename Reject>
    void stop(const Reject& reject) {
        Worker::stop();
        for (Job& job : take_all(Time{}).jobs) {
            reject(job);
        }
    }

  private:
    [[nodiscard]] bool has_event() const { return !jobs_.empty() || stopping(); }
    [[nodiscard]] std::optional<Job> take_first() {
        if (jobs_.empty() || stopping()) {
            return std::nullopt;
        }
        std::optional<Job> job(std::move(jobs_.front()));
        jobs_.pop_front();
        return job;
    }

    const std::size_t capacity_;
    std::deque<Job> jobs_;
};

}  // namespace session_buddy
