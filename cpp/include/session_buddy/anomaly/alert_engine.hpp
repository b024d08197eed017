// The alert detectors of all skills, and the error budget they share. A pure state machine whose only input is
// invocations and log time: the same rows and stamps give the same alerts, whether live, imported or after a restart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/invocation.hpp"

namespace session_buddy::anomaly {

struct AlertOptions {
    /// Expected false alerts of all skills together, per second, if nothing changes; 0: no alerts.
    double budget = 1.0 / (7 * 86400.0);
    bool silence = false;  ///< also report skills that were used regularly and no longer are
    std::size_t max_skills = 10'000;
};

/// An alert that started, or whose explanation changed, or that ended (Alert::ended_at).
struct AlertChange {
    enum class Kind : std::uint8_t { started, updated, ended };
    Kind kind = Kind::started;
    Alert alert;

    bool operator==(const AlertChange&) const = default;
};

class AlertEngine {
  public:
    explicit AlertEngine(AlertOptions options);
    ~AlertEngine();
    AlertEngine(AlertEngine&&) noexcept;
    AlertEngine& operator=(AlertEngine&&) noexcept;

    /// Adds the next row of the log, in order of ids. `at`: the log time of the row. Rows of a skill up to the id that
    /// its restored state contains are ignored.
    void add(const Invocation& invocation, TimePoint at);
    /// Lets log time pass. `to` must not decrease.
    void advance(TimePoint to);
    /// The next time at which advance() changes anything; TimePoint::max() if never.
    [[nodiscard]] TimePoint next_change();

    /// Changes since the last call, in order of detection.
    [[nodiscard]] std::vector<AlertChange> take_changes();
    /// The open alerts, by skill and kind.
    [[nodiscard]] std::vector<Alert> open() const;

    /// One entry per skill, and one for the engine, under a key that no skill has ("").
    struct State {
        std::string key;
        std::string bytes;  ///< versioned; empty: delete the entry
    };
    /// The entries that changed since the last call.
    [[nodiscard]] std::vector<State> take_state();
    /// Restores an entry, before the first add(). Returns false if the bytes are of another version or damaged: that
    /// skill starts to learn again.
    bool restore(const State& state);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace session_buddy::anomaly
