// A folder beside the database, in which events of hooks wait, a file each, while the database cannot be written.
// Whoever writes to the database next takes them in: the next hook, the server, session-buddy watch.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {

/// The event could not be kept. what() is one line.
class SpoolError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Any number of processes may put and take at the same time: a file has its name only once it is complete, and an
/// event that two of them take is known by its key.
class Spool {
  public:
    /// `db_path` by whatever name: links are followed. `max_events`: files in it at a time.
    Spool(const std::string& db_path, std::uint32_t max_events);

    /// `source`: a hook of either kind. Throws SpoolError where it is full or cannot be written.
    void put(const storage::SkillEvent& event, storage::Source source, storage::Durability durability) const;

    /// Stores the oldest, at most `limit` and no longer than `max_lock` at a time, and removes their files; what was
    /// put to outlive a power cut goes on doing so. A file that holds no event, or one that the database will never
    /// take, is renamed to *.bad and told in the log. Returns whether it is worth a further call: more wait. Throws
    /// StorageError; what was not stored stays.
    [[nodiscard]] bool drain(storage::EventStore& store, std::size_t limit,
                             std::chrono::steady_clock::duration max_lock = storage::kMaxWriteLock) const;

    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  private:
    struct SpooledEvent;  // an event and its file
    [[nodiscard]] std::vector<SpooledEvent> read(std::span<const std::string> names, std::size_t limit) const;
    void quarantine(const std::string& name, const char* why) const;

    std::filesystem::path folder_;
    std::uint32_t max_events_;
};

}  // namespace session_buddy::app
