// The state of a database file in the file system, to detect that it was replaced or modified.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace session_buddy::storage {

struct FileState {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t modified_ns = 0;
    bool is_directory = false;
    bool is_regular = false;

    [[nodiscard]] bool same_file(const FileState& other) const {
        return device == other.device && inode == other.inode;
    }
    bool operator==(const FileState&) const = default;
};

/// nullopt if there is no file. Throws StorageErrc::io if stat fails otherwise (no permission to enter the folder).
[[nodiscard]] std::optional<FileState> file_state(const std::string& path);

/// Throws StorageErrc::missing if there is no file, or an empty one, which another program may be creating.
void require_database(const std::string& path);

/// The state of an existing regular file. Throws StorageErrc::missing or io with a message that starts with `action`.
[[nodiscard]] FileState require_regular_file(const std::string& path, std::string_view action);

/// `path` with symbolic links resolved, because SQLite keeps log, index and journal next to the real file. `path`
/// itself if the file does not exist.
[[nodiscard]] std::string resolve_links(const std::string& path);

/// Whether this process may write the file or folder.
[[nodiscard]] bool may_write(const std::string& path);

/// The folder of `path`, "." for a bare name.
[[nodiscard]] std::string folder_of(const std::string& path);

}  // namespace session_buddy::storage
