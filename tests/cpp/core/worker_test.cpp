// A worker's stop, failures and queue.
#include "session_buddy/core/worker.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <future>
#include <stdexcept>
#include <vector>

#include "support/log_lines.hpp"

namespace session_buddy {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::hours kLong{1};

using Numbers = JobWorker<int>;
using Push = Numbers::Push;

Push push(Numbers& worker, int number) {
    return worker.push(number);
}

std::vector<int> stop(Numbers& worker) {
    std::vector<int> rejected;
    worker.stop([&](int number) { rejected.push_back(number); });
    return rejected;
}

TEST(Worker, a_stop_ends_a_wait) {
    Worker worker("test");
    std::promise<void> started;
    bool continued = true;
    worker.start([&] {
        started.set_value();
        continued = worker.wait(kLong);
    });
    started.get_future().wait();
    worker.stop();
    EXPECT_FALSE(continued);
    EXPECT_TRUE(worker.stopping());
    worker.stop();  // again
}

TEST(Worker, a_wait_ends_after_its_time_and_does_not_begin_after_a_stop) {
    Worker worker("test");
    EXPECT_TRUE(worker.wait(milliseconds{1}));
    worker.request_stop();
    EXPECT_FALSE(worker.wait(kLong));
    EXPECT_FALSE(worker.wait(milliseconds{0}));
}

TEST(Worker, its_destructor_stops_the_thread) {
    std::atomic<bool> ended = false;
    {
        Worker worker("test");
        worker.start([&] {
            while (worker.wait(kLong)) {
            }
            ended = true;
        });
    }
    EXPECT_TRUE(ended);
}

TEST(Worker, starts_again_after_a_stop) {
    Worker worker("test");
    std::atomic<int> runs = 0;
    for (int round = 0; round < 2; ++round) {
        worker.start([&] {
            EXPECT_FALSE(worker.stopping());
            ++runs;
            static_cast<void>(worker.wait(kLong));
        });
        // The thread may not have begun yet: the stop comes when it waits.
        while (worker.wait(milliseconds{1}) && runs == round) {
        }
        worker.stop();
    }
    EXPECT_EQ(runs, 2);
}

TEST(Worker, logs_an_exception_and_calls_the_failure_handler) {
    static std::atomic<int> failures = 0;
    failures = 0;
    const test::LogLines lines(log::Level::error);
    Worker::on_failure([] { ++failures; });
    Worker worker("named");
    worker.start([] { throw std::runtime_error("the reason"); });
    worker.stop();
    Worker::on_failure(nullptr);
    EXPECT_EQ(lines.count("the named thread failed: the reason"), 1U);
    EXPECT_EQ(failures, 1);
    worker.start([] { throw std::runtime_error("without a handler"); });
    worker.stop();
    EXPECT_EQ(failures, 1);
}

TEST(Worker, blocks_signals_but_not_faults) {
    Worker worker("test");
    sigset_t blocked;
    sigemptyset(&blocked);
    worker.start([&] { pthread_sigmask(SIG_BLOCK, nullptr, &blocked); });
    worker.stop();
    EXPECT_EQ(sigismember(&blocked, SIGTERM), 1);
    EXPECT_EQ(sigismember(&blocked, SIGHUP), 1);
    EXPECT_EQ(sigismember(&blocked, SIGSEGV), 0);
    EXPECT_EQ(sigismember(&blocked, SIGPROF), 0);
}

TEST(JobWorker, rejects_jobs_when_full_and_after_a_stop) {
    Numbers worker("test", 2);
    EXPECT_EQ(push(worker, 1), Push::queued);
    EXPECT_EQ(push(worker, 2), Push::queued);
    EXPECT_EQ(push(worker, 3), Push::full);
    EXPECT_EQ(stop(worker), (std::vector<int>{1, 2})) << "never started";
    EXPECT_EQ(push(worker, 4), Push::stopped);
    EXPECT_EQ(stop(worker), std::vector<int>{}) << "each is rejected once";
}

TEST(JobWorker, leaves_a_rejected_job_to_its_caller) {
    JobWorker<std::vector<int>> worker("test", 0);
    std::vector<int> job{1, 2, 3};
    EXPECT_EQ(worker.push(job), JobWorker<std::vector<int>>::Push::full);
    EXPECT_EQ(job.size(), 3U);
}

TEST(JobWorker, pops_jobs_in_order_also_those_from_before_the_start) {
    Numbers worker("test", Numbers::kBoundedByCallers);
    for (const int number : {1, 2, 3}) {
        EXPECT_EQ(push(worker, number), Push::queued);
    }
    std::vector<int> taken;
    std::promise<void> all;
    worker.start([&] {
        while (const auto number = worker.pop()) {
            taken.push_back(*number);
            if (taken.size() == 4) {
                all.set_value();
            }
        }
    });
    EXPECT_EQ(push(worker, 4), Push::queued);
    all.get_future().wait();
    EXPECT_EQ(stop(worker), std::vector<int>{});
    EXPECT_EQ(taken, (std::vector<int>{1, 2, 3, 4}));
}

TEST(JobWorker, a_pop_ends_after_its_time) {
    Numbers worker("test", 1);
    EXPECT_EQ(worker.pop(milliseconds{1}), std::nullopt);
    EXPECT_EQ(push(worker, 1), Push::queued);
    EXPECT_EQ(worker.pop(milliseconds{0}), 1);
}

TEST(JobWorker, after_a_stop_pop_leaves_the_jobs_to_be_rejected) {
    Numbers worker("test", 2);
    std::promise<void> first;
    worker.start([&] {
        EXPECT_EQ(worker.pop(), 1);
        first.set_value();
        EXPECT_FALSE(worker.wait(kLong));
        EXPECT_EQ(worker.pop(), std::nullopt);
        EXPECT_EQ(worker.pop(kLong), std::nullopt);
    });
    EXPECT_EQ(push(worker, 1), Push::queued);
    first.get_future().wait();
    EXPECT_EQ(push(worker, 2), Push::queued);
    EXPECT_EQ(stop(worker), std::vector<int>{2});
}

TEST(JobWorker, after_a_stop_take_all_drains_the_jobs) {
    Numbers worker("test", 2);
    std::promise<void> first;
    std::vector<int> drained;
    worker.start([&] {
        const auto batch = worker.take_all(Numbers::Time::max());
        EXPECT_FALSE(batch.last);
        first.set_value();
        EXPECT_FALSE(worker.wait(kLong));
        const auto [jobs, last] = worker.take_all(Numbers::Time::max());
        EXPECT_TRUE(last);
        drained.assign(jobs.begin(), jobs.end());
    });
    EXPECT_EQ(push(worker, 1), Push::queued);
    first.get_future().wait();
    EXPECT_EQ(push(worker, 2), Push::queued);
    EXPECT_EQ(push(worker, 3), Push::queued);
    EXPECT_EQ(stop(worker), std::vector<int>{});
    EXPECT_EQ(drained, (std::vector<int>{2, 3}));
}

TEST(JobWorker, a_take_all_ends_at_its_time) {
    Numbers worker("test", 1);
    const auto [jobs, last] = worker.take_all(std::chrono::steady_clock::now() + milliseconds{1});
    EXPECT_TRUE(jobs.empty());
    EXPECT_FALSE(last);
}

TEST(JobWorker, takes_or_rejects_each_accepted_job_once_during_a_concurrent_stop) {
    for (int round = 0; round < 20; ++round) {
        Numbers worker("test", 10);
        std::atomic<int> taken = 0;
        worker.start([&] {
            while (worker.pop()) {
                ++taken;
            }
        });
        std::atomic<int> queued = 0;
        std::thread sender([&] {
            for (int i = 0; i < 200; ++i) {
                queued += push(worker, i) == Push::queued ? 1 : 0;
            }
        });
        const auto rejected = static_cast<int>(stop(worker).size());
        sender.join();
        EXPECT_EQ(taken + rejected, queued);
    }
}

}  // namespace
}  // namespace session_buddy
