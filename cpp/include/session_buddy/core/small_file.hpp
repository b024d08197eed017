// Reads the small files that settings name (certificates, keys, tokens), and checks the permissions of secret ones.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace session_buddy {

/// what() is the reason, without the path: "No such file or directory", "it is not a regular file".
class FileError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Far more than any of these files needs; protects against reading a device or a log by mistake.
inline constexpr std::size_t kMaxSmallFileBytes = std::size_t{4} << 20U;

/// The content of a regular file. Throws FileError if it cannot be read or is larger than kMaxSmallFileBytes.
[[nodiscard]] std::string read_small_file(const std::string& path);

/// The same for a file that others may read but must not write, such as a public key that grants access. Throws
/// FileError if it is writable by group or others.
[[nodiscard]] std::string read_trusted_file(const std::string& path);

/// Throws FileError if other users can read or write a file with secrets. The rule is PostgreSQL's rule for key files:
/// owned by the user of this process with no access for group and others, or owned by root and at most group-readable.
/// Checks the file that is at the path now: a config file is read before it is known to hold a secret.
void check_secret_permissions(const std::string& path);

/// read_small_file for a file that passes check_secret_permissions.
[[nodiscard]] std::string read_secret_file(const std::string& path);

}  // namespace session_buddy
