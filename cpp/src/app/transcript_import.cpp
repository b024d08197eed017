// Finds transcript files, parses them with one reader and stores the invocations in batches.
#include "session_buddy/app/transcript_import.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <set>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include "foreign_file.hpp"
#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {
namespace {

namespace fs = std::filesystem;

/// Searches folders recursively. Not recursive_directory_iterator, so that an unreadable folder is reported and its
/// siblings are still searched. Each folder is searched once, under its own path if it has one there, else under the
/// first symbolic link to it.
class FolderSearch {
  public:
    explicit FolderSearch(TranscriptFiles& found) : found_(found) {}

    void search(const fs::path& root) {
        search_folder(root);
        while (!links_.empty()) {
            const fs::path link = std::move(links_.front());
            links_.pop_front();
            if (!leads_back(link)) {
                search_folder(link);
            }
        }
    }

  private:
    void search_folder(const fs::path& folder) {
        struct stat status {};
        if (::stat(folder.c_str(), &status) == 0 && !searched_.emplace(status.st_dev, status.st_ino).second) {
            return;
        }
        found_.folders.push_back(folder);
        std::error_code error;
        std::vector<fs::path> folders;
        for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
            std::error_code ignored;
            if (entry->is_directory(ignored)) {
                if (entry->is_symlink(ignored)) {
                    links_.push_back(entry->path());
                } else {
                    folders.push_back(entry->path());
                }
            } else if (entry->path().extension() == ".jsonl" && entry->is_regular_file(ignored)) {
                found_.files.push_back({.path = entry->path(), .bytes = entry->file_size(ignored)});
            }
        }
        if (error) {
            found_.problems.push_back({.path = folder.string(), .reason = error.message()});
        }
        for (const fs::path& inner : folders) {
            search_folder(inner);
        }
    }

    /// Whether it leads to a folder above itself, which may be above the root: it would search the home folder.
    [[nodiscard]] static bool leads_back(const fs::path& link) {
        std::error_code error;
        const fs::path target = fs::canonical(link, error);
        const fs::path parent = error ? fs::path() : fs::canonical(link.parent_path(), error);
        return error || std::ranges::mismatch(target, parent).in1 == target.end();
    }

    TranscriptFiles& found_;
    std::set<std::pair<dev_t, ino_t>> searched_;
    std::deque<fs::path> links_;
};

void report_folders_without_transcripts(const std::vector<fs::path>& paths, ImportSummary& summary, bool has_files) {
    std::string agents;
    for (const auto& [agent, files] : summary.foreign_by_agent) {
        agents += (agents.empty() ? "" : " and ") + agent;
    }
    const std::string reason =
        has_files ? no_transcript(agents) : "no transcript (*.jsonl) of " + ingest::transcript_agents() + " in it";
    for (const fs::path& path : paths) {
        std::error_code ignored;
        if (fs::is_directory(path, ignored)) {
            summary.problems.push_back({.path = path.string(), .reason = reason});
        }
    }
}

/// Reads all files with one reader, so that pairs and duplicates are found across files.
void read_all(const std::vector<fs::path>& paths, const ingest::SkillNamer& namer, bool builtin_commands,
              ImportSummary& summary, const ImportProgressCallback& progress,
              const ingest::TranscriptReader::Sink& sink) {
    TranscriptFiles found = find_transcripts(paths);
    summary.problems = std::move(found.problems);
    ImportProgress state;
    state.files_total = found.files.size();
    for (const TranscriptFile& file : found.files) {
        state.bytes_total += file.bytes;
    }
    ingest::TranscriptReader reader(namer,
                                    [&](ingest::AgentEvent&& event) {
                                        if (!event.is_supplement) {
                                            ++summary.found_by_skill[event.skill_name];
                                        }
                                        sink(std::move(event));
                                    },
                                    {.builtin_commands = builtin_commands});
    for (const TranscriptFile& file : found.files) {
        ingest::ReadOptions options;
        std::uint64_t file_bytes = 0;
        options.on_bytes = [&](std::uint64_t bytes) {
            state.bytes_done += bytes - std::exchange(file_bytes, bytes);
            state.bytes_total = std::max(state.bytes_total, state.bytes_done);  // the file grew in the meantime
            return !progress || progress(state);
        };
        options.on_unreadable = [&](const ingest::UnreadableLine& line) {
            if (summary.unreadable_lines.size() < kMaxReportedLines) {
                summary.unreadable_lines.push_back(
                    {.path = file.path.string() + ':' + std::to_string(line.line_number), .reason = line.reason});
            }
        };
        const ingest::TranscriptCounts before = reader.counts();
        const ingest::ReadOutcome outcome = ingest::read_transcript_file(file.path, reader, options);
        summary.bytes += file_bytes;
        summary.stopped = outcome.stopped;
        if (outcome.stopped) {
            break;
        }
        if (outcome.error.empty()) {
            ++summary.files;
            if (const auto foreign = check_foreign(file.path, before, reader.counts())) {
                ++summary.foreign_files;
                if (!foreign->agent.empty()) {
                    ++summary.foreign_by_agent[foreign->agent];
                }
                if (file.is_named) {
                    summary.problems.push_back({.path = file.path.string(), .reason = no_transcript(foreign->agent)});
                }
            }
        } else {
            summary.problems.push_back({.path = file.path.string(), .reason = outcome.error});
        }
        ++state.files_done;
    }
    summary.counts = reader.counts();
    if (!summary.stopped && summary.foreign_files == summary.files &&
        (summary.foreign_files > 0 || state.files_total == 0)) {
        report_folders_without_transcripts(paths, summary, state.files_total > 0);
    }
}

/// What all events of a key say together.
class MergedEvents {
  public:
    void add(const ingest::AgentEvent& event) {
        const auto [entry, is_new] = by_key_.try_emplace(event.key, event);
        if (is_new) {
            return;
        }
        ingest::AgentEvent& known = entry->second;
        if (is_better(event.evidence.name_basis, known.evidence.name_basis)) {
            known.skill_name = event.skill_name;
        }
        if (event.evidence.session_basis > known.evidence.session_basis) {
            known.session_id = event.session_id;
        }
        known.is_supplement = known.is_supplement && event.is_supplement;
        known.evidence.merge(event.evidence);
    }
    [[nodiscard]] std::map<std::string, ingest::AgentEvent>& events() { return by_key_; }

  private:
    std::map<std::string, ingest::AgentEvent> by_key_;
};

/// Stores events in batches, and counts what became of them.
class Importer {
  public:
    Importer(const std::function<storage::EventStore&()>& open, const ImportOptions& options, ImportSummary& summary)
        : open_(open), options_(options), summary_(summary) {}

    void add(ingest::AgentEvent&& event) {
        is_supplement_.push_back(event.is_supplement);
        batch_.push_back(to_skill_event(std::move(event)));
        if (batch_.size() >= kTranscriptBatchRows) {
            store_batch();
        }
    }

    void finish() {
        store_batch();
        if (store_ == nullptr || options_.dry_run || !options_.expire_before) {
            return;
        }
        for (std::size_t expired = storage::EventStore::kMaxExpired; expired == storage::EventStore::kMaxExpired;) {
            expired = store_->expire(*options_.expire_before);
            summary_.expired += static_cast<std::int64_t>(expired);
        }
        summary_.unknown_outcomes += summary_.expired;
    }

  private:
    void store_batch() {
        if (batch_.empty()) {
            return;
        }
        if (store_ == nullptr) {
            store_ = &open_();
        }
        const storage::EventStore::IngestOptions options{.reclassify = options_.reclassify,
                                                         .dry_run = options_.dry_run};
        for (std::size_t done = 0; done < batch_.size();) {
            for (const auto& outcome : store_->ingest_some(std::span(batch_).subspan(done), storage::Source::transcript,
                                                           storage::kMaxWriteLock, options)) {
                count(outcome, done++);
            }
            if (done < batch_.size()) {
                std::this_thread::sleep_for(storage::kLockPause);
            }
        }
        batch_.clear();
        is_supplement_.clear();
    }

    void count(const storage::EventStore::Result& outcome, std::size_t index) {
        const storage::SkillEvent& event = batch_[index];
        if (outcome.is_new) {
            ++summary_.recorded;
            ++summary_.recorded_by_skill[event.record.skill_name];
            // The launch of a background run whose end follows in the same batch says nothing about its outcome.
            summary_.unknown_outcomes +=
                event.evidence.is_settled() && resolve(event.evidence, event.at).outcome == Outcome::unknown ? 1 : 0;
        } else if (outcome.id != 0 && !is_supplement_[index]) {
            ++summary_.already_known;
        }
        if (outcome.correction) {
            count(*outcome.correction);
        }
    }

    void count(const storage::EventStore::Correction& correction) {
        const auto& [before, after] = correction;
        SkillCorrections& skill = summary_.corrections[before.skill_name];
        skill.skill_name = before.skill_name;
        ++skill.rows;
        ++summary_.corrected;
        if (before.outcome != after.outcome) {
            ++skill.outcomes[std::string(kOutcomes[before.outcome]) + " → " + std::string(kOutcomes[after.outcome])];
        } else if (before.error_type != after.error_type) {
            ++skill.error_types;
        }
        skill.renamed += before.skill_name != after.skill_name ? 1 : 0;
        skill.durations +=
            before.duration_seconds != after.duration_seconds || before.is_upper_bound != after.is_upper_bound ? 1 : 0;
    }

    const std::function<storage::EventStore&()>& open_;
    const ImportOptions& options_;
    ImportSummary& summary_;
    storage::EventStore* store_ = nullptr;
    std::vector<storage::SkillEvent> batch_;
    std::vector<bool> is_supplement_;  // by event of the batch
};

}  // namespace

std::vector<fs::path> default_transcript_roots(bool include_missing) {
    std::vector<fs::path> roots = ingest::session_folders(options::Environment::from_process());
    if (!include_missing) {
        std::erase_if(roots, [](const fs::path& root) {
            std::error_code ignored;
            return !fs::is_directory(root, ignored);
        });
    }
    return roots;
}

TranscriptFiles find_transcripts(const std::vector<fs::path>& paths) {
    TranscriptFiles found;
    FolderSearch search(found);
    for (const fs::path& path : paths) {
        std::error_code error;
        const fs::file_status status = fs::status(path, error);
        if (fs::is_directory(status)) {
            search.search(path);
        } else if (fs::exists(status)) {
            std::error_code ignored;
            const std::uint64_t bytes = fs::is_regular_file(status) ? fs::file_size(path, ignored) : 0;
            found.files.push_back({.path = path, .bytes = ignored ? 0 : bytes, .is_named = true});
            found.folders.push_back(path.parent_path());
        } else {
            found.problems.push_back(
                {.path = path.string(), .reason = error ? error.message() : "no such file or folder"});
        }
    }
    // "x.jsonl" sorts before "x/subagents/…", so that name and time of a use come from its session, not from a
    // subagent's copy.
    std::ranges::sort(found.files, [](const TranscriptFile& a, const TranscriptFile& b) {
        return a.path.native() < b.path.native();
    });
    std::set<fs::path> seen;
    std::erase_if(found.files, [&](const TranscriptFile& file) {
        std::error_code error;
        const fs::path canonical = fs::weakly_canonical(file.path, error);
        return !seen.insert(error ? file.path : canonical).second;
    });
    return found;
}

ImportSummary import_transcripts(const std::vector<fs::path>& paths, const std::function<storage::EventStore&()>& open,
                                 const ingest::SkillNamer& namer, const ImportProgressCallback& progress,
                                 const ImportOptions& options) {
    ImportSummary summary;
    Importer importer(open, options, summary);
    MergedEvents merged;  // so that each row changes once, and a dry run knows all about it
    read_all(paths, namer, options.builtin_commands, summary, progress, [&](ingest::AgentEvent&& event) {
        if (options.reclassify) {
            merged.add(event);
        } else {
            importer.add(std::move(event));
        }
    });
    for (auto& [key, event] : merged.events()) {
        importer.add(std::move(event));
    }
    importer.finish();
    return summary;
}

std::vector<Invocation> load_transcripts(const std::vector<fs::path>& paths, ImportSummary& summary,
                                         const ImportProgressCallback& progress) {
    MergedEvents merged;
    read_all(paths, ingest::SkillNamer(), false, summary, progress,
             [&](const ingest::AgentEvent& event) { merged.add(event); });
    auto& by_key = merged.events();
    std::vector<Invocation> all;
    all.reserve(by_key.size());
    for (auto& [key, event] : by_key) {
        Resolution resolved = resolve(event.evidence, event.at);
        all.push_back({.skill_name = std::move(event.skill_name),
                       .invoked_at = resolved.invoked_at,
                       .session_id = std::move(event.session_id),
                       .completed = resolved.outcome != Outcome::failed,
                       .duration_seconds = resolved.duration_seconds,
                       .error_type = std::move(resolved.error_type),
                       .outcome_is_unknown = resolved.outcome == Outcome::unknown,
                       .duration_is_bound = resolved.is_upper_bound});
    }
    std::ranges::stable_sort(all, {}, &Invocation::invoked_at);  // by key at the same time
    return all;
}

}  // namespace session_buddy::app
