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
    /// Ends the thread. Events of hooks that wait are stored first, in the database or in the spool; a report of which
    /// not everything is stored by then is answered with 503, which says how much is. So are later requests.
    /// Idempotent.
    void stop();

    void submit(server::IntakeRequest request, Done done) override;

    /// Rows of requests that are in the database now and were not before; the spool's are not among them.
    [[nodiscard]] std::uint64_t rows_stored() const noexcept { return rows_stored_.value(); }

  private:
    struct Job {
        server::IntakeRequest request;
        TimePoint at;
        Done done;
    };
    struct Hook {
        Done done;
        storage::SkillEvent event;
    };
    /// A request whose records wait for the database, or some of them.
    struct Report {
        Done done;
        std::size_t left;         // of its records, in report_events_
        std::int64_t stored = 0;  // of the others, in the database now and not before
        std::int64_t known = 0;
        std::chrono::steady_clock::time_point deadline;  // for a database that is locked
    };

    void run();
    [[nodiscard]] bool is_open();
    void read(std::deque<Job>& hooks, bool open);
    void read_hook(Job& job);
    void read_report(Job& job);
    void store_hooks();
    bool drain_spool(storage::EventStore& store);
    void store_reports(bool last_try);
    bool store_some_reports(bool last_try);
    void answer_stored(std::span<const storage::EventStore::Result> outcomes);
    void reject_first(const std::string& why);
    void discard_stored();
    void reject_all();
    void drain_and_expire();
    storage::EventStore& open_store();

    const Config& config_;
    const Clock& clock_;
    const ingest::SkillNamer namer_;
    const Spool spool_;
    const std::chrono::steady_clock::duration max_lock_;
    std::unique_ptr<storage::EventStore> store_;  // opened when it is needed: a read-only database is served, too

    std::deque<Job> unread_;  // reports that wait until others are stored: read, they take several times the memory
    std::vector<Hook> hooks_;
    std::deque<Report> reports_;
    std::vector<storage::SkillEvent> report_events_;    // of all of them, in their order
    std::size_t first_event_ = 0;                       // in report_events_, that is not stored
    bool one_by_one_ = false;                           // one of reports_ is what the database does not take
    std::chrono::steady_clock::time_point next_write_;  // of reports; other programs have their turn until then
    Counter rows_stored_;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> hook_jobs_;
    std::deque<Job> report_jobs_;
    bool open_ = true;
    bool maintenance_failed_ = false;
    std::thread thread_;
};

}  // namespace session_buddy::app
