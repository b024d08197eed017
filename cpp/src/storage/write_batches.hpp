// Write transactions of limited length with pauses between them, so that other writers can write.
#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace session_buddy::storage {

class WriteBatches {
  public:
    using Clock = std::chrono::steady_clock;

    /// `time`: how long a batch may change rows while other writers wait; its commit comes on top. The pause after a
    /// batch is `pause_factor` times as long as the batch.
    WriteBatches(std::chrono::milliseconds time, int pause_factor) : time_(time), pause_factor_(pause_factor) {}

    /// Runs `work(until)` in a write transaction, and commits.
    template <typename Work>
    auto run(SQLite::Database& database, const Work& work) {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        const auto start = Clock::now();
        auto result = work(start + time_);
        transaction.commit();
        held_ = Clock::now() - start;
        longest_ = std::max(longest_, held_);
        return result;
    }

    /// How long the last batch blocked other writers, and the longest one.
    [[nodiscard]] Clock::duration held() const { return held_; }
    [[nodiscard]] std::chrono::microseconds longest() const {
        return std::chrono::ceil<std::chrono::microseconds>(longest_);
    }
    /// How long to wait before the next batch. A writer that finds the database locked sleeps for 1, 2, 5, 10 and 15 ms
    /// first: it cannot sleep through a pause, and so waits hardly longer than a batch takes.
    [[nodiscard]] std::chrono::milliseconds pause() const {
        return std::max(kShortestPause, pause_factor_ * std::chrono::ceil<std::chrono::milliseconds>(held_));
    }

  private:
    static constexpr std::chrono::milliseconds kShortestPause{20};

    std::chrono::milliseconds time_;
    int pause_factor_;
    Clock::duration held_{0};
    Clock::duration longest_{0};
};

}  // namespace session_buddy::storage
