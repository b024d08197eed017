// Requests submitted by a server under test, queued until the test responds.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "server/test_client.hpp"

namespace session_buddy::test {

/// For a test double of Intake or Queries. Thread-safe.
template <typename Request, typename Answer>
class PendingRequests {
  public:
    using Done = std::function<void(Answer)>;
    struct Entry {
        Request request;
        Done done;
    };

    void push(Request request, Done done) {
        const std::scoped_lock lock(mutex_);
        entries_.push_back({std::move(request), std::move(done)});
        came_.notify_all();
    }
    /// Waits for the next request.
    Entry next() {
        std::unique_lock lock(mutex_);
        if (!came_.wait_for(lock, kTestTimeout, [this] { return !entries_.empty(); })) {
            throw std::runtime_error("no request was submitted");
        }
        Entry first = std::move(entries_.front());
        entries_.pop_front();
        return first;
    }
    [[nodiscard]] bool empty() {
        const std::scoped_lock lock(mutex_);
        return entries_.empty();
    }

  private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::deque<Entry> entries_;
};

}  // namespace session_buddy::test
