// Runs the real server as a child process, connects to it and measures its memory and CPU time.
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
    /// A field of /proc/PID/status in MiB, such as VmRSS or VmHWM.
    [[nodiscard]] double megabytes(const std::string& name) const;
    /// CPU time of all threads so far.
    [[nodiscard]] double cpu_seconds() const;

  private:
    pid_t process_ = -1;
    double seconds_ = 0.0;
    nlohmann::json update_;
};

}  // namespace session_buddy::bench
