// Interface through which the network layer submits commands on alerts to the thread that writes them.
#pragma once

#include <functional>

#include "session_buddy/core/alert_command.hpp"

namespace session_buddy::server {

class AlertCommands {
  public:
    virtual ~AlertCommands() = default;
    using Done = std::function<void(AlertCommandResult)>;
    /// Called on the network thread: must not block or throw. `done` must be called exactly once, on any thread, before
    /// the NetworkServer is destroyed. A result other than AlertCommandError is stored durably.
    virtual void submit(AlertCommand command, Done done) = 0;
};

}  // namespace session_buddy::server
