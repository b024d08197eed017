// Finds transcript files, parses them with one reader and stores the invocations in batches.
#include "session_buddy/app/transcript_import.hpp"

#include <algorithm>
#include <set>
#include <span>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::app {
namespace {

namespace fs = std::filesystem;

/// Searches a folder recursively. Not recursive_directory_iterator, so that an unreadable folder is reported and its
/// siblings are still searched.
void find_in_folder(const fs::path& folder, TranscriptFiles& found) {
    found.folders.push_back(folder);
    std::error_code error;
    std::vector<fs::path> folders;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        std::error_code ignored;
        if (entry->is_directory(ignored) && !entry->is_symlink(ignored)) {
            folders.push_back(entry->path());
        } else if (entry->path().extension() == ".jsonl" && entry->is_regular_file(ignored)) {
            found.files.push_back({.path = entry->path(), .bytes = entry->file_size(ignored)});
        }
    }
    if (error) {
        found.problems.push_back({.path = folder.string(), .reason = error.message()});
    }
    for (const fs::path& inner : folders) {
        find_in_folder(inner, found);
    }
}

std::string no_transcript() {
    const std::string agents = ingest::transcript_agents();
    return "not a " + agents + " transcript (only " + agents + " sessions can be imported)";
}

/// Whether the lines read in between are not from a transcript. False for an empty file.
bool is_foreign(const ingest::TranscriptCounts& before, const ingest::TranscriptCounts& after) {
    const std::int64_t lines = after.lines - before.lines;
    const std::int64_t unusable =
        after.unreadable_lines - before.unreadable_lines + after.foreign_lines - before.foreign_lines;
    return lines > 0 && unusable == lines;
}

/// Reads all files with one reader, so that pairs and duplicates are found across files.
void read_all(const std::vector<fs::path>& paths, const ingest::SkillNamer& namer, ImportSummary& summary,
              const ImportProgressCallback& progress, const ingest::TranscriptReader::Sink& sink) {
    TranscriptFiles found = find_transcripts(paths);
    summary.problems = std::move(found.problems);
    ImportProgress state;
    state.files_total = found.files.size();
    for (const TranscriptFile& file : found.files) {
        state.bytes_total += file.bytes;
    }
    ingest::TranscriptReader reader(namer, [&](ingest::TranscriptInvocation&& invocation) {
        ++summary.found_by_skill[invocation.skill_name];
        sink(std::move(invocation));
    });
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
            if (is_foreign(before, reader.counts())) {
                ++summary.foreign_files;
                if (file.is_named) {
                    summary.problems.push_back({.path = file.path.string(), .reason = no_transcript()});
                }
            }
        } else {
            summary.problems.push_back({.path = file.path.string(), .reason = outcome.error});
        }
        ++state.files_done;
    }
    summary.counts = reader.counts();
    if (summary.foreign_files > 0 && summary.foreign_files == summary.files) {
        for (const fs::path& path : paths) {
            std::error_code ignored;
            if (fs::is_directory(path, ignored)) {
                summary.problems.push_back({.path = path.string(), .reason = no_transcript()});
            }
        }
    }
}

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
    for (const fs::path& path : paths) {
        std::error_code error;
        const fs::file_status status = fs::status(path, error);
        if (fs::is_directory(status)) {
            find_in_folder(path, found);
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
                                 const ingest::SkillNamer& namer, const ImportProgressCallback& progress) {
    ImportSummary summary;
    storage::EventStore* store = nullptr;
    std::vector<storage::SkillEvent> batch;
    const auto store_batch = [&] {
        if (batch.empty()) {
            return;
        }
        if (store == nullptr) {
            store = &open();
        }
        for (std::size_t done = 0; done < batch.size();) {
            for (const auto& outcome :
                 store->ingest_some(std::span(batch).subspan(done), storage::Source::transcript)) {
                if (outcome.is_new) {
                    ++summary.recorded;
                    ++summary.recorded_by_skill[batch[done].record.skill_name];
                } else {
                    ++summary.already_known;
                }
                ++done;
            }
            if (done < batch.size()) {
                std::this_thread::sleep_for(storage::kLockPause);
            }
        }
        batch.clear();
    };
    read_all(paths, namer, summary, progress, [&](ingest::TranscriptInvocation&& invocation) {
        batch.push_back(to_skill_event(std::move(invocation)));
        if (batch.size() >= kTranscriptBatchRows) {
            store_batch();
        }
    });
    store_batch();
    return summary;
}

std::vector<ingest::TranscriptInvocation> load_transcripts(const std::vector<fs::path>& paths, ImportSummary& summary,
                                                           const ImportProgressCallback& progress) {
    std::vector<ingest::TranscriptInvocation> all;
    read_all(paths, ingest::SkillNamer(), summary, progress,
             [&](ingest::TranscriptInvocation&& invocation) { all.push_back(std::move(invocation)); });
    std::ranges::sort(all, [](const auto& a, const auto& b) { return std::tie(a.at, a.key) < std::tie(b.at, b.key); });
    return all;
}

}  // namespace session_buddy::app
