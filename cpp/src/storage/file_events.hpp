// The system's notifications of changes in the folder of a database: inotify on Linux, kqueue on macOS and the BSDs.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>

namespace session_buddy::storage {

/// A file descriptor that is closed at the end; -1 for none.
class Descriptor {
  public:
    explicit Descriptor(int number = -1) noexcept : number_(number) {}
    ~Descriptor() { reset(); }
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int get() const noexcept { return number_; }
    explicit operator bool() const noexcept { return number_ >= 0; }
    void reset() noexcept;

  private:
    int number_;
};

class FileEvents {
  public:
    /// Watches what lies at the path of the database `path` now, links followed. Cheap where that is watched already.
    /// True where it was not, so that changes before this call may have been missed. Throws std::system_error; then
    /// nothing is watched.
    [[nodiscard]] bool watch(const std::string& path);

    /// Readable once there is something to take(); -1 while nothing is watched.
    [[nodiscard]] int descriptor() const noexcept { return queue_.get(); }

    /// Takes all that was told. True where something of it concerns the database.
    [[nodiscard]] bool take();

  private:
    Descriptor queue_;
#ifdef __linux__
    int folder_ = -1;  // its number in the queue
#else
    Descriptor folder_;
    Descriptor log_;  // the write-ahead log
#endif
    std::string name_;  // of the database file in the folder
};

}  // namespace session_buddy::storage
