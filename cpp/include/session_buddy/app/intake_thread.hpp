// The ingestion thread: parses the bodies of ingestion requests, stores the events and answers the requests. It also
// drains the spool, and records tool uses that never finished as failed.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "session_buddy/app/spool.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/counter.hpp"
#include "session_buddy/core/worker.hpp"
#include "session_buddy/ingest/skill_name.hpp"
#include "session_buddy/server/intake.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {

/// The network side bounds the size of the queue (max_intake_bytes).
class IntakeThread final : public server::Intake {
  public:
    /// `config` and `clock` must outlive it.
    IntakeThread(const Config& config, const Clock& clock);
    ~IntakeThread() override;  // stops

    /// Requests that arrive before start() are queued.
    void start();
    /// Stops the thread. Queued hook events are stored first, in the database or in the spool. A report that is not
    /// completely stored by then is answered with 503, with the number of stored records; later requests are answered
    /// with 503. Idempotent.
    void stop();

    void submit(server::IntakeRequest request, Done done) override;

    /// Number of rows that requests have added to the database; rows from the spool are not counted.
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
    /// A request with records that are not stored yet.
    struct Report {
        Done done;
        std::size_t left;                                // records in report_events_ that are not stored
        std::int64_t stored = 0;                         // records that were new to the database
        std::int64_t known = 0;                          // records that were in the database before
        std::chrono::steady_clock::time_point deadline;  // to give up if the database stays locked
    };

    void run();
    void read(std::deque<Job>& arrived, bool open);
    void read_hook(Job& job);
    void read_report(Job& job);
    void store_hooks();
    bool drain_spool(storage::EventStore& store);
    void store_reports(bool last_try);
    bool store_some_reports(bool last_try);
    void complete_stored(std::span<const storage::EventStore::Result> outcomes);
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
    std::unique_ptr<storage::EventStore> store_;  // opened on first use, because a read-only database is served as well

    std::deque<Job> unread_;  // reports not parsed yet: parsed, they take several times the memory
    std::vector<Hook> hooks_;
    std::deque<Report> reports_;
    std::vector<storage::SkillEvent> report_events_;  // the records of all reports_, in the same order
    std::size_t first_event_ = 0;                     // the first in report_events_ that is not stored
    bool one_by_one_ = false;                         // the database rejected one of reports_: store them one by one
    // Next write of reports; until then other programs can get the lock
    std::chrono::steady_clock::time_point next_write_;
    Counter rows_stored_;

    bool maintenance_failed_ = false;
    JobWorker<Job> worker_{"ingestion", JobWorker<Job>::kBoundedByCallers};
};

}  // namespace session_buddy::app
