// Waits for a time, or for the system to tell that somebody wrote to a database: no polling while nothing happens.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace session_buddy::storage {

/// Watches the folder of a database file, and so notices its write-ahead log and its journal come and go, and another
/// file or folder take its place. What it tells is a hint and no more: our own writes, a checkpoint and a roll-back are
/// told as well, and with a write-ahead log it comes shortly before a reader can see the change.
class DatabaseWatch {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr Time kNever = Time::max();

    /// Nothing is watched before the first wait() that needs it. Throws std::system_error where the process has no
    /// file descriptor left.
    /// `on_removal` is called inside of wait() where the write-ahead log or its index may have been removed, whether or
    /// not wait() listens for changes. It must not throw.
    explicit DatabaseWatch(std::string path, std::function<void()> on_removal = {});
    ~DatabaseWatch();
    DatabaseWatch(const DatabaseWatch&) = delete;
    DatabaseWatch& operator=(const DatabaseWatch&) = delete;

    /// Waits until `until` or interrupt(), or for a change that is told after `listen_from`, or was before and by no
    /// other wait(). True for the latter. The first wait() that listens, and the first after another folder took the
    /// place of the watched one, tells of a change at once, as there may have been some before. Where the system does
    /// not tell of changes, that is logged once and the time alone counts. On one thread at a time.
    [[nodiscard]] bool wait(Time until, Time listen_from);

    /// Ends the wait() of another thread, or the next one. From any thread.
    void interrupt() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
