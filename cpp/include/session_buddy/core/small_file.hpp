// Reads the files that settings name: certificates, keys, tokens. They are small, and some are nobody else's business.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace session_buddy {

/// what() is the reason alone, without the path: "No such file or directory", "it is not a regular file".
class FileError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Far more than any of these files needs; not a device or a log by mistake.
inline constexpr std::size_t kMaxSmallFileBytes = std::size_t{4} << 20U;

/// All of a regular file. Throws FileError where it cannot be read or has more than kMaxSmallFileBytes.
[[nodiscard]] std::string read_small_file(const std::string& path);

/// The same for a file that others may read and must not change, such as a key that lets people in. Throws FileError
/// where its group or everybody can write it.
[[nodiscard]] std::string read_trusted_file(const std::string& path);

/// Throws FileError where others can read or change a file with secrets. The rule is the one that PostgreSQL has for
/// its keys: it belongs to the user of this process and is for that user alone, or it belongs to root, and a group may
/// read it.
/// Asks of what lies at the path now: a config file is read before it is known to hold a secret.
void check_secret_permissions(const std::string& path);

/// read_small_file for a file that passes check_secret_permissions.
[[nodiscard]] std::string read_secret_file(const std::string& path);

}  // namespace session_buddy
