// File system notifications about a database: inotify on Linux, kqueue on macOS and the BSDs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace session_buddy::storage {

/// Owns a file descriptor; -1 for none.
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
        changes,   ///< all changes to the database
        removals,  ///< removals of the write-ahead log and its index; other changes may be reported, too
    };
    explicit FileEvents(Kind kind = Kind::changes) : kind_(kind) {}

    /// Watches the database that is at `path` now, with symbolic links resolved. Cheap if it is watched already.
    /// Returns true if it was not, so that earlier changes may have been missed. Throws std::system_error; then nothing
    /// is watched.
    [[nodiscard]] bool watch(const std::string& path);

    /// Readable when there are events to drain(); -1 while nothing is watched.
    [[nodiscard]] int descriptor() const noexcept { return queue_.get(); }

    /// Reads all pending events. Returns true if one concerns the database.
    [[nodiscard]] bool drain();

  private:
    Kind kind_;
    FileDescriptor queue_;
#ifdef __linux__
    [[nodiscard]] bool concerns(std::string_view suffix) const;  // what follows the database's file name

    int folder_ = -1;  // its watch descriptor
#else
    FileDescriptor folder_;
    FileDescriptor wal_;  // the write-ahead log
#endif
    std::string name_;  // file name of the database
};

}  // namespace session_buddy::storage
