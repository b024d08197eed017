// Shared by the benchmarks: clocks, statistics over rounds, and the result table as JSON.
#pragma once

#include <spdlog/fmt/fmt.h>
#include <time.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace session_buddy::bench {

inline double seconds_of(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
inline double wall_seconds() {
    return seconds_of(CLOCK_MONOTONIC);
}
/// CPU time of the calling thread, independent of other load.
inline double cpu_seconds() {
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

/// The values of one metric over several rounds. Needs at least one value before any accessor is called.
class Rounds {
  public:
    void add(double value) { values_.insert(std::ranges::upper_bound(values_, value), value); }
    [[nodiscard]] double median() const { return values_[values_.size() / 2]; }
    [[nodiscard]] double min() const { return values_.front(); }
    [[nodiscard]] double max() const { return values_.back(); }

  private:
    std::vector<double> values_;
};

class Results {
  public:
    explicit Results(std::string name) : name_(std::move(name)) {}

    /// `target` is empty for a value that is reported without a target.
    void add(const std::string& what, const std::string& target, const Rounds& rounds, const std::string& unit) {
        const auto rounded = [](double value) { return nlohmann::json::parse(fmt::format("{:.4g}", value)); };
        rows_.push_back({{"what", what},
                         {"target", target},
                         {"value", rounded(rounds.median())},
                         {"unit", unit},
                         {"spread", {rounded(rounds.min()), rounded(rounds.max())}}});
        fmt::print(stderr, "{:<70} {:>10.4g} {} ({:.4g} to {:.4g}) {}\n", what, rounds.median(), unit, rounds.min(),
                   rounds.max(), target);
    }
    [[nodiscard]] std::string to_json() const { return nlohmann::json{{"name", name_}, {"rows", rows_}}.dump(2); }

  private:
    std::string name_;
    nlohmann::json rows_ = nlohmann::json::array();
};

}  // namespace session_buddy::bench
