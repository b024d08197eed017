// The part of bench/drift_compare.py that is C++: runs one detector on simulated streams of one skill, or writes these
// streams for detectors in Python.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "alert_simulation.hpp"

namespace {

using namespace session_buddy::bench;

/// One line per stream: the false alerts in its quiet time, and the delay in hours or "nan".
void print(const Detection& detection) {
    fmt::print("{} {}\n", detection.false_alerts, detection.delay.value_or(std::numeric_limits<double>::quiet_NaN()));
}

/// Count (8 bytes), times in hours since the start (doubles), outcomes (bytes, 1: completed), in native byte order.
void write_stream(const FallingRate& stream, std::uint64_t seed) {
    std::vector<double> hours;
    std::vector<std::uint8_t> outcomes;
    simulate(stream, seed, [&](bool completed, double at) {
        hours.push_back(at);
        outcomes.push_back(completed ? 1 : 0);
        return true;
    });
    const std::uint64_t count = hours.size();
    std::fwrite(&count, sizeof count, 1, stdout);
    std::fwrite(hours.data(), sizeof(double), hours.size(), stdout);
    std::fwrite(outcomes.data(), 1, outcomes.size(), stdout);
}

}  // namespace

int main(int count, char** words) {
    CLI::App app{"Runs one detector on simulated streams of one skill whose completion rate falls"};
    std::string what;
    FallingRate stream;
    std::uint64_t streams = 100;
    double parameter = 0.0;
    app.add_option("what", what, "alerts, cusum or streams")
        ->required()
        ->check(CLI::IsMember({"alerts", "cusum", "streams"}));
    app.add_option("--before", stream.before, "Completion rate before the change");
    app.add_option("--after", stream.after, "Completion rate after it");
    app.add_option("--per-hour", stream.per_hour, "Invocations per hour");
    app.add_option("--warm", stream.warm, "Hours before false alerts are counted");
    app.add_option("--quiet", stream.quiet, "Hours in which they are counted, before the change");
    app.add_option("--rest", stream.rest, "Hours after the change");
    app.add_option("--streams", streams, "Number of streams");
    app.add_option("--parameter", parameter, "Budget in alerts per day, or threshold of the CUSUM");
    CLI11_PARSE(app, count, words);
    for (std::uint64_t seed = 1; seed <= streams; ++seed) {
        if (what == "alerts") {
            print(detect(stream, parameter, seed));
        } else if (what == "cusum") {
            print(detect_by_cusum(stream, parameter, seed));
        } else {
            write_stream(stream, seed);
        }
    }
    return 0;
}
