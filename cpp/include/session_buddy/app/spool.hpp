// A folder beside the database, in which events of hooks wait, a file each, while the database cannot be written.
// Whoever writes to the database next takes them in: the next hook, the server, an import.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

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
    /// `max_events`: files in it at a time.
    Spool(const std::string& db_path, std::uint32_t max_events);

    enum class Durability : std::uint8_t { process, power };  ///< what the event outlives: a kill, or a power cut, too
    /// Throws SpoolError where it is full or cannot be written.
    void put(const storage::SkillEvent& event, Durability durability) const;

    /// Stores the oldest, at most `limit`, in one transaction, and removes their files. Returns how many there were. A
    /// file that holds no event is renamed to *.bad and told in the log. Throws StorageError; then all files stay.
    std::size_t take_in(storage::EventStore& store, std::size_t limit) const;

    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  private:
    std::filesystem::path folder_;
    std::uint32_t max_events_;
};

}  // namespace session_buddy::app
