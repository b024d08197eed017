// Values that other threads deliver and a test waits for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace session_buddy::test {

/// Thread-safe. Every wait throws after 20 s.
template <typename Value>
class Arrivals {
  public:
    void push(Value value) {
        const std::scoped_lock lock(mutex_);
        values_.push_back(std::move(value));
        came_.notify_all();
    }
    /// Waits for the oldest value and leaves it.
    [[nodiscard]] Value first() {
        const auto lock = wait();
        return values_.front();
    }
    /// Waits for the oldest value and takes it.
    [[nodiscard]] Value next() {
        const auto lock = wait();
        Value first = std::move(values_.front());
        values_.pop_front();
        return first;
    }
    [[nodiscard]] std::size_t size() {
        const std::scoped_lock lock(mutex_);
        return values_.size();
    }
    [[nodiscard]] bool empty() { return size() == 0; }

  private:
    [[nodiscard]] std::unique_lock<std::mutex> wait() {
        std::unique_lock lock(mutex_);
        if (!came_.wait_for(lock, std::chrono::seconds{20}, [this] { return !values_.empty(); })) {
            throw std::runtime_error("nothing arrived");
        }
        return lock;
    }

    std::mutex mutex_;
    std::condition_variable came_;
    std::deque<Value> values_;
};

}  // namespace session_buddy::test
