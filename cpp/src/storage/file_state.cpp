// Reads the state of files with stat and access.
#include "file_state.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

std::optional<FileState> file_state(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        const int reason = errno;
        if (reason == ENOENT) {
            return std::nullopt;
        }
        throw StorageError(
            StorageErrc::io, path,
            fmt::format("cannot open database \"{}\": {}", path, std::generic_category().message(reason)));
    }
#ifdef __APPLE__
    const auto& modified = status.st_mtimespec;
#else
    const auto& modified = status.st_mtim;
#endif
    return FileState{.device = static_cast<std::uint64_t>(status.st_dev),
                     .inode = static_cast<std::uint64_t>(status.st_ino),
                     .size = static_cast<std::int64_t>(status.st_size),
                     .modified_ns = static_cast<std::int64_t>(modified.tv_sec) * 1'000'000'000 + modified.tv_nsec,
                     .is_directory = S_ISDIR(status.st_mode),
                     .is_regular = S_ISREG(status.st_mode)};
}

void require_database(const std::string& path) {
    if (const auto state = file_state(path); !state.has_value() || state->size == 0) {
        throw StorageError(StorageErrc::missing, path, fmt::format("database \"{}\" does not exist", path));
    }
}

FileState require_regular_file(const std::string& path, std::string_view action) {
    const auto state = file_state(path);
    const auto fail = [&](StorageErrc code, std::string_view reason) {
        throw StorageError(code, path, fmt::format("{} database \"{}\": {}", action, path, reason));
    };
    if (!state.has_value()) {
        fail(StorageErrc::missing, "the file does not exist");
    }
    if (!state->is_regular) {
        fail(StorageErrc::io, state->is_directory ? "it is a folder" : "it is not a regular file");
    }
    return *state;
}

std::string resolve_links(const std::string& path) {
    std::error_code error;
    const auto target = std::filesystem::canonical(path, error);
    return error ? path : target.string();
}

bool may_write(const std::string& path) {
    return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

std::string folder_of(const std::string& path) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    return folder.empty() ? "." : folder.string();
}

}  // namespace session_buddy::storage
