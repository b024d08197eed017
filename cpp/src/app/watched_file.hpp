// A transcript that is followed: its identity, its read offset, and the offset that is safe to save.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace session_buddy::app {

/// Number of bytes at the beginning of a file that its fingerprint covers. A shorter file has no fingerprint: its
/// offset is not saved, and the next watch reads it again from the start.
inline constexpr std::size_t kFingerprintBytes = 256;

/// A file as found on disk.
struct FileState {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t changed = 0;  ///< modification time in nanoseconds
    /// Device, inode and a hash of the beginning; reveals neither path nor content. Empty if the file is too short.
    std::string identity;
    /// Whether a line begins (or the file ends) at the requested offset.
    bool is_line_start = true;
    std::string error;  ///< why the file could not be inspected; then the other fields are invalid
    bool missing = false;
};
[[nodiscard]] FileState inspect_file(const std::filesystem::path& path, std::uint64_t offset);

class WatchedFile {
  public:
    /// `number`: identifies this read of the file to TranscriptReader.
    WatchedFile(std::filesystem::path path, std::uint32_t number) : path_(std::move(path)), number_(number) {}

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::uint32_t number() const { return number_; }
    [[nodiscard]] const std::string& identity() const { return identity_; }
    [[nodiscard]] std::uint64_t offset() const { return offset_; }
    /// Size at the last update().
    [[nodiscard]] std::uint64_t size() const { return size_; }

    /// Whether this is still the same file, at most appended to.
    [[nodiscard]] bool is_continued_by(const FileState& state) const;
    /// Whether the file changed, judging by size and modification time.
    [[nodiscard]] bool differs_from(const FileState& state) const;
    void update(const FileState& state);
    /// Restarts reading at `offset` under another number.
    void restart(std::uint32_t number, std::uint64_t offset);

    /// Records that the file was read up to `offset`. `resume_offset`: see ReadOutcome. `invocations_before`: number of
    /// invocations found until then, in all files.
    void advance(std::uint64_t offset, std::optional<std::uint64_t> resume_offset, std::uint64_t invocations_before);
    /// The offset to save, if it changed, given that the first `invocations_stored` of all invocations are stored.
    [[nodiscard]] std::optional<std::uint64_t> take_saved_offset(std::uint64_t invocations_stored);

    /// Whether a larger offset than the saved one can be saved later.
    [[nodiscard]] bool has_unsaved_offset() const { return waiting_.has_value(); }

    std::string problem;          ///< the last reported problem; empty while it can be read
    bool may_be_foreign = false;  ///< the user named it, and nothing of it was read yet

  private:
    struct ResumePoint {
        std::uint64_t offset;
        std::uint64_t invocations_before;
    };

    std::filesystem::path path_;
    std::uint32_t number_;
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
    std::uint64_t size_ = 0;
    std::int64_t changed_ = 0;
    std::string identity_;
    std::uint64_t offset_ = 0;
    std::uint64_t saved_offset_ = 0;
    // Two are enough: the first stays until its invocations are stored, the second is the newest.
    std::optional<ResumePoint> waiting_;
    std::optional<ResumePoint> newest_;
};

}  // namespace session_buddy::app
