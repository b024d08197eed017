// A thread that takes in what clients hand in: it reads the bodies of requests, stores what they hold and says what
// became of it. It also takes in the spool, and gives up tool uses that never ended.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "session_buddy/app/spool.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
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

  private:
    struct Job {
        server::IntakeRequest request;
        TimePoint at;
        Done done;
    };
    /// A job whose events are in the transaction that is made up.
    struct Pending {
        Done done;
        std::vector<storage::SkillEvent> events;
    };

    void run();
    void work_off(std::deque<Job> jobs);
    void read(Job job, std::vector<Pending>& hooks, std::vector<Pending>& reports);
    void store_hooks(const std::vector<Pending>& hooks);
    void store_reports(const std::vector<Pending>& reports);
    std::vector<storage::EventStore::Outcome> store(const std::vector<Pending>& pending, storage::Source source);
    void look_after_open_uses();
    storage::EventStore& open_store();

    const Config& config_;
    const Clock& clock_;
    const ingest::SkillNamer namer_;
    const Spool spool_;
    std::unique_ptr<storage::EventStore> store_;  // opened when it is needed: a read-only database is served, too

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    bool open_ = true;
    bool in_trouble_ = false;
    std::thread thread_;
};

}  // namespace session_buddy::app
