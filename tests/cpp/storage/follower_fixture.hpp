// Fixture of the follower tests: a database, a follower on it, and polls that wait for a change.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/follower.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {

inline const TimePoint kNow = parse_timestamp("2026-02-10T12:00:00Z").value();
inline constexpr const char* kRecent = "2026-02-10T11:00:00Z";

inline std::vector<std::int64_t> ids(const Batch& batch) {
    std::vector<std::int64_t> result;
    for (const Invocation& row : batch.rows) {
        result.push_back(row.id);
    }
    return result;
}

inline std::vector<std::string> names(const Batch& batch) {
    std::vector<std::string> result;
    for (const auto& [name, metrics] : batch.lifetimes) {
        result.push_back(name);
    }
    std::ranges::sort(result);
    return result;
}

inline const LifetimeMetrics* lifetime(const Batch& batch, const std::string& skill) {
    for (const auto& [name, metrics] : batch.lifetimes) {
        if (name == skill) {
            return &metrics;
        }
    }
    return nullptr;
}

class FollowerTest : public testing::Test {
  protected:
    void start(std::uint32_t max_rows = 50000) {
        follower.emplace(path,
                         FollowerOptions{.poll_busy_timeout = std::chrono::milliseconds{50}, .max_rows = max_rows});
        follower->open();
    }
    Batch poll() { return follower->poll(kNow); }
    StorageErrc poll_error() {
        try {
            static_cast<void>(poll());
        } catch (const StorageError& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr(path));
            return error.code();
        }
        ADD_FAILURE() << "the poll succeeded";
        return StorageErrc::io;
    }
    /// Polls until `done`; an audit waits until it is due, and an incomplete file until it stops changing.
    Batch poll_until(const std::function<bool(const Batch&)>& done) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (std::chrono::steady_clock::now() < deadline) {
            try {
                Batch batch = poll();
                if (done(batch)) {
                    return batch;
                }
            } catch (const StorageError& error) {
                if (error.code() != StorageErrc::busy) {
                    throw;
                }
            }
        }
        ADD_FAILURE() << "timed out";
        return {};
    }
    Batch poll_until_rebuilt() {
        return poll_until([](const Batch& batch) { return batch.rebuilt; });
    }
    void insert(const std::string& skill, const std::string& at = kRecent) {
        test::execute(path, test::insertion(skill, at));
    }
    void remove_database() const {
        for (const char* suffix : {"", "-wal", "-shm"}) {
            std::filesystem::remove(path + suffix);
        }
    }

    test::TempDir dir;
    std::string path = dir.file("skills.db");
    std::optional<Follower> follower;
};

}  // namespace session_buddy::storage
