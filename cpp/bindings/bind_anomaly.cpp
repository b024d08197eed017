// Anomaly detection for Python: the detector on a stream of invocations, and backtests on a database.
#include <pybind11/stl.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "entities.hpp"
#include "session_buddy/app/anomaly_stream.hpp"
#include "session_buddy/app/backtest.hpp"
#include "session_buddy/core/alert_budget.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/protocol/entities.hpp"
#include "session_buddy/protocol/open_alerts.hpp"

namespace session_buddy::bindings {
namespace {

using anomaly::DetectorOptions;
using anomaly::Deviation;
using app::BacktestResult;
using app::ReportedEpisode;

constexpr std::size_t kMaxEpisodes = 10'000;

std::int64_t to_micros(TimePoint at) {
    return at.time_since_epoch().count();
}

TimePoint to_time(std::int64_t micros) {
    return TimePoint(std::chrono::microseconds(micros));
}

DetectorOptions to_options(const Config& config) {
    const auto micros = [](Seconds seconds) { return std::chrono::microseconds(std::llround(seconds.count() * 1e6)); };
    return {.threshold = config.anomaly_threshold,
            .baseline_window = micros(config.baseline_window),
            .observation_window = micros(config.observation_window),
            .min_samples = config.anomaly_min_samples};
}

/// Validates the values with the table of options, which has the same ranges; errors name the Python arguments.
DetectorOptions make_options(double threshold, double baseline_window, double observation_window,
                             std::int64_t min_samples) {
    Config config;
    const auto assign = [&config](std::string_view option, const options::Value& value, const char* argument) {
        options::assign(config, *options::find(option), value, argument);
    };
    assign("anomaly_threshold", threshold, "threshold");
    assign("baseline_window", baseline_window, "baseline_window");
    assign("observation_window", observation_window, "observation_window");
    assign("anomaly_min_samples", min_samples, "min_samples");
    options::check(config);
    return to_options(config);
}

/// Expected false alerts per second; 0 for "off". Errors name the argument.
double to_alert_budget(const std::string& text) {
    Config config;
    options::assign(config, *options::find("alert_budget"), text, "alert_budget");
    options::check(config);
    return parse_alert_budget(text).value_or(0.0);
}

template <auto kMember>
constexpr auto kMicrosOf = within(kMember, to_micros);

/// Without what is stored with alerts.
constexpr auto kAlertFields = entity(
    "AlertFields", "", field<"skill_name">(&Alert::skill_name), field<"kind">(&Alert::kind),
    field<"detected_at">(kMicrosOf<&Alert::detected_at>), field<"since">(kMicrosOf<&Alert::since>),
    field<"since_low">(kMicrosOf<&Alert::since_low>), field<"since_high">(kMicrosOf<&Alert::since_high>),
    field<"before", &protocol::kAlertLevel>(&Alert::before), field<"after", &protocol::kAlertLevel>(&Alert::after),
    field<"once_in_seconds">(&Alert::once_in_seconds), field<"failures_in_a_row">(&Alert::failures_in_a_row),
    field<"errors", &protocol::kGrownError>(&Alert::errors), field<"session_id">([](const Alert& alert) {
        return alert.session_id.empty() ? std::nullopt : std::optional<std::string_view>(alert.session_id);
    }),
    field<"session_share">(&Alert::session_share), field<"sessions">(&Alert::sessions),
    field<"ended_at">(
        [](const Alert& alert) { return alert.ended_at ? std::optional(to_micros(*alert.ended_at)) : std::nullopt; }),
    field<"end">(&Alert::end));

/// Without the grouping and rounding of the API.
constexpr auto kAnomalyFields = entity(
    "AnomalyFields", "",
    std::tuple_cat(
        within_all(&protocol::AnomalyItem::anomaly,
                   std::tuple_cat(protocol::kPlainAnomaly.fields,
                                  std::tuple{field<"baseline_samples">(&Anomaly::baseline_samples),
                                             field<"observed_samples">(&Anomaly::observed_samples),
                                             field<"z_score">(&Anomaly::z_score),
                                             field<"tail_probability">(&Anomaly::tail_probability),
                                             field<"since">(within(&Anomaly::since, to_micros)),
                                             field<"common_errors", &protocol::kErrorCount>(&Anomaly::common_errors)})),
        std::tuple{field<"alert", &kAlertFields>(&protocol::AnomalyItem::alert)}));

/// `anomalies`, each with the open alert of its skill and side.
py::list with_alerts(const std::vector<Anomaly>& anomalies, const std::vector<Alert>& open_alerts) {
    const protocol::OpenAlerts alerts(open_alerts);
    py::list list;
    for (const Anomaly& anomaly : anomalies) {
        list.append(to_dict<kAnomalyFields>(alerts.item(anomaly)));
    }
    return list;
}

template <auto kMember>
constexpr auto kDeviation = within(&ReportedEpisode::deviation, kMember);

constexpr auto kEpisodeFields = entity(
    "EpisodeFields", "", field<"skill_name">(&ReportedEpisode::skill_name),
    field<"anomaly_type">(kDeviation<&Deviation::type>),
    field<"started_at">(within(&ReportedEpisode::started_at, to_micros)),
    field<"resolved_at">([](const ReportedEpisode& episode) {
        return episode.resolved_at ? std::optional(to_micros(*episode.resolved_at)) : std::nullopt;
    }),
    field<"baseline_value">(kDeviation<&Deviation::baseline_value>),
    field<"observed_value">(kDeviation<&Deviation::observed_value>),
    field<"deviation_score">([](const ReportedEpisode& episode) { return std::abs(episode.deviation.z); }),
    field<"baseline_samples">(kDeviation<&Deviation::baseline_samples>),
    field<"observed_samples">(kDeviation<&Deviation::observed_samples>), field<"z_score">(kDeviation<&Deviation::z>),
    field<"tail_probability">(kDeviation<&Deviation::tail_probability>));

constexpr auto kBacktest =
    entity("BacktestFields", "", field<"rows">(&BacktestResult::rows),
           field<"warm_up_rows">(&BacktestResult::warm_up_rows), field<"skipped_rows">(&BacktestResult::skipped_rows),
           field<"skills">(&BacktestResult::skills), field<"episodes", &kEpisodeFields>(&BacktestResult::episodes),
           field<"alerts", &kAlertFields>(&BacktestResult::alerts));

// No method runs Python code in between, so the GIL makes each atomic to other threads.
class Detector {
  public:
    Detector(double threshold, double baseline_window, double observation_window, std::int64_t min_samples,
             const std::string& alert_budget)
        : stream_(make_options(threshold, baseline_window, observation_window, min_samples),
                  {.budget = to_alert_budget(alert_budget)}, kMaxEpisodes) {}

    /// `completed`: nullopt if the outcome is unknown.
    py::list update(const std::string& skill, std::optional<bool> completed, std::optional<double> duration,
                    std::int64_t at, const std::string& error_type, bool duration_is_bound,
                    const std::string& session_id) {
        stream_.add({.skill_name = skill,
                     .invoked_at = to_time(at),
                     .session_id = session_id,
                     .completed = completed.value_or(true),
                     .duration_seconds = duration,
                     .error_type = error_type,
                     .outcome_is_unknown = !completed.has_value(),
                     .duration_is_bound = duration_is_bound});
        return with_alerts(stream_.reported(skill), stream_.open_alerts());
    }

    void advance(std::int64_t to) { stream_.advance(to_time(to)); }

    py::list anomalies(std::optional<std::int64_t> at) {
        stream_.advance(at ? std::max(to_time(*at), stream_.latest()) : stream_.latest());
        return with_alerts(stream_.reported(), stream_.open_alerts());
    }

    [[nodiscard]] py::list episodes() const { return to_dicts<kEpisodeFields>(stream_.episodes()); }
    [[nodiscard]] py::list alerts() const { return to_dicts<kAlertFields>(stream_.alerts()); }

  private:
    app::AnomalyStream stream_;
};

/// Runs the interpreter's signal handlers during long work, so that Ctrl-C ends it; their exceptions propagate.
void check_signals() {
    const py::gil_scoped_acquire acquired;
    if (PyErr_CheckSignals() != 0) {
        throw py::error_already_set();
    }
}

py::list detect(const std::string& db_path, std::int64_t at, double threshold, double baseline_window,
                double observation_window, std::int64_t min_samples) {
    const DetectorOptions options = make_options(threshold, baseline_window, observation_window, min_samples);
    std::vector<Anomaly> anomalies;
    {
        const py::gil_scoped_release released;
        anomalies = app::detect_anomalies(db_path, to_time(at), options, check_signals);
    }
    return with_alerts(anomalies, {});
}

py::dict backtest(const std::string& db_path, std::optional<std::int64_t> from, std::int64_t to,
                  const std::string& skill, const std::vector<std::string>& alert_budgets, double threshold,
                  double baseline_window, double observation_window, std::int64_t min_samples) {
    const DetectorOptions options = make_options(threshold, baseline_window, observation_window, min_samples);
    app::BacktestQuery query{.to = to_time(to), .skill_name = skill};
    if (from) {
        query.from = to_time(*from);
    }
    query.alert_budgets.clear();
    for (const std::string& budget : alert_budgets) {
        query.alert_budgets.push_back(to_alert_budget(budget));
    }
    BacktestResult result;
    {
        const py::gil_scoped_release released;
        result = app::backtest(db_path, query, options, check_signals);
    }
    py::dict fields = to_dict<kBacktest>(result);
    fields["alerts_by_budget"] = result.alerts_by_budget;
    return fields;
}

}  // namespace

void bind_anomaly(py::module_& module) {
    add_entity<kAlertFields, Alert>();
    add_entity<kAnomalyFields, protocol::AnomalyItem>();
    add_entity<kEpisodeFields, ReportedEpisode>();
    add_entity<kBacktest, BacktestResult>();
    module.def("is_valid_skill_name", &is_valid_skill_name, py::arg("name"), py::pos_only(),
               "Whether a skill name is valid; SKILL_NAME_RULE says when.");
    module.def("detect_anomalies", &detect, py::arg("db_path"), py::arg("at"), py::kw_only(), py::arg("threshold"),
               py::arg("baseline_window"), py::arg("observation_window"), py::arg("min_samples"),
               "The anomalies reported at a time, in microseconds since 1970.");
    module.def("backtest", &backtest, py::arg("db_path"), py::arg("start"), py::arg("end"), py::arg("skill"),
               py::arg("alert_budgets"), py::kw_only(), py::arg("threshold"), py::arg("baseline_window"),
               py::arg("observation_window"), py::arg("min_samples"),
               "What would have been reported for recorded history; an empty skill means all. The alerts of the first "
               "budget are listed, those of the others counted.");
    py::class_<Detector>(module, "AnomalyDetector", "The anomaly engine on a stream; times in microseconds since 1970.")
        .def(py::init<double, double, double, std::int64_t, const std::string&>(), py::kw_only(), py::arg("threshold"),
             py::arg("baseline_window"), py::arg("observation_window"), py::arg("min_samples"), py::arg("alert_budget"))
        .def("update", &Detector::update, py::arg("skill"), py::arg("completed"), py::arg("duration"), py::arg("at"),
             py::arg("error_type"), py::arg("duration_is_bound"), py::arg("session_id"),
             "Adds one invocation; returns the anomalies now reported for its skill.")
        .def("advance", &Detector::advance, py::arg("to"), "Advances time.")
        .def("anomalies", &Detector::anomalies, py::arg("at"), "All reported anomalies; None for the latest time.")
        .def("episodes", &Detector::episodes, "The latest episodes, by start time.")
        .def("alerts", &Detector::alerts, "The open alerts and the latest ended ones, by time of detection.");
}

}  // namespace session_buddy::bindings
