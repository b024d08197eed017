// OpenMetrics text of each kind of family.
#include "prometheus/openmetrics_serializer.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace session_buddy::prometheus {
namespace {

using ::prometheus::ClientMetric;
using ::prometheus::MetricFamily;
using ::prometheus::MetricType;

MetricFamily family(MetricType type, const std::string& name, const std::string& help = "Help.") {
    MetricFamily result;
    result.name = name;
    result.help = help;
    result.type = type;
    return result;
}

TEST(OpenMetrics, ends_with_eof_even_if_empty) {
    EXPECT_EQ(OpenMetricsSerializer().Serialize({}), "# EOF\n");
}

TEST(OpenMetrics, names_a_counter_without_the_suffix_of_its_samples) {
    auto counter = family(MetricType::Counter, "sent_bytes_total");
    counter.metric.emplace_back().counter.value = 3;
    EXPECT_EQ(
        OpenMetricsSerializer().Serialize({counter}),
        "# TYPE sent_bytes counter\n# UNIT sent_bytes bytes\n# HELP sent_bytes Help.\nsent_bytes_total 3.0\n# EOF\n");
}

TEST(OpenMetrics, keeps_the_name_of_a_gauge_with_any_suffix) {
    auto gauge = family(MetricType::Gauge, "active_sessions_total");
    gauge.metric.emplace_back().gauge.value = 0.25;
    EXPECT_EQ(
        OpenMetricsSerializer().Serialize({gauge}),
        "# TYPE active_sessions_total gauge\n# HELP active_sessions_total Help.\nactive_sessions_total 0.25\n# EOF\n");
}

TEST(OpenMetrics, has_a_unit_only_if_it_is_a_separate_word) {
    EXPECT_EQ(OpenMetricsSerializer().Serialize(
                  {family(MetricType::Gauge, "megabytes"), family(MetricType::Gauge, "seconds")}),
              "# TYPE megabytes gauge\n# HELP megabytes Help.\n# TYPE seconds gauge\n# HELP seconds Help.\n# EOF\n");
}

TEST(OpenMetrics, escapes_labels_and_help) {
    auto gauge = family(MetricType::Gauge, "g", "a \"b\" \\ c\nd");
    auto& metric = gauge.metric.emplace_back();
    metric.label = {{.name = "x", .value = "a\"b\\c\nd\xc3\xa9"}, {.name = "y", .value = ""}};
    EXPECT_EQ(OpenMetricsSerializer().Serialize({gauge}),
              "# TYPE g gauge\n# HELP g a \\\"b\\\" \\\\ c\\nd\ng{x=\"a\\\"b\\\\c\\nd\xc3\xa9\",y=\"\"} 0.0\n# EOF\n");
}

TEST(OpenMetrics, has_histograms_with_canonical_bounds_and_an_infinite_bucket) {
    auto histogram = family(MetricType::Histogram, "h_seconds");
    auto& metric = histogram.metric.emplace_back();
    metric.label = {{.name = "k", .value = "v"}};
    metric.histogram.bucket = {{.cumulative_count = 1, .upper_bound = 0.5}, {.cumulative_count = 2, .upper_bound = 10}};
    metric.histogram.sample_count = 3;
    metric.histogram.sample_sum = 40.5;
    EXPECT_EQ(
        OpenMetricsSerializer().Serialize({histogram}),
        "# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n# HELP h_seconds Help.\n"
        "h_seconds_bucket{k=\"v\",le=\"0.5\"} 1\nh_seconds_bucket{k=\"v\",le=\"10.0\"} 2\n"
        "h_seconds_bucket{k=\"v\",le=\"+Inf\"} 3\nh_seconds_count{k=\"v\"} 3\nh_seconds_sum{k=\"v\"} 40.5\n# EOF\n");
}

TEST(OpenMetrics, has_an_existing_infinite_bucket_once) {
    auto histogram = family(MetricType::Histogram, "h");
    auto& metric = histogram.metric.emplace_back();
    metric.histogram.bucket = {{.cumulative_count = 3, .upper_bound = std::numeric_limits<double>::infinity()}};
    metric.histogram.sample_count = 3;
    EXPECT_EQ(OpenMetricsSerializer().Serialize({histogram}),
              "# TYPE h histogram\n# HELP h Help.\nh_bucket{le=\"+Inf\"} 3\nh_count 3\nh_sum 0.0\n# EOF\n");
}

TEST(OpenMetrics, has_numbers_that_round_trip) {
    auto gauge = family(MetricType::Gauge, "g");
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    for (const double value :
         {0.1, 1e21, 123456789012.0, -kInfinity, kInfinity, std::numeric_limits<double>::quiet_NaN()}) {
        gauge.metric.emplace_back().gauge.value = value;
    }
    EXPECT_EQ(OpenMetricsSerializer().Serialize({gauge}),
              "# TYPE g gauge\n# HELP g Help.\ng 0.1\ng 1e+21\ng 123456789012.0\ng -Inf\ng +Inf\ng NaN\n# EOF\n");
}

}  // namespace
}  // namespace session_buddy::prometheus
