// Waits for a deadline, or for a file system notification that a database was written: no polling while it is idle.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace session_buddy::storage {

/// Watches the folder of a database file, and so notices when its write-ahead log or journal is created or removed, and
/// when the file or folder is replaced. A notification is only a hint: our own writes, checkpoints and rollbacks cause
/// one, too, and in WAL mode it arrives shortly before a reader can see the change.
class DatabaseWatch {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr Time kNever = Time::max();

    /// Starts watching with the first wait() that needs it. Throws std::system_error if the process has no file
    /// descriptor left. wait() calls `on_removal` when the write-ahead log or its index may have been removed, even
    /// while it does not listen for changes. It must not throw.
    explicit DatabaseWatch(std::string path, std::function<void()> on_removal = {});
    ~DatabaseWatch();
    DatabaseWatch(const DatabaseWatch&) = delete;
    DatabaseWatch& operator=(const DatabaseWatch&) = delete;

    /// Waits until `until`, interrupt(), or a change that is notified after `listen_from` or that no earlier wait() has
    /// returned; true for a change. The first wait() that listens, and the first after the watched folder was replaced,
    /// returns true immediately, because earlier changes may have been missed. If the system cannot notify, that is
    /// logged once and only the deadline ends the wait. Not for several threads at the same time.
    [[nodiscard]] bool wait(Time until, Time listen_from);

    /// Ends the current wait(), or else the next one. Callable from any thread.
    void interrupt() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::storage
