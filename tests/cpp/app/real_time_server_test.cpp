// Start, stop and restart of the whole server, and its errors at the start.
#include "session_buddy/app/real_time_server.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <system_error>
#include <thread>

#include "session_buddy/storage/error.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::app {
namespace {

class RealTimeServerTest : public testing::Test {
  protected:
    [[nodiscard]] Config config() const {
        Config result;
        result.host = "127.0.0.1";
        result.port = 0;
        result.db_path = folder.file("skills.db");
        result.update_interval = Seconds{0.02};
        return result;
    }
    test::TempDir folder;
};

TEST_F(RealTimeServerTest, can_be_started_again_after_a_stop) {
    RealTimeServer server{config()};
    EXPECT_FALSE(server.running());
    EXPECT_EQ(server.port(), 0);
    for (int run = 0; run < 3; ++run) {
        server.start();
        EXPECT_TRUE(server.running());
        EXPECT_NE(server.port(), 0);
        EXPECT_EQ(server.endpoints(), std::vector<std::string>{"127.0.0.1:" + std::to_string(server.port())});
        EXPECT_GE(server.latest()->sequence, 1U);
        server.stop();
        EXPECT_FALSE(server.running());
    }
    server.stop();
}

TEST_F(RealTimeServerTest, start_while_running_throws_and_changes_nothing) {
    RealTimeServer server{config()};
    server.start();
    const auto port = server.port();
    EXPECT_THROW(server.start(), std::logic_error);
    EXPECT_EQ(server.port(), port);
}

TEST_F(RealTimeServerTest, a_port_in_use_is_an_immediate_error_and_the_other_server_continues) {
    RealTimeServer first{config()};
    first.start();
    Config taken = config();
    taken.port = first.port();
    RealTimeServer second{taken};
    try {
        second.start();
        FAIL() << "started on a port in use";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::errc::address_in_use);
    }
    EXPECT_FALSE(second.running());
    EXPECT_TRUE(first.running());
    first.stop();
    second.start();
    EXPECT_EQ(second.port(), taken.port);
}

TEST_F(RealTimeServerTest, a_file_that_is_no_database_is_an_error_that_frees_the_port) {
    Config bad = config();
    std::ofstream(bad.db_path) << "this is not a database, it is a text file of some length";
    RealTimeServer server{bad};
    EXPECT_THROW(server.start(), storage::StorageError);
    EXPECT_FALSE(server.running());
    EXPECT_EQ(server.port(), 0);
}

TEST_F(RealTimeServerTest, listeners_get_every_snapshot_and_survive_a_restart) {
    RealTimeServer server{config()};
    std::atomic<int> seen{0};
    const auto id = server.add_listener([&](const SnapshotPtr&) { ++seen; });
    for (int run = 0; run < 2; ++run) {
        seen = 0;
        server.start();
        while (seen < 3) {
            std::this_thread::yield();
        }
        server.stop();
    }
    server.remove_listener(id);
    seen = 0;
    server.start();
    EXPECT_EQ(seen, 0);
}

TEST_F(RealTimeServerTest, two_servers_share_one_process_and_one_database) {
    RealTimeServer first{config()};
    RealTimeServer second{config()};
    first.start();
    second.start();
    EXPECT_NE(first.port(), second.port());
}

}  // namespace
}  // namespace session_buddy::app
