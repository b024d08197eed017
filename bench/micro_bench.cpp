// Microbenchmarks of the hot operations, with Google Benchmark. With `--fixed NAME COUNT` one operation runs COUNT
// times without timing, for scripts/count_instructions.py, which counts its instructions.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/anomaly/alert_engine.hpp"
#include "session_buddy/anomaly/skill_detector.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/core/totals.hpp"
#include "session_buddy/metrics/metrics_engine.hpp"
#include "session_buddy/metrics/skill_window.hpp"
#include "session_buddy/prometheus/exposition.hpp"
#include "session_buddy/protocol/request.hpp"
#include "session_buddy/protocol/updates.hpp"

namespace {

using namespace session_buddy;
using namespace std::chrono_literals;
using benchmark::DoNotOptimize;

constexpr TimePoint kStart{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};

/// The operation that is measured repeatedly; its setup (MakeStep) is not measured.
using Step = std::function<void()>;
using MakeStep = std::function<Step()>;

Invocation invocation(std::int64_t number, int skills, TimePoint at) {
    Invocation row;
    row.id = number;
    row.skill_name = "plugin:skill-" + std::to_string(number % skills);
    row.invoked_at = at;
    row.session_id = "session-" + std::to_string(number / 200);
    row.completed = number % 10 != 0;
    row.duration_seconds = 1.0 + 0.001 * static_cast<double>(number % 997);
    return row;
}

Step parse_timestamps(const char* text) {
    return [text] { DoNotOptimize(parse_timestamp(text)); };
}

Step format_timestamps() {
    return [at = kStart]() mutable {
        at += 1s;
        DoNotOptimize(format_timestamp(at));
    };
}

/// A full window of a day: each addition evicts one entry.
Step add_to_window() {
    static const metrics::SkillWindow::Lengths lengths{24h, 1h, 24h};
    const auto window = std::make_shared<metrics::SkillWindow>(lengths);
    return [window, at = kStart]() mutable {
        at += 10s;
        window->add(at, true, 1.5, at);
        DoNotOptimize(window->advance(at));
    };
}

Step add_to_detector() {
    static const anomaly::DetectorOptions options;
    struct State {
        anomaly::SkillDetector detector{options};
        std::vector<anomaly::EpisodeEvent> events;
        TimePoint at = kStart;
        std::int64_t number = 0;
    };
    const auto state = std::make_shared<State>();
    return [state] {
        const std::int64_t number = ++state->number;
        state->at += 10s;
        state->detector.add({.at = state->at,
                             .completed = number % 10 != 0,
                             .duration_seconds = 1.0 + 0.001 * static_cast<double>(number % 997)},
                            state->events);
        state->events.clear();
    };
}

/// A row of one of `skills` skills in the alert engine, whose baseline is learned.
Step add_to_alerts(int skills) {
    const auto engine = std::make_shared<anomaly::AlertEngine>(anomaly::AlertOptions{});
    std::int64_t number = 0;
    const auto add = [engine, skills](std::int64_t row) {
        const Invocation one = invocation(row, skills, kStart + row * 1s);
        engine->add(one, one.invoked_at);
    };
    for (; number < 200 * std::int64_t{skills}; ++number) {  // the baselines are learned
        add(number);
    }
    return [engine, add, number]() mutable {
        add(++number);
        DoNotOptimize(engine->take_changes());
    };
}

/// An engine with an hour of invocations of `skills` skills.
std::shared_ptr<metrics::MetricsEngine> filled_engine(int skills) {
    auto engine = std::make_shared<metrics::MetricsEngine>(metrics::EngineOptions{});
    const int rows = 4 * skills;
    for (int i = 0; i < rows; ++i) {
        engine->add(invocation(i, skills, kStart + 1h * i / rows), kStart + 1h);
    }
    engine->advance(kStart + 1h);
    DoNotOptimize(engine->table());
    return engine;
}

/// Adds an invocation and rebuilds the table with its top ten.
Step update_table(int skills) {
    const auto engine = filled_engine(skills);
    return [engine, skills, number = std::int64_t{0}]() mutable {
        ++number;
        const TimePoint at = kStart + 1h + number * 1ms;
        engine->add(invocation(number, skills, at), at);
        engine->advance(at);
        DoNotOptimize(engine->table());
    };
}

Step render_update(const std::vector<std::string>& skill_names) {
    const auto engine = filled_engine(100);
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->at = kStart + 1h;
    snapshot->skills = engine->table();
    return [snapshot = SnapshotPtr(snapshot), subscription = protocol::Subscription(skill_names)] {
        DoNotOptimize(protocol::metrics_update(snapshot, subscription));
    };
}

/// A response to GET /metrics for `skills` skills, each with invocations in three phases.
Step render_metrics(int skills) {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->skills = filled_engine(skills)->table();
    Totals totals({.skills = static_cast<std::uint32_t>(skills)});
    for (int i = 0; i < 10 * skills; ++i) {
        for (const std::string_view phase : {"", "setup", "verification"}) {
            totals.add(invocation(i, skills, kStart), phase);
        }
    }
    snapshot->totals = totals.table();
    return [snapshot = SnapshotPtr(snapshot)] {
        DoNotOptimize(prometheus::render({.snapshot = *snapshot, .process = ProcessStats{}, .now = kStart},
                                         prometheus::Format::openmetrics));
    };
}

Step parse_requests(const char* text) {
    return [text] { DoNotOptimize(protocol::parse_request(text)); };
}

const std::map<std::string, MakeStep>& steps() {
    static const std::map<std::string, MakeStep> all{
        {"parse_timestamp/utc", [] { return parse_timestamps("2026-02-10T12:00:00Z"); }},
        {"parse_timestamp/fraction_and_offset", [] { return parse_timestamps("2026-02-10 12:00:00.123456+05:30"); }},
        {"format_timestamp", format_timestamps},
        {"window/add_and_advance", add_to_window},
        {"detector/add", add_to_detector},
        {"alerts/1_skill", [] { return add_to_alerts(1); }},
        {"alerts/1000_skills", [] { return add_to_alerts(1000); }},
        {"table/100_skills", [] { return update_table(100); }},
        {"table/10000_skills", [] { return update_table(10'000); }},
        {"openmetrics/12_skills", [] { return render_metrics(12); }},
        {"metrics_update/all_skills", [] { return render_update({}); }},
        {"metrics_update/one_skill", [] { return render_update({"plugin:skill-7"}); }},
        {"parse_request/ping", [] { return parse_requests(R"({"type":"ping"})"); }},
        {"parse_request/subscribe",
         [] { return parse_requests(R"({"type":"subscribe","skill_name":"pytest-run","request_id":"1"})"); }},
    };
    return all;
}

int run_fixed(const char* name, const char* count) {
    const auto step = steps().find(name);
    if (step == steps().end()) {
        std::fprintf(stderr, "micro_bench: unknown benchmark: %s\n", name);
        return 1;
    }
    const Step once = step->second();
    for (long i = std::strtol(count, nullptr, 10); i > 0; --i) {
        once();
    }
    return 0;
}

}  // namespace

int main(int count, char** words) {
    if (count == 4 && std::string_view(words[1]) == "--fixed") {
        return run_fixed(words[2], words[3]);
    }
    for (const auto& [name, make] : steps()) {
        benchmark::RegisterBenchmark(name.c_str(), [make = make](benchmark::State& state) {
            const Step once = make();
            for ([[maybe_unused]] auto iteration : state) {
                once();
            }
        });
    }
    benchmark::Initialize(&count, words);
    if (benchmark::ReportUnrecognizedArguments(count, words)) {
        return 1;
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
