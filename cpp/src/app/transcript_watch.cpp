// Reads new lines in chunks, lets each invocation settle, and stores it. Saves the read offsets of the files.
//
// Between reading and storing, an invocation is only in memory. An offset is saved only if everything before it is
// paired and stored. After a crash, the next watch reads the rest again; the store deduplicates what was stored before
// by its key.
#include "session_buddy/app/transcript_watch.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

#include "folder_events.hpp"
#include "foreign_file.hpp"
#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/app/spool.hpp"
#include "session_buddy/ingest/transcript.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/event_store.hpp"
#include "watched_file.hpp"

namespace session_buddy::app {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kChunkBytes = std::uint64_t{4} * 1024 * 1024;  // read of one file before the next file
constexpr std::size_t kMaxReportedProblems = 1000;                     // per scan; further ones are not reported
constexpr milliseconds kWatchBusyTimeout{1000};                        // for the database lock, before a retry
constexpr milliseconds kWatchRetryPause{1000};
constexpr milliseconds kDebounceTime{100};     // after the first of several changes
constexpr milliseconds kReportInterval{1000};  // between two coverage reports
constexpr milliseconds kSaveInterval{1000};    // between two saves of offsets
constexpr seconds kExpiryInterval{30};         // between two searches for invocations that have no end
constexpr milliseconds kMaxWait{250};          // maximum time between two calls of should_continue()
constexpr seconds kScanInterval{60};           // between two full scans, in case a notification is missed
constexpr seconds kPollInterval{2};            // the same, if not all folders can be watched

/// Orders "x.jsonl" before "x/subagents/…", a session before its subagents, which comparing path components does not.
struct ByText {
    bool operator()(const fs::path& a, const fs::path& b) const { return a.native() < b.native(); }
};

struct DatabaseFile {
    dev_t device;
    ino_t inode;
    bool operator==(const DatabaseFile&) const = default;
};

[[nodiscard]] std::optional<DatabaseFile> database_file(const std::string& path) {
    struct stat state {};
    return ::stat(path.c_str(), &state) == 0
               ? std::optional(DatabaseFile{.device = state.st_dev, .inode = state.st_ino})
               : std::nullopt;
}

}  // namespace

class TranscriptWatch::Impl {
  public:
    Impl(std::vector<fs::path> paths, WatchOptions options, const ingest::SkillNamer& namer, const Clock& clock,
         WatchCallbacks callbacks)
        : paths_(std::move(paths)),
          options_(std::move(options)),
          namer_(namer),
          clock_(clock),
          callbacks_(std::move(callbacks)),
          spool_(options_.db_path, options_.max_spool_events) {}

    void run() {
        open_store();
        scan_folders();
        progress_.files_total = files_.size();
        while (callbacks_.should_continue()) {
            const auto now = steady_clock::now();
            if (now >= next_scan_) {
                scan_folders();
            }
            if (now >= read_from_) {
                read_some();
            }
            store_settled();
            if (caught_up_) {
                expire_open();
            }
            report_coverage();
            if (!caught_up_ && unread_.empty() && (options_.once ? pending_.empty() : !has_settled())) {
                caught_up_ = true;
                save_offsets();
                expire_open();
                report(WatchReport::Kind::caught_up);
            }
            if (caught_up_ && options_.once) {
                break;
            }
            wait_for_changes();
        }
        store_settled();
        save_offsets();
        report(WatchReport::Kind::ended);
    }

  private:
    struct Pending {
        bool is_supplement = false;
        storage::SkillEvent event;
        steady_clock::time_point due;
    };

    // ---- Folders and files

    void scan_folders() {
        TranscriptFiles found;
        // Repeat if a folder is newly watched: a file created between listing and watching would be missed.
        constexpr int kMaxRounds = 3;
        bool is_notified = true;
        for (int round = 0; round < kMaxRounds; ++round) {
            found = find_transcripts(paths_);
            bool is_new = false;
            is_notified = found.problems.empty();
            for (const fs::path& folder : found.folders) {
                const auto watched = events_.add(folder);
                is_new = is_new || watched == FolderEvents::Watched::now;
                is_notified = is_notified && watched != FolderEvents::Watched::not_possible;
            }
            if (!is_new) {
                break;
            }
        }
        std::set<fs::path> there;
        for (const TranscriptFile& file : found.files) {
            there.insert(file.path);
            check_file(file.path, file.is_named);
        }
        std::erase_if(files_, [&](const auto& entry) {
            const bool is_gone = !there.contains(entry.first);
            if (is_gone) {
                reader_->forget(entry.second.number());
            }
            return is_gone;
        });
        std::erase_if(unread_, [&](const fs::path& path) { return !there.contains(path); });
        std::set<std::string> problems;
        for (const ImportProblem& problem : found.problems) {
            const std::string text = problem.path + ": " + problem.reason;
            if (problems.size() < kMaxReportedProblems && problems.insert(text).second &&
                !folder_problems_.contains(text)) {
                report_problem(problem.path, problem.reason);
            }
        }
        folder_problems_ = std::move(problems);
        next_scan_ = steady_clock::now() + (is_notified ? kScanInterval : kPollInterval);
        check_offsets_ = true;
    }

    void check_file(const fs::path& path, bool is_named) {
        auto entry = files_.find(path);
        if (entry == files_.end()) {
            entry = files_.emplace(path, WatchedFile(path, next_number_++)).first;
            resume_from_saved_offset(entry->second);
            entry->second.may_be_foreign = is_named && entry->second.offset() == 0;
        } else if (const FileState state = inspect_file(path, entry->second.offset());
                   entry->second.differs_from(state)) {
            unread_.insert(path);
        }
    }

    /// Skips what an earlier watch has read of this file, even under another name.
    void resume_from_saved_offset(WatchedFile& file) {
        FileState state = inspect_file(file.path(), 0);
        if (!can_be_read(file, state)) {
            return;
        }
        std::uint64_t offset = 0;
        if (const auto known = saved_offsets_.find(state.identity);
            known != saved_offsets_.end() && known->second > 0) {
            const auto saved = static_cast<std::uint64_t>(known->second);
            state = inspect_file(file.path(), saved);
            offset = state.error.empty() && state.size >= saved && state.is_line_start ? saved : 0;
        }
        file.update(state);
        file.restart(next_number_++, offset);
        if (offset < state.size) {
            progress_.bytes_total += state.size - offset;
            unread_.insert(file.path());
        }
    }

    bool can_be_read(WatchedFile& file, const FileState& state) {
        if (!state.error.empty() && !state.missing && file.problem != state.error) {
            report_problem(file.path().string(), state.error);
        }
        file.problem = state.missing ? std::string() : state.error;
        return state.error.empty();
    }

    void wait_for_changes() {
        milliseconds longest = kMaxWait;
        if (!unread_.empty() && pending_.size() < kMaxPendingInvocations) {
            const auto left = read_from_ - steady_clock::now();
            longest = std::clamp(std::chrono::ceil<milliseconds>(left), milliseconds(0), kMaxWait);
        }
        const FolderEvents::Changes changes = events_.wait(longest);
        bool rescan = changes.overflow || changes.folders_changed;
        for (const fs::path& path : changes.paths) {
            if (files_.contains(path)) {
                if (unread_.empty()) {
                    read_from_ = steady_clock::now() + kDebounceTime;
                }
                unread_.insert(path);
            } else {
                std::error_code ignored;  // a new symbolic link to a folder is reported as a file
                rescan = rescan || path.extension() == ".jsonl" || fs::is_directory(path, ignored);
            }
        }
        if (rescan) {
            next_scan_ = std::min(next_scan_, steady_clock::now() + kDebounceTime);
        }
    }

    // ---- Reading

    void read_some() {
        const auto until = steady_clock::now() + kMaxWait;
        while (!unread_.empty() && pending_.size() < kMaxPendingInvocations && steady_clock::now() < until) {
            const auto entry = files_.find(*unread_.begin());
            if (entry == files_.end() || read_chunk(entry->second)) {
                unread_.erase(unread_.begin());
            }
            if (!callbacks_.should_continue()) {
                return;
            }
        }
    }

    /// Reads one chunk. True at the end of the file or after an error.
    bool read_chunk(WatchedFile& file) {
        const FileState state = inspect_file(file.path(), file.offset());
        if (!can_be_read(file, state)) {
            return true;
        }
        if (!file.is_continued_by(state)) {
            reader_->forget(file.number());
            file.restart(next_number_++, 0);
        }
        file.update(state);
        std::uint64_t bytes = 0;
        ingest::ReadOptions options;
        options.offset = file.offset();
        options.max_bytes = kChunkBytes;
        options.file = file.number();
        options.on_bytes = [&](std::uint64_t total) { return note_bytes(total - std::exchange(bytes, total)); };
        const ingest::TranscriptCounts before = reader_->counts();
        const ingest::ReadOutcome outcome = ingest::read_transcript_file(file.path(), *reader_, options);
        check_foreign_once(file, before);
        file.advance(outcome.next_offset, outcome.resume_offset, invocations_found_);
        files_to_save_.insert(file.path());
        if (!outcome.error.empty() && file.problem != outcome.error) {
            file.problem = outcome.error;
            report_problem(file.path().string(), outcome.error);
        }
        const bool done = outcome.at_end || !outcome.error.empty();
        progress_.files_done += done && !caught_up_ ? 1U : 0U;
        return done;
    }

    /// Reports a file that the user named and that has no line of a known agent in its first chunk.
    void check_foreign_once(WatchedFile& file, const ingest::TranscriptCounts& before) {
        if (!file.may_be_foreign) {
            return;
        }
        const ingest::TranscriptCounts after = reader_->counts();
        if (const auto foreign = check_foreign(file.path(), before, after)) {
            report_problem(file.path().string(), no_transcript(foreign->agent));
        }
        file.may_be_foreign = after.lines == before.lines && after.incomplete_lines == before.incomplete_lines;
    }

    bool note_bytes(std::uint64_t count) {
        bytes_ += count;
        if (!caught_up_) {
            progress_.bytes_done += count;
            progress_.bytes_total = std::max(progress_.bytes_total, progress_.bytes_done);
            if (callbacks_.progress) {
                callbacks_.progress(progress_);
            }
        }
        return callbacks_.should_continue();
    }

    void add_pending(ingest::AgentEvent&& event) {
        const ClaimedEnd& end =
            event.evidence.background_end.at.exists() ? event.evidence.background_end : event.evidence.result;
        const auto age = clock_.now() - (end.at.exists() ? end.at.value : event.at);
        const auto wait = std::clamp<TimePoint::duration>(options_.settling_time - age, {},
                                                          TimePoint::duration(options_.settling_time));
        pending_.emplace(invocations_found_++, Pending{.is_supplement = event.is_supplement,
                                                       .event = to_skill_event(std::move(event)),
                                                       .due = steady_clock::now() + wait});
    }

    // ---- Storing

    void restart() {
        reader_.emplace(
            namer_, [this](ingest::AgentEvent&& event) { add_pending(std::move(event)); },
            ingest::ReaderOptions{.builtin_commands = options_.builtin_commands});
        pending_.clear();
        files_to_save_.clear();
        offsets_to_save_.clear();
        invocations_found_ = 0;
    }

    void open_store() {
        restart();
        while (!store_ && callbacks_.should_continue()) {
            try {
                store_.emplace(options_.db_path, storage::OpenOptions{.busy_timeout = kWatchBusyTimeout});
                saved_offsets_ = store_->transcript_offsets();
                database_ = database_file(options_.db_path);
                note_database_works();
            } catch (const storage::StorageError& error) {
                store_.reset();
                if (error.code() != storage::StorageErrc::busy) {
                    throw;
                }
                note_database_fails(error.what());
                static_cast<void>(events_.wait(kMaxWait));
            }
        }
    }

    /// Whether the database file exists. If it was replaced, all transcripts are read again, because the new file may
    /// lack what the old one had.
    bool check_database() {
        const auto current = database_file(options_.db_path);
        if (!current) {
            note_database_fails("the file does not exist");
            return false;
        }
        bool is_same = current == database_;
        if (is_same && std::exchange(check_offsets_, false)) {  // a copy over the same file removes them
            const auto stored = store_->transcript_offsets();
            is_same =
                std::ranges::all_of(saved_offsets_, [&](const auto& known) { return stored.contains(known.first); });
        }
        if (!is_same) {
            database_ = current;
            saved_offsets_.clear();
            restart();
            for (auto& [path, file] : files_) {
                file.restart(next_number_++, 0);
                unread_.insert(path);
            }
            coverage_ = reported_ = {};
            report(WatchReport::Kind::database_replaced);
        }
        return true;
    }

    /// Runs `work` on the database; after a failure, only after a pause.
    template <typename Work>
    void with_database(Work&& work) {
        if (!store_ || steady_clock::now() < retry_from_) {
            return;
        }
        try {
            if (check_database()) {
                std::forward<Work>(work)();
                note_database_works();
            }
        } catch (const storage::StorageError& error) {
            if (error.code() == storage::StorageErrc::invalid_argument) {
                throw;  // a bug: the reader passes on valid invocations only
            }
            note_database_fails(error.what());
        }
    }

    void note_database_fails(std::string_view reason) {
        retry_from_ = steady_clock::now() + kWatchRetryPause;
        if (!std::exchange(database_waits_, true)) {
            WatchReport report = new_report(WatchReport::Kind::database_waits);
            report.reason = reason;
            callbacks_.report(report);
        }
    }

    void note_database_works() {
        if (std::exchange(database_waits_, false)) {
            report(WatchReport::Kind::database_back);
        }
    }

    /// An invocation whose end is never reported must not stay open for ever if nothing else stores it.
    void expire_open() {
        if (const auto now = steady_clock::now(); now >= next_expiry_) {
            next_expiry_ = now + kExpiryInterval;
            with_database([this] {
                static_cast<void>(store_->expire(
                    clock_.now() - std::chrono::duration_cast<TimePoint::duration>(options_.hook_timeout)));
            });
        }
    }

    void store_settled() {
        if (has_settled()) {
            with_database([this] {
                // Events that hooks spooled are stored first.
                while (spool_.drain(*store_, Spool::kBatchEvents)) {
                }
                for (auto entry = pending_.begin(); entry != pending_.end();) {
                    entry = store_batch(entry);
                }
            });
        }
        if (const auto now = steady_clock::now(); now >= next_save_) {
            next_save_ = now + kSaveInterval;
            with_database([] {});  // checks for a replaced database
            save_offsets();
        }
    }

    [[nodiscard]] bool has_settled() const {
        const auto now = steady_clock::now();
        return std::ranges::any_of(pending_, [now](const auto& entry) { return entry.second.due <= now; });
    }

    std::map<std::uint64_t, Pending>::iterator store_batch(std::map<std::uint64_t, Pending>::iterator entry) {
        const auto now = steady_clock::now();
        std::vector<storage::SkillEvent> batch;
        std::vector<std::uint64_t> numbers;
        for (; entry != pending_.end() && batch.size() < kTranscriptBatchRows; ++entry) {
            if (entry->second.due <= now) {
                batch.push_back(entry->second.event);
                numbers.push_back(entry->first);
            }
        }
        const auto outcomes = store_->ingest_some(batch, storage::Source::transcript);
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            const storage::EventStore::Result& outcome = outcomes[i];
            const bool is_supplement = pending_.at(numbers[i]).is_supplement;
            if (!has(outcome.seen_before, storage::Source::transcript) && (!is_supplement || outcome.is_new)) {
                ++coverage_.runs;
                coverage_.hooks_saw += storage::has_hook(outcome.seen_before) ? 1 : 0;
                coverage_.recovered += outcome.is_new ? 1 : 0;
            }
        }
        for (const std::uint64_t number : std::span(numbers).first(outcomes.size())) {
            pending_.erase(number);
        }
        if (outcomes.size() == numbers.size()) {
            return entry;
        }
        std::this_thread::sleep_for(storage::kLockPause);
        return pending_.find(numbers[outcomes.size()]);
    }

    void save_offsets() {
        const std::uint64_t stored = pending_.empty() ? invocations_found_ : pending_.begin()->first;
        for (auto path = files_to_save_.begin(); path != files_to_save_.end();) {
            const auto file = files_.find(*path);
            if (file == files_.end()) {
                path = files_to_save_.erase(path);
                continue;
            }
            if (const auto offset = file->second.take_saved_offset(stored)) {
                offsets_to_save_[file->second.identity()] = static_cast<std::int64_t>(*offset);
            }
            path = file->second.has_unsaved_offset() ? std::next(path) : files_to_save_.erase(path);
        }
        if (offsets_to_save_.empty()) {
            return;
        }
        with_database([&] {
            std::vector<storage::TranscriptOffset> offsets;
            offsets.reserve(offsets_to_save_.size());
            for (const auto& [file, offset] : offsets_to_save_) {
                offsets.push_back({.file = file, .offset = offset});
            }
            store_->ingest({}, storage::Source::transcript, offsets);
            for (auto& [file, offset] : offsets_to_save_) {
                saved_offsets_[file] = offset;
            }
            offsets_to_save_.clear();
        });
    }

    // ---- Reporting

    [[nodiscard]] WatchReport new_report(WatchReport::Kind kind) const {
        WatchReport report;
        report.kind = kind;
        report.coverage = coverage_;
        report.files = files_.size();
        report.bytes = bytes_;
        const ingest::TranscriptCounts counts = reader_->counts();
        report.unreadable_lines = counts.unreadable_lines;
        report.unfinished = counts.unfinished;
        return report;
    }

    void report(WatchReport::Kind kind) {
        if (kind == WatchReport::Kind::caught_up || kind == WatchReport::Kind::coverage) {
            reported_ = coverage_;
        }
        callbacks_.report(new_report(kind));
    }

    void report_coverage() {
        const auto now = steady_clock::now();
        if (caught_up_ && coverage_ != reported_ && now >= next_report_) {
            next_report_ = now + kReportInterval;
            report(WatchReport::Kind::coverage);
        }
    }

    void report_problem(const std::string& path, const std::string& reason) {
        WatchReport report = new_report(WatchReport::Kind::problem);
        report.path = path;
        report.reason = reason;
        callbacks_.report(report);
    }

    std::vector<fs::path> paths_;
    WatchOptions options_;
    const ingest::SkillNamer& namer_;
    const Clock& clock_;
    WatchCallbacks callbacks_;
    Spool spool_;

    std::optional<storage::EventStore> store_;
    std::optional<DatabaseFile> database_;
    bool database_waits_ = false;
    bool check_offsets_ = false;
    steady_clock::time_point retry_from_{};

    FolderEvents events_;
    std::map<fs::path, WatchedFile> files_;
    std::set<fs::path, ByText> unread_;  // files with unread content, in the order of reading
    std::set<fs::path> files_to_save_;   // files read beyond their saved offsets
    std::set<std::string> folder_problems_;
    std::uint32_t next_number_ = 0;
    steady_clock::time_point next_scan_{};
    steady_clock::time_point read_from_{};

    std::optional<ingest::TranscriptReader> reader_;
    std::uint64_t invocations_found_ = 0;
    std::map<std::uint64_t, Pending> pending_;             // by sequence number of the invocation
    std::map<std::string, std::int64_t> saved_offsets_;    // as stored
    std::map<std::string, std::int64_t> offsets_to_save_;  // not stored yet
    steady_clock::time_point next_save_{};
    steady_clock::time_point next_expiry_{};

    bool caught_up_ = false;
    ImportProgress progress_;
    std::uint64_t bytes_ = 0;
    Coverage coverage_;
    Coverage reported_;
    steady_clock::time_point next_report_{};
};

TranscriptWatch::TranscriptWatch(std::vector<fs::path> paths, WatchOptions options, const ingest::SkillNamer& namer,
                                 const Clock& clock, WatchCallbacks callbacks)
    : impl_(std::make_unique<Impl>(std::move(paths), std::move(options), namer, clock, std::move(callbacks))) {}

TranscriptWatch::~TranscriptWatch() = default;

void TranscriptWatch::run() {
    impl_->run();
}

}  // namespace session_buddy::app
