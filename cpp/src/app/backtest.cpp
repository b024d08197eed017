// Replays rows from the history reader through the anomaly engine.
#include "session_buddy/app/backtest.hpp"

#include <algorithm>
#include <unordered_set>

#include "session_buddy/storage/history_reader.hpp"

namespace session_buddy::app {
namespace {

using storage::HistoryConsumer;
using storage::HistoryQuery;

// Rows between two heartbeats. Each heartbeat also advances the windows of all skills, so that idle skills release
// their samples.
constexpr std::int64_t kRowsPerHeartbeat = 4096;

// The number of alerts that one budget would have reported since `from`.
class AlertCounter {
  public:
    AlertCounter(double budget, std::optional<TimePoint> from) : engine_({.budget = budget}), from_(from) {}

    // `number` must increase, and the time of the row not decrease.
    void add(const Invocation& row, std::int64_t number) {
        Invocation numbered = row;
        numbered.id = number;
        engine_.add(numbered, row.invoked_at);
        for (const anomaly::AlertChange& change : engine_.take_changes()) {
            const bool is_new = change.kind == anomaly::AlertChange::Kind::started;
            count_ += is_new && (!from_ || change.alert.detected_at >= *from_) ? 1 : 0;
        }
    }
    [[nodiscard]] std::int64_t count() const { return count_; }

  private:
    anomaly::AlertEngine engine_;
    std::optional<TimePoint> from_;
    std::int64_t count_ = 0;
};

}  // namespace

BacktestResult backtest(const std::string& db_path, const BacktestQuery& query, const anomaly::DetectorOptions& options,
                        const Heartbeat& heartbeat) {
    std::optional<AnomalyStream> stream;
    std::vector<AlertCounter> others;
    std::unordered_set<std::string> skills;
    std::int64_t rows_read = 0;
    BacktestResult result;

    HistoryQuery history{.to = query.to, .order = HistoryQuery::Order::time, .skill_name = query.skill_name};
    if (query.from) {
        history.from = *query.from - std::max<std::chrono::microseconds>(options.baseline_window, kAlertWarmUp);
    }
    HistoryConsumer consumer;
    consumer.on_start = [&] {
        stream.emplace(options, anomaly::AlertOptions{.budget = query.alert_budgets.front()},
                       AnomalyStream::kUnlimited);
        others.clear();
        for (std::size_t index = 1; index < query.alert_budgets.size(); ++index) {
            others.emplace_back(query.alert_budgets[index], query.from);
        }
        skills.clear();
        result = {};
    };
    consumer.on_row = [&](const Invocation& row) {
        ++rows_read;
        if (query.from && row.invoked_at < *query.from - options.baseline_window) {
            stream->add_to_alerts(row);
        } else {
            stream->add(row);
            if (query.from && row.invoked_at < *query.from) {
                ++result.warm_up_rows;
            } else {
                ++result.rows;
                skills.insert(row.skill_name);
            }
        }
        for (AlertCounter& other : others) {
            other.add(row, rows_read);
        }
        if (rows_read % kRowsPerHeartbeat == 0) {
            stream->advance(row.invoked_at);
            heartbeat();
        }
    };
    result.skipped_rows = storage::read_history(db_path, history, consumer).skipped_rows;
    stream->advance(query.to);
    result.skills = static_cast<std::int64_t>(skills.size());
    result.episodes = stream->episodes();
    result.alerts = stream->alerts();
    if (query.from) {
        std::erase_if(result.episodes, [&](const ReportedEpisode& episode) {
            return episode.resolved_at && *episode.resolved_at < *query.from;
        });
        std::erase_if(result.alerts,
                      [&](const Alert& alert) { return alert.ended_at && *alert.ended_at < *query.from; });
    }
    result.alerts_by_budget.push_back(std::ranges::count_if(
        result.alerts, [&](const Alert& alert) { return !query.from || alert.detected_at >= *query.from; }));
    for (const AlertCounter& other : others) {
        result.alerts_by_budget.push_back(other.count());
    }
    return result;
}

std::vector<Anomaly> detect_anomalies(const std::string& db_path, TimePoint at, const anomaly::DetectorOptions& options,
                                      const Heartbeat& heartbeat) {
    std::optional<anomaly::AnomalyEngine> engine;
    std::int64_t rows_read = 0;
    HistoryConsumer consumer;
    consumer.on_start = [&] { engine.emplace(options); };
    consumer.on_row = [&](const Invocation& row) {
        engine->add(row, at);
        if (++rows_read % kRowsPerHeartbeat == 0) {
            static_cast<void>(engine->take_events());
            heartbeat();
        }
    };
    const HistoryQuery history{.from = at - 2 * options.baseline_window, .to = at, .order = HistoryQuery::Order::id};
    storage::read_history(db_path, history, consumer);
    engine->advance(at);
    return engine->reported(at);
}

}  // namespace session_buddy::app
