// How many bytes of ingestion requests may be in flight, and how fast they must come.
#include "server/intake_reservation.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "support/system_clock.hpp"

namespace session_buddy::server {
namespace {

using std::chrono::seconds;

const SteadyTime kBodyStart{std::chrono::hours{1}};

Config config_of_one_kilobyte() {
    Config config;
    config.max_intake_bytes = 1000;
    config.max_body_bytes = 400;
    config.min_body_rate = 100;
    config.handshake_timeout = Seconds{10};
    return config;
}

class IntakeReservationTest : public testing::Test {
  protected:
    using Kind = IntakeRequest::Kind;
    ServerContext context{config_of_one_kilobyte(), test::kSystemClock};
};

TEST_F(IntakeReservationTest, counts_received_bytes_until_it_ends) {
    {
        IntakeReservation reservation(context, Kind::invocations, kBodyStart);
        EXPECT_TRUE(reservation.grow_to(300, kBodyStart));
        EXPECT_TRUE(reservation.grow_to(700, kBodyStart));
        EXPECT_EQ(context.intake_bytes, 700U);
    }
    EXPECT_EQ(context.intake_bytes, 0U);
}

TEST_F(IntakeReservationTest, the_limit_is_shared_and_hook_events_may_exceed_it_by_one_body) {
    IntakeReservation first(context, Kind::invocations, kBodyStart);
    EXPECT_TRUE(first.grow_to(600, kBodyStart));
    IntakeReservation second(context, Kind::invocations, kBodyStart);
    EXPECT_FALSE(second.grow_to(401, kBodyStart));
    EXPECT_EQ(context.intake_bytes, 600U) << "a rejected body counts nothing more";
    EXPECT_TRUE(second.grow_to(400, kBodyStart));
    EXPECT_FALSE(IntakeReservation::has_capacity(context, Kind::invocations, 1));
    EXPECT_TRUE(IntakeReservation::has_capacity(context, Kind::hook, 400));
    EXPECT_FALSE(IntakeReservation::has_capacity(context, Kind::hook, 401));
}

TEST_F(IntakeReservationTest, received_bytes_extend_the_deadline_up_to_one_timeout) {
    IntakeReservation reservation(context, Kind::invocations, kBodyStart);
    EXPECT_EQ(reservation.deadline(), kBodyStart + seconds{10});
    EXPECT_TRUE(reservation.grow_to(100, kBodyStart + seconds{5}));
    EXPECT_EQ(reservation.deadline(), kBodyStart + seconds{11}) << "one second for 100 bytes";
    EXPECT_TRUE(reservation.grow_to(900, kBodyStart + seconds{6}));
    EXPECT_EQ(reservation.deadline(), kBodyStart + seconds{16}) << "no pause exceeds handshake_timeout";
}

}  // namespace
}  // namespace session_buddy::server
