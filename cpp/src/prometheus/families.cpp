// Builds the metric families from a snapshot and the server counters. docs/api/PROMETHEUS.md lists them all; a test
// compares the two.
#include "families.hpp"

#include <prometheus/client_metric.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/evidence.hpp"
#include "session_buddy/core/totals.hpp"
#include "session_buddy/core/version.hpp"

namespace session_buddy::prometheus {
namespace {

using ::prometheus::ClientMetric;
using ::prometheus::MetricFamily;
using ::prometheus::MetricType;

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

ClientMetric labelled(Labels labels) {
    ClientMetric metric;
    metric.label.reserve(labels.size());
    for (const auto& [name, value] : labels) {
        metric.label.push_back({.name = std::string(name), .value = std::string(value)});
    }
    return metric;
}

class Family {
  public:
    Family(MetricType type, std::string_view name, std::string_view help) {
        family_.type = type;
        family_.name = name;
        family_.help = help;
    }
    void add(Labels labels, double value) {
        ClientMetric& metric = family_.metric.emplace_back(labelled(labels));
        (family_.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    }
    void add(Labels labels, std::int64_t value) { add(labels, static_cast<double>(value)); }
    void add(Labels labels, std::uint64_t value) { add(labels, static_cast<double>(value)); }
    /// `counts`: one per bound, and one for values above the last.
    void add_histogram(Labels labels, const auto& bounds, const auto& counts, double sum) {
        auto& histogram = family_.metric.emplace_back(labelled(labels)).histogram;
        histogram.bucket.reserve(bounds.size());
        std::uint64_t below = 0;
        for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
            below += static_cast<std::uint64_t>(counts[bucket]);
            if (bucket < bounds.size()) {
                histogram.bucket.push_back({.cumulative_count = below, .upper_bound = bounds[bucket]});
            }
        }
        histogram.sample_count = below;
        histogram.sample_sum = sum;
    }
    [[nodiscard]] MetricFamily take() && { return std::move(family_); }

  private:
    MetricFamily family_;
};

class Families {
  public:
    Family& counter(std::string_view name, std::string_view help) { return open(MetricType::Counter, name, help); }
    Family& gauge(std::string_view name, std::string_view help) { return open(MetricType::Gauge, name, help); }
    Family& histogram(std::string_view name, std::string_view help) { return open(MetricType::Histogram, name, help); }

    [[nodiscard]] std::vector<MetricFamily> take() && {
        std::vector<MetricFamily> result;
        result.reserve(families_.size());
        for (Family& family : families_) {
            result.push_back(std::move(family).take());
        }
        return result;
    }

  private:
    /// The reference is valid until the next call.
    Family& open(MetricType type, std::string_view name, std::string_view help) {
        return families_.emplace_back(type, name, help);
    }
    std::vector<Family> families_;
};

double seconds_since_epoch(TimePoint at) {
    return Seconds(at.time_since_epoch()).count();
}

void add_totals(Families& families, const TotalsTable& totals) {
    auto& invocations = families.counter("skill_invocations_total",
                                         "Invocations of skills, all-time. Those with an unknown outcome have "
                                         "completed=\"true\", as in skill_invocation.");
    for (const auto& skill : totals) {
        for (const PhaseTotals& phase : skill->phases) {
            const auto add = [&](std::string_view completed, Outcome outcome, std::int64_t count) {
                invocations.add({{"skill_name", skill->skill_name},
                                 {"workflow_phase", phase.workflow_phase},
                                 {"completed", completed},
                                 {"outcome", kOutcomes[outcome]}},
                                count);
            };
            add("true", Outcome::completed, phase.completed);
            add("true", Outcome::unknown, phase.unknown);
            add("false", Outcome::failed, phase.failed);
        }
    }
    auto& durations = families.histogram("skill_duration_seconds", "Durations of completed invocations, all-time.");
    for (const auto& skill : totals) {
        for (const PhaseTotals& phase : skill->phases) {
            if (phase.durations != decltype(phase.durations){}) {
                durations.add_histogram({{"skill_name", skill->skill_name}, {"workflow_phase", phase.workflow_phase}},
                                        kDurationBounds, phase.durations, phase.duration_seconds);
            }
        }
    }
    auto& anomalies = families.counter("anomalies_detected_total", "Anomalies detected, all-time.");
    for (const auto& skill : totals) {
        for (const auto& [type, name] : kAnomalyTypes) {
            // Exported from 0 on: increase() would miss the first anomaly of a series that starts with it.
            anomalies.add({{"anomaly_type", name}, {"skill_name", skill->skill_name}},
                          skill->anomalies.at(static_cast<std::size_t>(type)));
        }
    }
}

/// The skills that have their own series.
std::unordered_set<std::string_view> own_series(const TotalsTable& totals) {
    std::unordered_set<std::string_view> own;
    for (const auto& skill : totals) {
        own.insert(skill->skill_name);
    }
    return own;
}

void add_alerts(Families& families, const Snapshot& snapshot) {
    const auto own = own_series(*snapshot.totals);
    std::map<std::array<std::string_view, 3>, std::int64_t> counts;  // by skill, kind and state
    for (const Alert& alert : *snapshot.alerts) {
        if (alert.ended_at) {
            continue;
        }
        const std::string_view skill = own.contains(alert.skill_name) ? alert.skill_name : kOtherSeries;
        const std::string_view state = alert.muted ? "muted" : alert.acknowledged_at ? "acknowledged" : "active";
        ++counts[{skill, to_string(alert.kind), state}];
    }
    auto& open = families.gauge("session_buddy_alerts_open", "Open alerts; only those in the state active interrupt.");
    for (const auto& [labels, count] : counts) {
        open.add({{"skill_name", labels[0]}, {"kind", labels[1]}, {"state", labels[2]}}, count);
    }
    auto& started = families.counter("session_buddy_alerts_started_total", "Alerts started, by kind.");
    for (const auto& [kind, name] : kAlertKinds) {
        started.add({{"kind", name}}, snapshot.collector.alerts_started.at(static_cast<std::size_t>(kind)));
    }
}

void add_window(Families& families, const Snapshot& snapshot) {
    const auto own = own_series(*snapshot.totals);
    auto& rates = families.gauge(
        "skill_completion_rate",
        "Fraction of completed invocations among those with a known outcome in the sliding window, 0 to 1.");
    std::int64_t other_known = 0;
    std::int64_t other_completed = 0;
    for (std::uint32_t index = 0; index < snapshot.skills->size(); ++index) {
        const SkillMetrics& skill = snapshot.skills->at(index);
        const auto known = skill.window.invocation_count - skill.window.unknown_count;
        const auto completed = skill.window.completed_count - skill.window.unknown_count;
        if (known == 0) {
            continue;
        }
        if (skill.skill_name == kOtherSeries || !own.contains(skill.skill_name)) {
            other_known += known;
            other_completed += completed;
            continue;
        }
        rates.add({{"skill_name", skill.skill_name}}, static_cast<double>(completed) / static_cast<double>(known));
    }
    if (other_known > 0) {
        rates.add({{"skill_name", kOtherSeries}},
                  static_cast<double>(other_completed) / static_cast<double>(other_known));
    }
    // Not one gauge with the label `quantile`, which is for summaries.
    const auto add_quantile = [&](std::string_view name, std::string_view help,
                                  std::optional<double> WindowMetrics::*const quantile) {
        auto& gauge = families.gauge(name, help);
        for (std::uint32_t index = 0; index < snapshot.skills->size(); ++index) {
            const SkillMetrics& skill = snapshot.skills->at(index);
            if (skill.window.*quantile && skill.skill_name != kOtherSeries && own.contains(skill.skill_name)) {
                gauge.add({{"skill_name", skill.skill_name}}, *(skill.window.*quantile));
            }
        }
    };
    add_quantile("session_buddy_skill_duration_median_seconds",
                 "Median of the durations of completed invocations in the sliding window.",
                 &WindowMetrics::p50_duration_seconds);
    add_quantile("session_buddy_skill_duration_p95_seconds",
                 "95th percentile of the durations of completed invocations in the sliding window.",
                 &WindowMetrics::p95_duration_seconds);
    families.gauge("active_sessions_total", "Sessions with an invocation within session_window.")
        .add({}, static_cast<double>(snapshot.active_sessions));
}

void add_network(Families& families, const NetworkStats& network) {
    auto& clients = families.gauge("session_buddy_clients", "Open connections.");
    clients.add({{"kind", "websocket"}}, network.websocket_clients);
    clients.add({{"kind", "http"}}, network.http_connections);
    auto& refused = families.counter("session_buddy_connections_refused_total",
                                     "Connections and requests rejected, by limit or rule.");
    for (const auto& [refusal, name] : kRefusals) {
        refused.add({{"reason", name}}, network.refused.at(static_cast<std::size_t>(refusal)));
    }
    std::uint64_t broadcasts = 0;
    for (const std::uint64_t count : network.broadcasts.buckets) {
        broadcasts += count;
    }
    families.counter("session_buddy_broadcasts_total", "Snapshots broadcast.").add({}, broadcasts);
    families
        .histogram("session_buddy_broadcast_duration_seconds",
                   "Time from a snapshot until its update was offered to the last client.")
        .add_histogram({}, kHistogramBounds, network.broadcasts.buckets, network.broadcasts.seconds);
    families.counter("session_buddy_messages_sent_total", "WebSocket messages passed to the operating system.")
        .add({}, network.messages_sent);
    families.counter("session_buddy_messages_received_total", "WebSocket messages received from clients.")
        .add({}, network.messages_received);
    families.counter("session_buddy_sent_bytes_total", "Bytes sent on WebSocket connections, before TLS.")
        .add({}, network.bytes_sent);
    families
        .counter("session_buddy_updates_skipped_total",
                 "Updates replaced by a newer one before a slow client could read them.")
        .add({}, network.updates_replaced);
    auto& intake = families.counter("session_buddy_intake_requests_total", "Ingestion requests received in full.");
    intake.add({{"kind", "hook"}}, network.hook_requests);
    intake.add({{"kind", "invocations"}}, network.invocation_requests);
}

void add_collector(Families& families, const Sources& sources) {
    const Snapshot& snapshot = sources.snapshot;
    const CollectorStats& collector = snapshot.collector;
    families.counter("session_buddy_intake_rows_total", "Rows stored by ingestion requests.")
        .add({}, sources.intake_rows);
    families.gauge("session_buddy_database_readable", "Whether the last read of the database succeeded, 0 or 1.")
        .add({}, snapshot.database.readable ? 1.0 : 0.0);
    if (collector.up_to_date_at) {
        families
            .gauge("session_buddy_database_lag_seconds",
                   "Time since the last read of the database that left no row unread.")
            .add({}, std::max(Seconds(sources.now - *collector.up_to_date_at).count(), 0.0));
    }
    families.gauge("session_buddy_uncounted_rows", "Estimated rows not yet added to the totals.")
        .add({}, snapshot.uncounted_rows);
    auto& tracked = families.gauge("session_buddy_tracked_names", "Names tracked in memory, by kind.");
    auto& summed =
        families.counter("session_buddy_rows_in_other_total",
                         "Rows summed as other because their name exceeded a limit, by kind; reset to 0 by a rebuild.");
    const auto add_names = [&](std::string_view kind, const TrackedNames& names) {
        tracked.add({{"kind", kind}}, names.count);
        summed.add({{"kind", kind}}, names.rows_in_other);
    };
    add_names("skill", snapshot.tracked_skills);
    add_names("session", snapshot.tracked_sessions);
    add_names("error_type", snapshot.tracked_error_types);
    families.counter("session_buddy_rows_read_total", "Rows read for the sliding windows.")
        .add({}, collector.rows_read);
    families.counter("session_buddy_rows_skipped_total", "Invalid rows skipped.").add({}, collector.rows_skipped);
    families.histogram("session_buddy_cycle_duration_seconds", "Duration of one cycle: reading, computing and writing.")
        .add_histogram({}, kHistogramBounds, collector.cycles.buckets, collector.cycles.seconds);
    auto& errors = families.counter("session_buddy_errors_total", "Errors, by kind.");
    errors.add({{"kind", "database_read"}}, collector.read_failures);
    errors.add({{"kind", "database_write"}}, collector.write_failures);
    errors.add({{"kind", "connection"}}, sources.network.failures);
}

void add_process(Families& families, const Sources& sources) {
    families.gauge("session_buddy_build_info", "Build information; the value is always 1.")
        .add({{"version", kVersion}}, 1.0);
    families.gauge("session_buddy_start_time_seconds", "Start time of the server in seconds since 1970.")
        .add({}, seconds_since_epoch(sources.started_at));
    if (!sources.process) {
        return;
    }
    const ProcessStats& process = *sources.process;
    families.counter("process_cpu_seconds_total", "CPU time of the process, user and system.")
        .add({}, process.cpu_seconds);
    families.gauge("process_resident_memory_bytes", "Resident memory of the process.").add({}, process.resident_bytes);
    families.gauge("process_open_fds", "Open file descriptors.").add({}, process.open_fds);
    families.gauge("process_max_fds", "Maximum number of open file descriptors.").add({}, process.max_fds);
    families.gauge("process_start_time_seconds", "Start time of the process in seconds since 1970.")
        .add({}, process.started_at);
}

}  // namespace

std::vector<MetricFamily> families(const Sources& sources) {
    Families families;
    add_totals(families, *sources.snapshot.totals);
    add_alerts(families, sources.snapshot);
    add_window(families, sources.snapshot);
    add_network(families, sources.network);
    add_collector(families, sources);
    add_process(families, sources);
    return std::move(families).take();
}

}  // namespace session_buddy::prometheus
