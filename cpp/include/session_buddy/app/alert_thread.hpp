// The thread that stores what people add to alerts: acknowledgements and mutes.
#pragma once

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/worker.hpp"
#include "session_buddy/server/alert_commands.hpp"
#include "session_buddy/storage/alert_store.hpp"

namespace session_buddy::app {

/// At most kMaxAlertCommands are queued.
class AlertThread final : public server::AlertCommands {
  public:
    /// `config` and `clock` must outlive it. Opens nothing before the first command.
    AlertThread(const Config& config, const Clock& clock);
    ~AlertThread() override;  // stops

    void start();
    /// Stops the thread after its current command; queued and later ones end with AlertCommandError::stopping.
    /// Idempotent.
    void stop();

    void submit(AlertCommand command, Done done) override;

    static constexpr std::size_t kMaxAlertCommands = 64;

  private:
    struct Job {
        AlertCommand command;
        Done done;
    };

    void run();
    [[nodiscard]] AlertCommandResult execute(const AlertCommand& command);

    const Clock& clock_;
    storage::AlertStore store_;
    JobWorker<Job> worker_{"alerts", kMaxAlertCommands};
};

}  // namespace session_buddy::app
