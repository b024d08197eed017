// OpenMetrics 1.0.0 serializer for the data model of prometheus-cpp, which has only one for the older text format.
#pragma once

#include <prometheus/serializer.h>

#include <iosfwd>
#include <vector>

namespace session_buddy::prometheus {

/// Supports counters, gauges and histograms; other types are skipped. The unit is derived from the name.
class OpenMetricsSerializer final : public ::prometheus::Serializer {
  public:
    using ::prometheus::Serializer::Serialize;
    void Serialize(std::ostream& out, const std::vector<::prometheus::MetricFamily>& families) const override;
};

}  // namespace session_buddy::prometheus
