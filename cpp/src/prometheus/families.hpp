// All exposed metrics, in the data model of prometheus-cpp.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "session_buddy/prometheus/exposition.hpp"

namespace session_buddy::prometheus {

[[nodiscard]] std::vector<::prometheus::MetricFamily> families(const Sources& sources);

}  // namespace session_buddy::prometheus
