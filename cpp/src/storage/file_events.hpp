// The system's notifications of changes in the folder of a database: inotify on Linux, kqueue on macOS and the BSDs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace session_buddy::storage {

/// A file descriptor that is closed at the end; -1 for none.
class FileDescriptor {
  public:
    explicit FileDescriptor(int number = -1) noexcept : number_(number) {}
    ~FileDescriptor() { reset(); }
    FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;

    [[nodiscard]] int get() const noexcept { return number_; }
    explicit operator bool() const noexcept { return number_ >= 0; }
    void reset() noexcept;

  private:
    int number_;
};

class FileEvents {
  public:
    enum class Kind : std::uint8_t {
        changes,   ///< all that concerns the database
        removals,  ///< of its log, and of the log's index; the system may tell of other changes, too
    };
    explicit FileEvents(Kind kind = Kind::changes) : kind_(kind) {}

    /// Watches what lies at the path of the database `path` now, links followed. Cheap where that is watched already.
    /// True where it was not, so that changes before this call may have been missed. Throws std::system_error; then
    /// nothing is watched.
    [[nodiscard]] bool watch(const std::string& path);

    /// Readable once there is something to drain(); -1 while nothing is watched.
    [[nodiscard]] int descriptor() const noexcept { return queue_.get(); }

    /// Takes all that was told. True where something of it concerns the database.
    [[nodiscard]] bool drain();

  private:
    Kind kind_;
    FileDescriptor queue_;
#ifdef __linux__
    [[nodiscard]] bool concerns(std::string_view suffix) const;  // what follows the name of the database

    int folder_ = -1;  // its number in the queue
#else
    FileDescriptor folder_;
    FileDescriptor wal_;  // the write-ahead log
#endif
    std::string name_;  // of the database file in the folder
};

}  // namespace session_buddy::storage
