// One transcript that is followed: which file it is, how far it was read, and how far that is safe to remember.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace session_buddy::app {

/// Of the beginning of a file, what its fingerprint is made of. A shorter file has none, is not remembered and so read
/// anew by the next watch.
inline constexpr std::size_t kFingerprintBytes = 256;

/// What a state at a file finds.
struct FileState {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t changed = 0;  ///< when, in nanoseconds
    /// Device, inode and a hash of the beginning; nothing of its path or content can be told from it. Empty where the
    /// file is too short.
    std::string identity;
    /// Whether a line begins (or the file ends) at the offset that was asked about.
    bool is_line_start = true;
    std::string error;  ///< why it could not be looked at; then the rest is of no use
    bool missing = false;
};
[[nodiscard]] FileState inspect_file(const std::filesystem::path& path, std::uint64_t offset);

class WatchedFile {
  public:
    /// `number`: the reader's name for this reading of it.
    WatchedFile(std::filesystem::path path, std::uint32_t number) : path_(std::move(path)), number_(number) {}

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::uint32_t number() const { return number_; }
    [[nodiscard]] const std::string& identity() const { return identity_; }
    [[nodiscard]] std::uint64_t offset() const { return offset_; }
    /// As large as it was at the last state.
    [[nodiscard]] std::uint64_t size() const { return size_; }

    /// Whether what lies there now is still the file that was read so far, but for what was written to its end.
    [[nodiscard]] bool is_continued_by(const FileState& state) const;
    /// Whether there is something new in it, evaluated by size and time alone.
    [[nodiscard]] bool differs_from(const FileState& state) const;
    void update(const FileState& state);
    /// To be read from `offset` on under another number.
    void restart(std::uint32_t number, std::uint64_t offset);

    /// It was read to `offset`. `resume_offset`: as read_transcript_file says; `invocations_before`: number of runs
    /// that were found so far, in whatever file.
    void advance(std::uint64_t offset, std::optional<std::uint64_t> resume_offset, std::uint64_t invocations_before);
    /// The offset to remember, where there is another than before, now that the first `invocations_stored` of all runs
    /// are stored.
    [[nodiscard]] std::optional<std::uint64_t> take_saved_offset(std::uint64_t invocations_stored);

    /// Whether more of it was read than is remembered, and could be.
    [[nodiscard]] bool has_unsaved_offset() const { return waiting_.has_value(); }

    std::string problem;  ///< what was told of it; empty while it can be read

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
    // Two are enough: the first does not move before its runs are stored, the second is the newest.
    std::optional<ResumePoint> waiting_;
    std::optional<ResumePoint> newest_;
};

}  // namespace session_buddy::app
