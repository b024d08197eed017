// Benchmarks the import of transcripts: throughput of one core and memory, on a folder of any size that is generated
// from recorded sessions. Prints the result table as JSON to standard output and as text to standard error.
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "measuring.hpp"
#include "session_buddy/app/transcript_import.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace {

using namespace session_buddy;
using namespace session_buddy::bench;
namespace fs = std::filesystem;

constexpr double kMega = 1e6;

struct Settings {
    std::string sessions;
    std::string folder = "build/bench/transcripts";
    std::uint64_t megabytes = 1000;
    int rounds = 3;
};

/// Makes all ids of a copy unique: of tool uses, of lines (the dedup key of typed commands) and of sessions.
[[nodiscard]] std::string with_unique_ids(std::string_view text, std::size_t copy) {
    constexpr std::string_view kIdKeys[] = {"\"toolu_", "\"uuid\":\"", "\"sessionId\":\""};
    const std::string tag = fmt::format("{}x", copy);
    std::string result;
    result.reserve(text.size() + text.size() / 50);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t quote = std::min(text.find('"', at), text.size());
        result += text.substr(at, quote - at);
        at = quote;
        std::size_t length = std::min<std::size_t>(1, text.size() - at);
        bool is_id = false;
        for (const std::string_view key : kIdKeys) {
            if (text.substr(at).starts_with(key)) {
                length = key.size();
                is_id = true;
            }
        }
        result += text.substr(at, length);
        result += is_id ? tag : "";
        at += length;
    }
    return result;
}

/// Copies the sessions until the requested size is reached; reuses the folder of an earlier run.
void make_folder(const Settings& settings, const fs::path& folder) {
    std::vector<std::string> sessions;
    for (const app::TranscriptFile& file : app::find_transcripts({settings.sessions}).files) {
        std::ifstream in(file.path, std::ios::binary);
        sessions.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    if (sessions.empty()) {
        throw std::runtime_error("no transcripts in " + settings.sessions);
    }
    if (fs::exists(folder)) {
        return;
    }
    const fs::path unfinished = folder.string() + ".unfinished";
    fs::remove_all(unfinished);
    fs::create_directories(unfinished);
    std::uint64_t bytes = 0;
    for (std::size_t copy = 0; bytes < settings.megabytes * static_cast<std::uint64_t>(kMega); ++copy) {
        for (std::size_t session = 0; session < sessions.size(); ++session) {
            const std::string text = with_unique_ids(sessions[session], copy);
            std::ofstream(unfinished / fmt::format("{:05}-{}.jsonl", copy, session), std::ios::binary) << text;
            bytes += text.size();
        }
    }
    fs::rename(unfinished, folder);
}

[[nodiscard]] double peak_megabytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) * 1024.0 / kMega;
}

void measure(const Settings& settings) {
    const fs::path folder = fs::path(settings.folder) / fmt::format("{}-megabytes", settings.megabytes);
    fs::create_directories(settings.folder);
    make_folder(settings, folder);
    Results results("transcripts");
    const fs::path database = fs::path(settings.folder) / "import.db";
    Rounds first;
    Rounds again;
    Rounds invocations;
    Rounds memory;
    for (int round = 0; round < settings.rounds; ++round) {
        for (const char* end : {"", "-wal", "-shm"}) {
            fs::remove(database.string() + end);
        }
        storage::EventStore store(database.string(), {.busy_timeout = std::chrono::seconds(5)});
        for (Rounds* rate : {&first, &again}) {
            const double before = cpu_seconds();
            const app::ImportSummary summary = app::import_transcripts(
                {folder}, [&]() -> storage::EventStore& { return store; }, ingest::SkillNamer());
            rate->add(static_cast<double>(summary.bytes) / kMega / (cpu_seconds() - before));
            if (rate == &first) {
                invocations.add(static_cast<double>(summary.recorded));
            }
        }
        memory.add(peak_megabytes());
    }
    const std::string size = fmt::format("{} MB of transcripts", settings.megabytes);
    results.add(size + ": invocations stored", "", invocations, "");
    results.add(size + ": first import, a core", "200 or more", first, "MB/s");
    results.add(size + ": import again, a core", "", again, "MB/s");
    results.add(size + ": peak memory of the process", "", memory, "MB");
    fmt::print("{}\n", results.to_json());
}

}  // namespace

int main(int count, char** words) {
    Settings settings;
    CLI::App options("Measures the import of transcripts.");
    options.add_option("sessions", settings.sessions, "folder of recorded sessions to copy")->required();
    options.add_option("--folder", settings.folder, "folder of the copies and the database");
    options.add_option("--megabytes", settings.megabytes, "megabytes of transcripts");
    options.add_option("--rounds", settings.rounds, "rounds per metric");
    CLI11_PARSE(options, count, words);
    try {
        measure(settings);
    } catch (const std::exception& error) {
        fmt::print(stderr, "transcript_bench: {}\n", error.what());
        return 1;
    }
    return 0;
}
