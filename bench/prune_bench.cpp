// Measures the latency of single-row writes without and during pruning of a large database; fails above 50 ms. With the
// database in memory (--folder /dev/shm/x) it measures lock waits only, otherwise also the disk.
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "measuring.hpp"
#include "session_buddy/storage/pruner.hpp"
#include "session_buddy/storage/skills_store.hpp"
#include "skill_database.hpp"

namespace {

using namespace session_buddy;
using namespace session_buddy::bench;
namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kBusyTimeout{5000};
constexpr double kLimitMs = 50.0;

struct Settings {
    std::string folder = "build/bench";
    std::int64_t rows = 1'000'000;
    std::int64_t keep_days = 182;
    double seconds = 10.0;
    bool hours = false;
};

/// Write latencies in milliseconds, at least one.
struct Waits {
    std::vector<double> all;

    [[nodiscard]] double quantile(double part) {
        std::ranges::sort(all);
        return all[std::min(all.size() - 1, static_cast<std::size_t>(part * static_cast<double>(all.size())))];
    }
    void print(const char* what) {
        fmt::print("{:<22} {:>9} {:>9.3f} {:>9.3f} {:>9.3f}\n", what, all.size(), quantile(0.5), quantile(0.99),
                   quantile(1.0));
    }
};

/// Stores about one row per millisecond until `stop` is set.
Waits store_rows(const std::string& path, const std::atomic<bool>& stop) {
    storage::SkillsStore store(path, kBusyTimeout);
    const auto records = make_records(1, 50, SystemClock().now());
    Waits waits;
    while (!stop || waits.all.empty()) {
        const double start = wall_seconds();
        static_cast<void>(store.store(records.front()));
        waits.all.push_back((wall_seconds() - start) * 1e3);
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return waits;
}

template <typename Work>
Waits store_rows_during(const std::string& path, const Work& work) {
    std::atomic<bool> stop{false};
    Waits waits;
    std::exception_ptr failure;
    std::thread writer([&] {
        try {
            waits = store_rows(path, stop);
        } catch (...) {
            failure = std::current_exception();
        }
    });
    work();
    stop = true;
    writer.join();
    if (failure) {
        std::rethrow_exception(failure);
    }
    return waits;
}

/// Returns true if no write during pruning exceeded the limit.
bool measure(const Settings& settings) {
    const SystemClock clock;
    fs::create_directories(settings.folder);
    const std::string path = settings.folder + "/prune.db";
    const auto remove = [&path] {
        for (const char* suffix : {"", "-wal", "-shm"}) {
            fs::remove(path + suffix);
        }
    };
    remove();
    make_database(path, {.rows = settings.rows, .recent = settings.rows / 365}, clock.now());
    if (settings.hours) {
        reset_rollups(path);
    }

    fmt::print("{:<22} {:>9} {:>9} {:>9} {:>9}  ms\n", "writes", "rows", "median", "99 %", "longest");
    Waits baseline =
        store_rows_during(path, [&] { std::this_thread::sleep_for(std::chrono::duration<double>(settings.seconds)); });
    baseline.print("without pruning");

    storage::PruneResult result;
    std::uintmax_t largest_wal = 0;
    const double start = wall_seconds();
    Waits during_pruning = store_rows_during(path, [&] {
        storage::Pruner pruner(path, storage::prune_cutoff(clock.now(), std::chrono::days{settings.keep_days}),
                               kBusyTimeout);
        while (pruner.step(clock.now())) {
            largest_wal = std::max(largest_wal, fs::file_size(path + "-wal"));
            std::this_thread::sleep_for(pruner.pause());
        }
        result = pruner.result();
    });
    const double seconds = wall_seconds() - start;
    during_pruning.print("during pruning");
    fmt::print("deleted {} of {} rows in {:.1f} s ({:.0f} rows/s), longest lock {:.1f} ms, largest WAL {:.1f} MB\n",
               result.rows, settings.rows, seconds, static_cast<double>(result.rows) / seconds,
               static_cast<double>(result.longest_lock.count()) / 1e3, static_cast<double>(largest_wal) / 1e6);
    remove();
    return during_pruning.quantile(1.0) <= kLimitMs;
}

}  // namespace

int main(int count, char** words) {
    Settings settings;
    CLI::App options("Measures the write latency during pruning of a database.");
    options.add_option("--folder", settings.folder, "folder of the database");
    options.add_option("--rows", settings.rows, "rows of the database, spread over a year");
    options.add_option("--keep-days", settings.keep_days, "retention in days");
    options.add_option("--seconds", settings.seconds, "duration of the measurement without pruning");
    options.add_flag("--hours", settings.hours, "also make the pruning build skill_time_series first");
    CLI11_PARSE(options, count, words);
    try {
        if (!measure(settings)) {
            fmt::print(stderr, "prune_bench: a write took more than {} ms\n", kLimitMs);
            return 1;
        }
    } catch (const std::exception& error) {
        fmt::print(stderr, "prune_bench: {}\n", error.what());
        return 1;
    }
    return 0;
}
