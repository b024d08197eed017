// What the programs that measure share: clocks, medians, and the table of results as JSON.
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
/// Of the calling thread alone, whatever else the machine does.
inline double cpu_seconds() {
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

/// Analytics of one thing over rounds. At least one before any is asked for.
class Rounds {
  public:
    void add(double value) { values_.insert(std::ranges::upper_bound(values_, value), value); }
    [[nodiscard]] double median() const { return values_[values_.size() / 2]; }
    [[nodiscard]] double least() const { return values_.front(); }
    [[nodiscard]] double most() const { return values_.back(); }

  private:
    std::vector<double> values_;
};

class Results {
  public:
    explicit Results(std::string name) : name_(std::move(name)) {}

    /// `target` is empty for a value that is only told.
    void add(const std::string& what, const std::string& target, const Rounds& rounds, const std::string& unit) {
        const auto rounded = [](double value) { return nlohmann::json::parse(fmt::format("{:.4g}", value)); };
        rows_.push_back({{"what", what},
                         {"target", target},
                         {"value", rounded(rounds.median())},
                         {"unit", unit},
                         {"spread", {rounded(rounds.least()), rounded(rounds.most())}}});
        fmt::print(stderr, "{:<70} {:>10.4g} {} ({:.4g} to {:.4g}) {}\n", what, rounds.median(), unit, rounds.least(),
                   rounds.most(), target);
    }
    [[nodiscard]] std::string to_json() const { return nlohmann::json{{"name", name_}, {"rows", rows_}}.dump(2); }

  private:
    std::string name_;
    nlohmann::json rows_ = nlohmann::json::array();
};

}  // namespace session_buddy::bench
