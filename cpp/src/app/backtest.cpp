// Replays rows from the history reader through the anomaly engine.
#include "session_buddy/app/backtest.hpp"

#include <unordered_set>

#include "session_buddy/storage/history_reader.hpp"

namespace session_buddy::app {
namespace {

using storage::HistoryConsumer;
using storage::HistoryQuery;

// Rows between two heartbeats. Each heartbeat also advances the windows of all skills, so that idle skills release
// their samples.
constexpr std::int64_t kRowsPerHeartbeat = 4096;

}  // namespace

BacktestResult backtest(const std::string& db_path, const BacktestQuery& query, const anomaly::DetectorOptions& options,
                        const Heartbeat& heartbeat) {
    std::optional<AnomalyStream> stream;
    std::unordered_set<std::string> skills;
    std::int64_t rows_read = 0;
    BacktestResult result;

    HistoryQuery history{.to = query.to, .order = HistoryQuery::Order::time, .skill_name = query.skill_name};
    if (query.from) {
        history.from = *query.from - options.baseline_window;
    }
    HistoryConsumer consumer;
    consumer.on_start = [&] {
        stream.emplace(options, AnomalyStream::kUnlimited);
        skills.clear();
        result = {};
    };
    consumer.on_row = [&](const Invocation& row) {
        stream->add(row);
        if (query.from && row.invoked_at < *query.from) {
            ++result.warm_up_rows;
        } else {
            ++result.rows;
            skills.insert(row.skill_name);
        }
        if (++rows_read % kRowsPerHeartbeat == 0) {
            stream->advance(row.invoked_at);
            heartbeat();
        }
    };
    result.skipped_rows = storage::read_history(db_path, history, consumer).skipped_rows;
    stream->advance(query.to);
    result.skills = static_cast<std::int64_t>(skills.size());
    result.episodes = stream->episodes();
    if (query.from) {
        std::erase_if(result.episodes, [&](const ReportedEpisode& episode) {
            return episode.resolved_at && *episode.resolved_at < *query.from;
        });
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
