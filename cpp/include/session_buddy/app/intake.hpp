// A thread that takes in what clients hand in: it reads the bodies of requests, stores what they hold and says what
// became of it. It also takes in the spool, and gives up tool uses that never ended.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "session_buddy/app/spool.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/counter.hpp"
#include "session_buddy/ingest/skill_name.hpp"
#include "session_buddy/server/intake.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {

/// The network side bounds what waits here (max_intake_bytes).
class IntakeThread final : public server::Intake {
  public:
    /// `config` and `clock` must outlive it.
    IntakeThread(const Config& config, const Clock& clock);
    ~IntakeThread() override;  // stops

    /// Requests that come before it wait for it.
    void start();
    /// Works off what waits and ends the thread; from then on requests are answered with 503. Idempotent.
    void stop();

    void take(server::IntakeRequest request, Done done) override;

    /// Rows of requests that are in the database now and were not before; the spool's are not among them.
    [[nodiscard]] std::uint64_t rows_stored() const noexcept { return rows_stored_.value(); }

  private:
    struct Job {
        server::IntakeRequest request;
        TimePoint at;
        Done done;
    };
    /// A job whose events wait for the database.
    struct Pending {
        Done done;
        std::vector<storage::SkillEvent> events;
        std::chrono::steady_clock::time_point deadline;
    };

    void run();
    void work_off(std::deque<Job> jobs);
    void read(Job& job);
    void store_hooks();
    void store_reports(bool last_try);
    void store_reports_one_by_one();
    void answer_stored(const Pending& report, std::span<const storage::EventStore::Outcome> outcomes);
    void look_after_open_uses();
    storage::EventStore& open_store();

    const Config& config_;
    const Clock& clock_;
    const ingest::SkillNamer namer_;
    const Spool spool_;
    std::unique_ptr<storage::EventStore> store_;  // opened when it is needed: a read-only database is served, too

    std::vector<Pending> hooks_;
    std::vector<Pending> reports_;  // may wait for a database that is locked, up to their deadlines
    std::size_t events_ = 0;        // in both
    Counter rows_stored_;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    bool open_ = true;
    bool in_trouble_ = false;
    std::thread thread_;
};

}  // namespace session_buddy::app
