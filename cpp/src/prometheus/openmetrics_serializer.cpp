// Serializes metric families as OpenMetrics 1.0.0 text.
#include "openmetrics_serializer.hpp"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>

namespace session_buddy::prometheus {
namespace {

using ::prometheus::ClientMetric;
using ::prometheus::MetricFamily;
using ::prometheus::MetricType;

constexpr std::string_view kTotal = "_total";
constexpr std::array<std::string_view, 2> kUnits{"seconds", "bytes"};

/// For help texts and label values.
void append_escaped(fmt::memory_buffer& out, std::string_view text) {
    for (const char character : text) {
        if (character == '\n') {
            out.append(std::string_view("\\n"));
        } else {
            if (character == '\\' || character == '"') {
                out.push_back('\\');
            }
            out.push_back(character);
        }
    }
}

/// The shortest decimal that round-trips, in the canonical form that le requires: 1.0, 0.5, 1e+20.
void append_number(fmt::memory_buffer& out, double value) {
    if (std::isnan(value)) {
        out.append(std::string_view("NaN"));
    } else if (std::isinf(value)) {
        out.append(std::string_view(value > 0 ? "+Inf" : "-Inf"));
    } else {
        const std::size_t begin = out.size();
        fmt::format_to(std::back_inserter(out), "{}", value);
        const std::string_view text(out.data() + begin, out.size() - begin);
        if (text.find_first_of(".e") == std::string_view::npos) {
            out.append(std::string_view(".0"));
        }
    }
}

void append_count(fmt::memory_buffer& out, std::uint64_t count) {
    fmt::format_to(std::back_inserter(out), "{}", count);
}

/// Appends name, labels and the blank before the value. `bound`: the le of a bucket.
void append_name(fmt::memory_buffer& out, std::string_view name, std::string_view suffix, const ClientMetric& metric,
                 const double* bound = nullptr) {
    out.append(name);
    out.append(suffix);
    if (!metric.label.empty() || bound != nullptr) {
        char separator = '{';
        for (const ClientMetric::Label& label : metric.label) {
            out.push_back(separator);
            out.append(std::string_view(label.name));
            out.append(std::string_view("=\""));
            append_escaped(out, label.value);
            out.push_back('"');
            separator = ',';
        }
        if (bound != nullptr) {
            out.push_back(separator);
            out.append(std::string_view("le=\""));
            append_number(out, *bound);
            out.push_back('"');
        }
        out.push_back('}');
    }
    out.push_back(' ');
}

void append_histogram(fmt::memory_buffer& out, std::string_view name, const ClientMetric& metric) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    bool has_last = false;
    for (const ClientMetric::Bucket& bucket : metric.histogram.bucket) {
        append_name(out, name, "_bucket", metric, &bucket.upper_bound);
        append_count(out, bucket.cumulative_count);
        out.push_back('\n');
        has_last = std::isinf(bucket.upper_bound);
    }
    if (!has_last) {
        append_name(out, name, "_bucket", metric, &kInfinity);
        append_count(out, metric.histogram.sample_count);
        out.push_back('\n');
    }
    append_name(out, name, "_count", metric);
    append_count(out, metric.histogram.sample_count);
    out.push_back('\n');
    append_name(out, name, "_sum", metric);
    append_number(out, metric.histogram.sample_sum);
    out.push_back('\n');
}

std::string_view type_name(MetricType type) {
    switch (type) {
        case MetricType::Counter:
            return "counter";
        case MetricType::Gauge:
            return "gauge";
        case MetricType::Histogram:
            return "histogram";
        default:
            return {};
    }
}

void append_family(fmt::memory_buffer& out, const MetricFamily& family) {
    const std::string_view type = type_name(family.type);
    if (type.empty()) {
        return;
    }
    // The name of a counter family lacks the _total suffix of its samples.
    std::string_view name = family.name;
    const bool is_counter = family.type == MetricType::Counter;
    if (is_counter && name.ends_with(kTotal)) {
        name.remove_suffix(kTotal.size());
    }
    fmt::format_to(std::back_inserter(out), "# TYPE {} {}\n", name, type);
    for (const std::string_view unit : kUnits) {
        if (name.size() > unit.size() && name.ends_with(unit) && name[name.size() - unit.size() - 1] == '_') {
            fmt::format_to(std::back_inserter(out), "# UNIT {} {}\n", name, unit);
        }
    }
    fmt::format_to(std::back_inserter(out), "# HELP {} ", name);
    append_escaped(out, family.help);
    out.push_back('\n');
    for (const ClientMetric& metric : family.metric) {
        if (family.type == MetricType::Histogram) {
            append_histogram(out, name, metric);
            continue;
        }
        append_name(out, name, is_counter ? kTotal : std::string_view(), metric);
        append_number(out, is_counter ? metric.counter.value : metric.gauge.value);
        out.push_back('\n');
    }
}

}  // namespace

void OpenMetricsSerializer::Serialize(std::ostream& out, const std::vector<MetricFamily>& families) const {
    fmt::memory_buffer text;
    for (const MetricFamily& family : families) {
        append_family(text, family);
    }
    text.append(std::string_view("# EOF\n"));
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

}  // namespace session_buddy::prometheus
