// The spool: a folder next to the database that holds hook events, one file each, while the database cannot be written.
// The next process that writes to the database drains it: a hook, the server or session-buddy watch.
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

/// The event could not be spooled. what() is one line.
class SpoolError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Any number of processes may spool and drain at the same time: a file gets its final name when it is complete, and an
/// event that two processes store is recognized by its dedup key.
class Spool {
  public:
    /// The events that a program that keeps running drains per call.
    static constexpr std::size_t kBatchEvents = 1000;

    /// Symbolic links in `db_path` are resolved. `max_events`: maximum number of files.
    Spool(const std::string& db_path, std::uint32_t max_events);

    /// `source`: hook or hook_request. Throws SpoolError if the spool is full or cannot be written.
    void put(const storage::SkillEvent& event, storage::Source source, storage::Durability durability) const;

    /// Stores the oldest events, at most `limit`, holding the write lock no longer than `max_lock` at a time, and
    /// removes their files. An event spooled with Durability::power is stored with it. A file without an event, or with
    /// one that the database rejects permanently, is renamed to *.bad, and a warning is logged. Returns true if there
    /// are more to drain. Throws StorageError; events that were not stored stay in the spool.
    [[nodiscard]] bool drain(storage::EventStore& store, std::size_t limit,
                             std::chrono::steady_clock::duration max_lock = storage::kMaxWriteLock) const;

    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  private:
    struct SpooledEvent;  // an event and its file name name
    [[nodiscard]] std::vector<SpooledEvent> read(std::span<const std::string> names, std::size_t limit) const;
    void quarantine(const std::string& name, const char* why) const;

    std::filesystem::path folder_;
    std::uint32_t max_events_;
};

}  // namespace session_buddy::app
