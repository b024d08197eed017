// The real clock, for tests in which time does not matter.
#pragma once

#include "session_buddy/core/clock.hpp"

namespace session_buddy::test {

inline const SystemClock kSystemClock;

}  // namespace session_buddy::test
