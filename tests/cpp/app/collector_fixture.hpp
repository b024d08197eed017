// A collector on a database in a temporary folder, with a clock that the test advances.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <utility>

#include "session_buddy/app/collector.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "support/manual_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {

inline const TimePoint kNow = *parse_timestamp("2026-02-10T12:00:00Z");

class CollectorFixture : public testing::Test {
  protected:
    CollectorFixture() { config.db_path = folder.file("skills.db"); }

    /// Starts as a new process; the old one, if any, is gone without cleanup.
    void start() {
        collector.reset();
        collector = std::make_unique<Collector>(config, clock, [this](SnapshotPtr snapshot) {
            latest = std::move(snapshot);
            ++published;
        });
        collector->open();
    }
    void cycle(std::chrono::microseconds later = std::chrono::seconds{1}) {
        clock.advance(later);
        collector->cycle();
    }

    test::TempDir folder;
    Config config;
    test::ManualClock clock{kNow};
    SnapshotPtr latest;
    int published = 0;
    std::unique_ptr<Collector> collector;
};

}  // namespace session_buddy::app
