// Benchmarks storage, collector and engines on databases of any size: a cycle, a start, a batch of writes, and idling.
// Prints the result table as JSON to standard output and progress as text to standard error.
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "measuring.hpp"
#include "served_process.hpp"
#include "session_buddy/app/collector.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/skills_store.hpp"
#include "skill_database.hpp"

namespace {

using namespace session_buddy;
using namespace session_buddy::bench;
namespace fs = std::filesystem;

constexpr DatabasePlan kSmall{.rows = 10'000, .recent = 1'000};
constexpr DatabasePlan kManySkills{.rows = 200'000, .recent = 200'000, .skills = 10'000};
constexpr std::int64_t kStoredRows = 20'000;
constexpr std::chrono::milliseconds kBusyTimeout{5000};
constexpr double kIdleSeconds = 20.0;

struct Settings {
    std::string folder = "build/bench";
    std::string python = "python3";
    std::string server = SESSION_BUDDY_SERVER;
    std::int64_t rows = 10'000'000;
    std::int64_t rounds = 9;
    std::vector<std::string> only;
};

/// A manual clock, so that entries leave a window only when the benchmark advances it.
class SteppedClock final : public Clock {
  public:
    explicit SteppedClock(TimePoint start) : now_(start) {}
    [[nodiscard]] TimePoint now() const override { return now_; }
    void step(std::chrono::microseconds by) { now_ += by; }

  private:
    TimePoint now_;
};

/// A collector whose cycles the benchmark runs itself.
struct Driven {
    explicit Driven(const std::string& path) : clock(newest_row(path)) {
        config.db_path = path;
        collector = std::make_unique<app::Collector>(config, clock, [](const SnapshotPtr&) {});
        collector->open();
        // Enough time for the work after a start: the WAL checkpoint and a first audit.
        const double start = wall_seconds();
        while (wall_seconds() - start < 2.5) {
            collector->cycle();
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
    }

    Config config;
    SteppedClock clock;
    std::unique_ptr<app::Collector> collector;
};

struct Cost {
    double cpu;
    double wall;
};

Cost cost_of(const std::function<void()>& work) {
    const double wall = wall_seconds();
    const double cpu = cpu_seconds();
    work();
    return {cpu_seconds() - cpu, wall_seconds() - wall};
}

class Bench {
  public:
    explicit Bench(Settings settings)
        : settings_(std::move(settings)), large_{.rows = settings_.rows, .recent = settings_.rows / 10} {
        fs::create_directories(settings_.folder);
    }

    void run() {
        const std::vector<std::pair<const char*, void (Bench::*)()>> parts{{"idle-cycle", &Bench::idle_cycle},
                                                                           {"new-rows", &Bench::new_rows},
                                                                           {"many-skills", &Bench::many_skills},
                                                                           {"store", &Bench::store},
                                                                           {"start", &Bench::start}};
        for (const auto& [name, part] : parts) {
            if (settings_.only.empty() || std::ranges::find(settings_.only, name) != settings_.only.end()) {
                (this->*part)();
            }
        }
        fmt::print("{}\n", results_.to_json());
    }

  private:
    [[nodiscard]] std::string file(const std::string& name) const {
        return (fs::path(settings_.folder) / name).string();
    }

    std::string database(const std::string& name, const DatabasePlan& plan) {
        const std::string path = file(fmt::format("{}-{}.db", name, plan.rows));
        make_database(path, plan, SystemClock{}.now());
        return path;
    }
    std::string small() { return database("rows", kSmall); }
    std::string large() { return database("rows", large_); }
    std::string many() { return database("skills", kManySkills); }

    /// A cycle takes microseconds, so a round is the mean of many cycles.
    void idle_cycle() {
        constexpr int kCycles = 2'000;
        Driven few(small());
        Driven lots(large());
        const auto round = [](Driven& driven) {
            return cost_of([&] {
                for (int i = 0; i < kCycles; ++i) {
                    driven.collector->cycle();
                }
            });
        };
        Rounds few_cpu;
        Rounds few_wall;
        Rounds lots_cpu;
        Rounds lots_wall;
        Rounds ratio;
        for (std::int64_t i = 0; i < settings_.rounds; ++i) {
            const Cost a = round(few);
            const Cost b = round(lots);
            few_cpu.add(a.cpu * 1e6 / kCycles);
            few_wall.add(a.wall * 1e6 / kCycles);
            lots_cpu.add(b.cpu * 1e6 / kCycles);
            lots_wall.add(b.wall * 1e6 / kCycles);
            ratio.add(b.cpu / a.cpu);
        }
        const std::string size = row_count_text(settings_.rows);
        results_.add("cycle, nothing new, 10,000 rows, CPU", "<= 50", few_cpu, "µs");
        results_.add("cycle, nothing new, 10,000 rows, wall", "<= 50", few_wall, "µs");
        results_.add(fmt::format("cycle, nothing new, {} rows, CPU", size), "<= 50", lots_cpu, "µs");
        results_.add(fmt::format("cycle, nothing new, {} rows, wall", size), "<= 50", lots_wall, "µs");
        results_.add("cycle, nothing new: many rows to few, CPU", "<= 1.2", ratio, "ratio");
    }

    /// Another connection writes the rows, as in production; only the cycle that reads them is measured.
    void cycles_with_rows(const std::string& what, const std::string& target, const std::string& path,
                          const DatabasePlan& plan, std::int64_t new_rows) {
        Driven driven(path);
        storage::SkillsStore store(path, kBusyTimeout);
        Rounds cpu;
        Rounds wall;
        for (std::int64_t i = 0; i < settings_.rounds; ++i) {
            driven.clock.step(std::chrono::seconds{1});
            static_cast<void>(store.store_many(make_records(new_rows, plan.skills, driven.clock.now())));
            const Cost cost = cost_of([&] { driven.collector->cycle(); });
            cpu.add(cost.cpu * 1e3);
            wall.add(cost.wall * 1e3);
        }
        results_.add(what + ", CPU", target, cpu, "ms");
        results_.add(what + ", wall", target, wall, "ms");
        store.close();
        driven.collector.reset();
        // Restore the database for the next run.
        SQLite::Database(path, SQLite::OPEN_READWRITE, 5000)
            .exec(fmt::format("DELETE FROM skill_invocation WHERE id > {}", plan.rows));
    }

    void new_rows() {
        const std::string what = "cycle, 1,000 new rows over 50 skills, ";
        cycles_with_rows(what + "10,000 rows", "<= 3", small(), kSmall, 1'000);
        cycles_with_rows(what + row_count_text(settings_.rows) + " rows", "<= 3", large(), large_, 1'000);
    }

    void many_skills() {
        const std::string path = many();
        {
            Driven driven(path);
            Rounds cpu;
            Rounds wall;
            for (std::int64_t i = 0; i < settings_.rounds * 3; ++i) {
                driven.clock.step(std::chrono::seconds{1});
                const Cost cost = cost_of([&] { driven.collector->cycle(); });
                cpu.add(cost.cpu * 1e3);
                wall.add(cost.wall * 1e3);
            }
            results_.add("cycle, 10,000 skills, a second later, CPU", "<= 10", cpu, "ms");
            results_.add("cycle, 10,000 skills, a second later, wall", "<= 10", wall, "ms");
        }
        cycles_with_rows("cycle, 10,000 skills, new rows of 100 of them", "<= 10", path, kManySkills, 100);
        cycles_with_rows("cycle, 10,000 skills, new rows of 1,000 of them", "", path, kManySkills, 1'000);
        move_recent_rows(path, kManySkills, SystemClock{}.now());
        const ServedProcess process(settings_.server, path);
        Rounds peak;
        peak.add(process.megabytes("VmHWM"));
        results_.add("memory of the process, 10,000 skills, peak", "<= 100", peak, "MiB");
    }

    [[nodiscard]] double python_store_seconds(const std::string& path, const std::string& rows) const {
        const std::string command =
            fmt::format("'{}' '{}' '{}' '{}'", settings_.python, SESSION_BUDDY_PYTHON_STORE, path, rows);
        FILE* const output = ::popen(command.c_str(), "r");
        if (output == nullptr) {
            throw std::runtime_error("cannot run " + command);
        }
        double seconds = 0.0;
        const int read = std::fscanf(output, "%lf", &seconds);
        if (::pclose(output) != 0 || read != 1) {
            throw std::runtime_error("failed: " + command);
        }
        return seconds;
    }

    void store() {
        const TimePoint now = SystemClock{}.now();
        const auto records = make_records(kStoredRows, 50, now);
        const std::string rows = file("records.csv");
        {
            std::ofstream csv(rows);
            for (const auto& record : records) {
                csv << fmt::format("{},{},{},{},{},{},{}\n", record.skill_name, record.invoked_at, record.session_id,
                                   record.workflow_path.value_or(""), record.completed ? 1 : 0,
                                   *record.duration_seconds, record.error_type.value_or(""));
            }
        }
        Rounds native;
        Rounds python;
        Rounds ratio;
        for (std::int64_t i = 0; i < settings_.rounds; ++i) {
            const double native_seconds = on_fresh_database([&](const std::string& path) {
                storage::SkillsStore store(path, kBusyTimeout);
                return cost_of([&] { static_cast<void>(store.store_many(records)); }).wall;
            });
            const double python_seconds =
                on_fresh_database([&](const std::string& path) { return python_store_seconds(path, rows); });
            native.add(static_cast<double>(kStoredRows) / native_seconds);
            python.add(static_cast<double>(kStoredRows) / python_seconds);
            ratio.add(python_seconds / native_seconds);
        }
        results_.add("store_many, 20,000 rows in one transaction", "", native, "rows/s");
        results_.add("Python's sqlite3, the same rows, schema and triggers", "", python, "rows/s");
        results_.add("store_many to Python's sqlite3", ">= 2", ratio, "ratio");
    }

    double on_fresh_database(const std::function<double(const std::string&)>& work) {
        const std::string path = file("store.db");
        const auto remove = [&] {
            for (const char* suffix : {"", "-wal", "-shm"}) {
                fs::remove(path + suffix);
            }
        };
        remove();
        static_cast<void>(storage::open_database(path, {}));
        const double seconds = work(path);
        remove();
        return seconds;
    }

    /// Invocations and completed ones, by skill.
    using Counts = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;

    /// The expected content of the first update, computed from the rows.
    [[nodiscard]] static Counts counted(const std::string& path) {
        SQLite::Database database(path, SQLite::OPEN_READONLY);
        SQLite::Statement rows(database,
                               "SELECT skill_name, count(*), sum(completed) FROM skill_invocation"
                               " WHERE invoked_at >= ? GROUP BY skill_name");
        rows.bind(1, format_timestamp(SystemClock{}.now() - std::chrono::hours{24}));
        Counts counts;
        while (rows.executeStep()) {
            counts[rows.getColumn(0).getString()] = {rows.getColumn(1).getInt64(), rows.getColumn(2).getInt64()};
        }
        return counts;
    }

    /// Seconds from the start of the server to the first update; throws if its content is wrong.
    [[nodiscard]] static double seconds_to_update(const ServedProcess& process, const Counts& truth) {
        const auto& top = process.first_update().at("data").at("top_skills");
        if (top.size() != 10) {
            throw std::runtime_error("the first update does not have ten skills");
        }
        for (const auto& skill : top) {
            const auto expected = truth.at(skill.at("skill_name").get<std::string>());
            if (skill.at("invocation_count") != expected.first || skill.at("completed_count") != expected.second) {
                throw std::runtime_error("the first update is wrong: " + skill.dump());
            }
        }
        return process.seconds_to_first_update();
    }

    /// Removes the anomaly state, so that the server evaluates all rows of the day again.
    static void reset_anomalies(const std::string& path) {
        SQLite::Database(path, SQLite::OPEN_READWRITE, 5000)
            .exec("DELETE FROM session_buddy_state WHERE key LIKE 'anomaly%'; DELETE FROM skill_anomalies");
    }

    void start() {
        const std::string path = large();
        move_recent_rows(path, large_, SystemClock{}.now());
        const Counts truth = counted(path);
        Rounds first;
        Rounds again;
        Rounds peak;
        Rounds resident;
        Rounds idle;
        for (std::int64_t i = 0; i < std::min<std::int64_t>(settings_.rounds, 5); ++i) {
            reset_anomalies(path);
            first.add(seconds_to_update(ServedProcess(settings_.server, path), truth));
            const ServedProcess process(settings_.server, path);
            again.add(seconds_to_update(process, truth));
            peak.add(process.megabytes("VmHWM"));
            if (i == 0) {
                std::this_thread::sleep_for(std::chrono::seconds{10});  // for the first rollup and the WAL checkpoint
                const double wall = wall_seconds();
                const double cpu = process.cpu_seconds();
                std::this_thread::sleep_for(std::chrono::duration<double>(kIdleSeconds));
                idle.add((process.cpu_seconds() - cpu) / (wall_seconds() - wall) * 100.0);
                resident.add(process.megabytes("VmRSS"));
            }
        }
        const std::string rows = row_count_text(settings_.rows) + " rows";
        results_.add("first start to the first correct update, " + rows, "<= 3", first, "s");
        results_.add("start again to the first correct update, " + rows, "<= 3", again, "s");
        results_.add("memory of the process, " + rows + ", peak of the start", "<= 150", peak, "MiB");
        results_.add("memory of the process, " + rows + ", half a minute later", "<= 150", resident, "MiB");
        results_.add("idle, no client, " + rows, "<= 0.1", idle, "% of a core");
    }

    static std::string row_count_text(std::int64_t rows) {
        return rows % 1'000'000 == 0 ? fmt::format("{} million", rows / 1'000'000) : fmt::format("{}", rows);
    }

    Settings settings_;
    DatabasePlan large_;
    Results results_{"storage"};
};

}  // namespace

int main(int count, char** words) {
    Settings settings;
    CLI::App options("Measures storage, collector and engines on databases of any size.");
    options.add_option("--folder", settings.folder, "folder of the databases; about 3 GB for 10 million rows");
    options.add_option("--python", settings.python, "Python interpreter for the comparison");
    options.add_option("--rows", settings.rows, "rows of the large database");
    options.add_option("--rounds", settings.rounds, "rounds per metric");
    options.add_option("--only", settings.only, "parts to run: idle-cycle, new-rows, many-skills, store, start");
    CLI11_PARSE(options, count, words);
    try {
        Bench(settings).run();
    } catch (const std::exception& error) {
        fmt::print(stderr, "storage_bench: {}\n", error.what());
        return 1;
    }
    return 0;
}
