// OpenMetrics 1.0.0 from the data model of prometheus-cpp, which brings the older text format alone.
#pragma once

#include <prometheus/serializer.h>

#include <iosfwd>
#include <vector>

namespace session_buddy::prometheus {

/// For counters, gauges and histograms; families of other types are passed over. The unit is told by the name.
class OpenMetricsSerializer final : public ::prometheus::Serializer {
  public:
    using ::prometheus::Serializer::Serialize;
    void Serialize(std::ostream& out, const std::vector<::prometheus::MetricFamily>& families) const override;
};

}  // namespace session_buddy::prometheus
