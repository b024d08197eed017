// The real server as a process of its own: started, listened to, looked at, and stopped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace session_buddy::bench {

class ServedProcess {
  public:
    /// Starts the program `server` on `database` and waits for its first metrics_update.
    ServedProcess(const std::string& server, const std::string& database);
    ~ServedProcess();  // stops it
    ServedProcess(const ServedProcess&) = delete;
    ServedProcess& operator=(const ServedProcess&) = delete;

    [[nodiscard]] double seconds_to_first_update() const { return seconds_; }
    [[nodiscard]] const nlohmann::json& first_update() const { return update_; }
    /// A line of /proc/PID/status in MiB: VmRSS, VmHWM.
    [[nodiscard]] double megabytes(const std::string& name) const;
    /// Of all threads so far.
    [[nodiscard]] double cpu_seconds() const;

  private:
    pid_t process_ = -1;
    double seconds_ = 0.0;
    nlohmann::json update_;
};

}  // namespace session_buddy::bench
