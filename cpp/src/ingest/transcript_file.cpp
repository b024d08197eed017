// Splits a transcript file into lines with bounded memory and tracks the read offset.
#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <system_error>

#include "session_buddy/ingest/transcript.hpp"

namespace session_buddy::ingest {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{256} * 1024;

[[nodiscard]] bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

/// Assembles lines from chunks and passes them to the reader.
class LineAssembler {
  public:
    LineAssembler(TranscriptReader& reader, const ReadOptions& options, std::string session)
        : reader_(reader), options_(options), session_(std::move(session)), done_offset_(options.offset) {
        update_resume_offset();
    }

    void add(std::string_view chunk) {
        while (!chunk.empty()) {
            const std::size_t newline = chunk.find('\n');
            const std::string_view piece = chunk.substr(0, newline);
            line_bytes_ += piece.size();
            if (line_bytes_ > options_.max_line_bytes) {
                oversized_ = true;
                line_.clear();
                line_.shrink_to_fit();
            } else if (newline != std::string_view::npos && line_.empty()) {
                finish_line(piece);  // complete in this chunk: no copy
                chunk.remove_prefix(newline + 1);
                continue;
            } else {
                line_ += piece;
            }
            if (newline == std::string_view::npos) {
                return;
            }
            finish_line(line_);
            line_.clear();
            chunk.remove_prefix(newline + 1);
        }
    }

    /// Handles the rest after the last newline: a complete line without its newline, or a half-written one.
    void end() {
        if (line_bytes_ == 0) {
            return;
        }
        ++line_number_;
        if (!oversized_ && is_blank(line_)) {
            return;
        }
        if (!oversized_ && reader_.read_line(line_, session_, options_.file)) {
            done_offset_ += line_bytes_;
            update_resume_offset();
        } else {
            reader_.count_incomplete();
        }
    }

    [[nodiscard]] std::uint64_t done_offset() const { return done_offset_; }
    [[nodiscard]] std::optional<std::uint64_t> resume_offset() const { return resume_offset_; }

  private:
    void finish_line(std::string_view line) {
        ++line_number_;
        done_offset_ += line_bytes_ + 1;
        if (oversized_) {
            unreadable("longer than the limit");
        } else if (!is_blank(line) && !reader_.read_line(line, session_, options_.file)) {
            const auto recovery = reader_.recover_records(line, session_, options_.file);
            if (!recovery.is_complete) {
                unreadable(recovery.records > 0 ? "in part not JSON" : "not JSON");
            }
        }
        line_bytes_ = 0;
        oversized_ = false;
        update_resume_offset();
    }

    void update_resume_offset() {
        if (!reader_.has_pending(options_.file)) {
            resume_offset_ = done_offset_;
        }
    }

    void unreadable(const char* reason) {
        reader_.count_unreadable();
        if (options_.on_unreadable) {
            options_.on_unreadable({.line_number = line_number_, .reason = reason});
        }
    }

    TranscriptReader& reader_;
    const ReadOptions& options_;
    std::string session_;
    std::string line_;
    std::uint64_t done_offset_;
    std::optional<std::uint64_t> resume_offset_;
    std::size_t line_bytes_ = 0;
    std::int64_t line_number_ = 0;
    bool oversized_ = false;
};

[[nodiscard]] std::string system_message(const char* fallback) {
    return errno != 0 ? std::generic_category().message(errno) : fallback;
}

}  // namespace

ReadOutcome read_transcript_file(const std::filesystem::path& path, TranscriptReader& reader,
                                 const ReadOptions& options) {
    ReadOutcome outcome;
    outcome.next_offset = options.offset;
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        outcome.error = system_message("cannot open the file");
        return outcome;
    }
    if (options.offset == 0) {
        reader.begin_file(options.file);
    }
    file.seekg(static_cast<std::streamoff>(options.offset));
    LineAssembler lines(reader, options, to_skill_name(path.stem().string()));
    const auto chunk = std::make_unique<std::array<char, kChunkBytes>>();
    std::uint64_t bytes = 0;
    while (file && outcome.error.empty() && !outcome.stopped &&
           (bytes < options.max_bytes || lines.done_offset() == options.offset)) {
        errno = 0;
        file.read(chunk->data(), static_cast<std::streamsize>(chunk->size()));
        const auto count = static_cast<std::size_t>(file.gcount());
        if (file.bad() || (count == 0 && !file.eof())) {
            outcome.error = system_message("cannot read the file");
            break;
        }
        lines.add({chunk->data(), count});
        bytes += count;
        outcome.stopped = options.on_bytes && !options.on_bytes(bytes);
    }
    if (!file && outcome.error.empty() && !outcome.stopped) {
        outcome.at_end = true;
        lines.end();
    }
    outcome.next_offset = lines.done_offset();
    outcome.resume_offset = lines.resume_offset();
    return outcome;
}

}  // namespace session_buddy::ingest
