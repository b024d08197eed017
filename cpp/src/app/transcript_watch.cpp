// Reads what is new in pieces, lets each run settle, and stores it together with how far reading got.
//
// A run waits in memory between reading and storing, and is gone with the process. So a mark is set only where nothing
// that lies before it waits for its other half or for being stored: what a killed watch had not stored, the next one
// reads again, and what it had stored, the store knows by its key.
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
using Kind = WatchReport::Kind;

constexpr std::uint64_t kPieceBytes = std::uint64_t{4} * 1024 * 1024;  // of a file, before it is another one's turn
constexpr std::size_t kBatchRows = 1000;
constexpr std::size_t kMaxTakenIn = 1000;       // from the spool at once
constexpr std::size_t kMaxToldProblems = 1000;  // at a time; more are passed over in silence
constexpr milliseconds kBusyTimeout{1000};      // for a lock; then it is tried again
constexpr milliseconds kRetryPause{1000};
constexpr milliseconds kGatherTime{100};    // after the first of several writes
constexpr milliseconds kReportPause{1000};  // between two reports of the coverage
constexpr milliseconds kMarkPause{1000};    // between two times that marks are saved
constexpr milliseconds kLongestWait{250};   // for go_on() to be asked
constexpr seconds kLookPause{60};           // between two looks at all folders, should a notification be missed
constexpr seconds kPollPause{2};            // the same, where the system does not notify of all of them

/// "x.jsonl" comes before "x/subagents/…", a session before its subagents; it is not so by the parts of a path.
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
        look_at_folders();
        progress_.files_total = files_.size();
        while (callbacks_.go_on()) {
            const auto now = steady_clock::now();
            if (now >= next_look_) {
                look_at_folders();
            }
            if (now >= read_from_) {
                read_some();
            }
            store_what_settled();
            report_coverage();
            if (!caught_up_ && unread_.empty() && (options_.once ? pending_.empty() : !has_settled())) {
                caught_up_ = true;
                save_marks();
                report(Kind::caught_up);
            }
            if (caught_up_ && options_.once) {
                break;
            }
            listen();
        }
        store_what_settled();
        save_marks();
        report(Kind::ended);
    }

  private:
    struct Pending {
        storage::SkillEvent event;
        steady_clock::time_point due;
    };

    // ---- Folders and files

    void look_at_folders() {
        TranscriptFiles found;
        // What is made between the listing of a folder and its being watched would be missed.
        constexpr int kMaxRounds = 3;
        bool is_told = true;
        for (int round = 0; round < kMaxRounds; ++round) {
            found = find_transcripts(paths_);
            bool is_new = false;
            is_told = found.problems.empty();
            for (const fs::path& folder : found.folders) {
                const auto watched = events_.add(folder);
                is_new = is_new || watched == FolderEvents::Watched::now;
                is_told = is_told && watched != FolderEvents::Watched::not_possible;
            }
            if (!is_new) {
                break;
            }
        }
        std::set<fs::path> there;
        for (const TranscriptFile& file : found.files) {
            there.insert(file.path);
            look_at_file(file.path);
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
            if (problems.size() < kMaxToldProblems && problems.insert(text).second &&
                !folder_problems_.contains(text)) {
                tell_problem(problem.path, problem.reason);
            }
        }
        folder_problems_ = std::move(problems);
        next_look_ = steady_clock::now() + (is_told ? kLookPause : kPollPause);
        check_marks_ = true;
    }

    void look_at_file(const fs::path& path) {
        auto entry = files_.find(path);
        if (entry == files_.end()) {
            entry = files_.emplace(path, WatchedFile(path, next_number_++)).first;
            follow_from_mark(entry->second);
        } else if (const FileLook look = look_at(path, entry->second.offset()); entry->second.differs_from(look)) {
            unread_.insert(path);
        }
    }

    /// What was read of it by an earlier watch, under whatever name, is not read again.
    void follow_from_mark(WatchedFile& file) {
        FileLook look = look_at(file.path(), 0);
        if (!can_be_read(file, look)) {
            return;
        }
        std::uint64_t offset = 0;
        if (const auto mark = marks_.find(look.identity); mark != marks_.end() && mark->second > 0) {
            const auto marked = static_cast<std::uint64_t>(mark->second);
            look = look_at(file.path(), marked);
            offset = look.error.empty() && look.size >= marked && look.is_line_start ? marked : 0;
        }
        file.note(look);
        file.begin_anew(next_number_++, offset);
        if (offset < look.size) {
            progress_.bytes_total += look.size - offset;
            unread_.insert(file.path());
        }
    }

    bool can_be_read(WatchedFile& file, const FileLook& look) {
        if (!look.error.empty() && !look.missing && file.problem != look.error) {
            tell_problem(file.path().string(), look.error);
        }
        file.problem = look.missing ? std::string() : look.error;
        return look.error.empty();
    }

    void listen() {
        milliseconds longest = kLongestWait;
        if (!unread_.empty() && pending_.size() < kMaxPendingRuns) {
            const auto left = read_from_ - steady_clock::now();
            longest = std::clamp(std::chrono::ceil<milliseconds>(left), milliseconds(0), kLongestWait);
        }
        const FolderEvents::Told told = events_.wait(longest);
        bool look_again = told.overflow || told.folders_changed;
        for (const fs::path& path : told.paths) {
            if (files_.contains(path)) {
                if (unread_.empty()) {
                    read_from_ = steady_clock::now() + kGatherTime;
                }
                unread_.insert(path);
            } else {
                look_again = look_again || path.extension() == ".jsonl";
            }
        }
        if (look_again) {
            next_look_ = std::min(next_look_, steady_clock::now() + kGatherTime);
        }
    }

    // ---- Reading

    void read_some() {
        const auto until = steady_clock::now() + kLongestWait;
        while (!unread_.empty() && pending_.size() < kMaxPendingRuns && steady_clock::now() < until) {
            const auto entry = files_.find(*unread_.begin());
            if (entry == files_.end() || read_piece(entry->second)) {
                unread_.erase(unread_.begin());
            }
            if (!callbacks_.go_on()) {
                return;
            }
        }
    }

    /// True where that was all for now.
    bool read_piece(WatchedFile& file) {
        const FileLook look = look_at(file.path(), file.offset());
        if (!can_be_read(file, look)) {
            return true;
        }
        if (!file.is_continued_by(look)) {
            reader_->forget(file.number());
            file.begin_anew(next_number_++, 0);
        }
        file.note(look);
        std::uint64_t bytes = 0;
        ingest::ReadOptions options;
        options.offset = file.offset();
        options.max_bytes = kPieceBytes;
        options.file = file.number();
        options.on_bytes = [&](std::uint64_t so_far) { return note_bytes(so_far - std::exchange(bytes, so_far)); };
        const ingest::ReadOutcome outcome = ingest::read_transcript_file(file.path(), *reader_, options);
        file.advance(outcome.next_offset, outcome.quiet_offset, runs_found_);
        unmarked_.insert(file.path());
        if (!outcome.error.empty() && file.problem != outcome.error) {
            file.problem = outcome.error;
            tell_problem(file.path().string(), outcome.error);
        }
        const bool done = outcome.at_end || !outcome.error.empty();
        progress_.files_done += done && !caught_up_ ? 1U : 0U;
        return done;
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
        return callbacks_.go_on();
    }

    void take(ingest::TranscriptInvocation&& invocation) {
        using std::chrono::duration;
        const auto length = duration<double>(invocation.duration_seconds.value_or(0.0));
        const auto age = clock_.now() - invocation.at - std::chrono::duration_cast<TimePoint::duration>(length);
        const auto wait = std::clamp<TimePoint::duration>(options_.settling_time - age, {},
                                                          TimePoint::duration(options_.settling_time));
        pending_.emplace(runs_found_++,
                         Pending{.event = to_skill_event(std::move(invocation)), .due = steady_clock::now() + wait});
    }

    // ---- Storing

    void begin_anew() {
        reader_.emplace(namer_, [this](ingest::TranscriptInvocation&& run) { take(std::move(run)); });
        pending_.clear();
        unmarked_.clear();
        unsaved_.clear();
        runs_found_ = 0;
    }

    void open_store() {
        begin_anew();
        while (!store_ && callbacks_.go_on()) {
            try {
                store_.emplace(options_.db_path, storage::OpenOptions{.busy_timeout = kBusyTimeout});
                marks_ = store_->marks();
                database_ = database_file(options_.db_path);
                note_database_works();
            } catch (const storage::StorageError& error) {
                store_.reset();
                if (error.code() != storage::StorageErrc::busy) {
                    throw;
                }
                note_database_fails(error.what());
                static_cast<void>(events_.wait(kLongestWait));
            }
        }
    }

    /// Whether it can be written to. What another file is told to have stored is nothing to this one.
    bool check_database() {
        const auto now_there = database_file(options_.db_path);
        if (!now_there) {
            note_database_fails("the file is gone");
            return false;
        }
        bool is_same = now_there == database_;
        if (is_same && std::exchange(check_marks_, false)) {  // a copy into the same file takes them away
            const auto marks = store_->marks();
            is_same = std::ranges::all_of(marks_, [&](const auto& mark) { return marks.contains(mark.first); });
        }
        if (!is_same) {
            database_ = now_there;
            marks_.clear();
            begin_anew();
            for (auto& [path, file] : files_) {
                file.begin_anew(next_number_++, 0);
                unread_.insert(path);
            }
            coverage_ = reported_ = {};
            report(Kind::database_replaced);
        }
        return true;
    }

    /// Anything that has to do with the database goes through here; after a failure not before a pause.
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
                throw;  // a run that cannot be stored is a fault of ours: the reader hands on none
            }
            note_database_fails(error.what());
        }
    }

    void note_database_fails(std::string_view reason) {
        retry_from_ = steady_clock::now() + kRetryPause;
        if (!std::exchange(database_waits_, true)) {
            WatchReport told = new_report(Kind::database_waits);
            told.reason = reason;
            callbacks_.report(told);
        }
    }

    void note_database_works() {
        if (std::exchange(database_waits_, false)) {
            report(Kind::database_back);
        }
    }

    void store_what_settled() {
        if (has_settled()) {
            with_database([this] {
                // What hooks told while they could not store it comes first.
                while (spool_.drain(*store_, kMaxTakenIn)) {
                }
                for (auto place = pending_.begin(); place != pending_.end();) {
                    place = store_batch(place);
                }
            });
        }
        if (const auto now = steady_clock::now(); now >= next_marks_) {
            next_marks_ = now + kMarkPause;
            with_database([] {});  // to notice another one in time
            save_marks();
        }
    }

    [[nodiscard]] bool has_settled() const {
        const auto now = steady_clock::now();
        return std::ranges::any_of(pending_, [now](const auto& entry) { return entry.second.due <= now; });
    }

    std::map<std::uint64_t, Pending>::iterator store_batch(std::map<std::uint64_t, Pending>::iterator place) {
        const auto now = steady_clock::now();
        std::vector<storage::SkillEvent> batch;
        std::vector<std::uint64_t> numbers;
        for (; place != pending_.end() && batch.size() < kBatchRows; ++place) {
            if (place->second.due <= now) {
                batch.push_back(place->second.event);
                numbers.push_back(place->first);
            }
        }
        const auto outcomes = store_->take_some(batch, storage::Source::transcript);
        for (const storage::EventStore::Outcome& outcome : outcomes) {
            if (!has(outcome.seen_before, storage::Source::transcript)) {
                ++coverage_.runs;
                coverage_.hooks_saw += storage::has_hook(outcome.seen_before) ? 1 : 0;
                coverage_.recovered += outcome.is_new ? 1 : 0;
            }
        }
        for (const std::uint64_t number : std::span(numbers).first(outcomes.size())) {
            pending_.erase(number);
        }
        if (outcomes.size() == numbers.size()) {
            return place;
        }
        std::this_thread::sleep_for(storage::kLockPause);
        return pending_.find(numbers[outcomes.size()]);
    }

    void save_marks() {
        const std::uint64_t stored = pending_.empty() ? runs_found_ : pending_.begin()->first;
        for (auto path = unmarked_.begin(); path != unmarked_.end();) {
            const auto file = files_.find(*path);
            if (file == files_.end()) {
                path = unmarked_.erase(path);
                continue;
            }
            if (const auto offset = file->second.take_mark(stored)) {
                unsaved_[file->second.identity()] = static_cast<std::int64_t>(*offset);
            }
            path = file->second.has_unmarked() ? std::next(path) : unmarked_.erase(path);
        }
        if (unsaved_.empty()) {
            return;
        }
        with_database([&] {
            std::vector<storage::TranscriptMark> marks;
            marks.reserve(unsaved_.size());
            for (const auto& [file, offset] : unsaved_) {
                marks.push_back({.file = file, .offset = offset});
            }
            store_->take({}, storage::Source::transcript, marks);
            for (auto& [file, offset] : unsaved_) {
                marks_[file] = offset;
            }
            unsaved_.clear();
        });
    }

    // ---- Telling

    [[nodiscard]] WatchReport new_report(Kind kind) const {
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

    void report(Kind kind) {
        if (kind == Kind::caught_up || kind == Kind::coverage) {
            reported_ = coverage_;
        }
        callbacks_.report(new_report(kind));
    }

    void report_coverage() {
        const auto now = steady_clock::now();
        if (caught_up_ && coverage_ != reported_ && now >= next_report_) {
            next_report_ = now + kReportPause;
            report(Kind::coverage);
        }
    }

    void tell_problem(const std::string& path, const std::string& reason) {
        WatchReport told = new_report(Kind::problem);
        told.path = path;
        told.reason = reason;
        callbacks_.report(told);
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
    bool check_marks_ = false;
    steady_clock::time_point retry_from_{};

    FolderEvents events_;
    std::map<fs::path, WatchedFile> files_;
    std::set<fs::path, ByText> unread_;  // of them, in the order of reading
    std::set<fs::path> unmarked_;        // of them, those that were read beyond their marks
    std::set<std::string> folder_problems_;
    std::uint32_t next_number_ = 0;
    steady_clock::time_point next_look_{};
    steady_clock::time_point read_from_{};

    std::optional<ingest::TranscriptReader> reader_;
    std::uint64_t runs_found_ = 0;
    std::map<std::uint64_t, Pending> pending_;     // by their place among the runs that were found
    std::map<std::string, std::int64_t> marks_;    // as stored
    std::map<std::string, std::int64_t> unsaved_;  // those to store
    steady_clock::time_point next_marks_{};

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
