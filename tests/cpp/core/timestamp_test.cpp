// Supported and rejected timestamp formats.
#include "session_buddy/core/timestamp.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

namespace session_buddy {
namespace {

struct ReadCase {
    const char* text;
    std::int64_t micros;  // as from Python's datetime.fromisoformat; naive means UTC
};

class Timestamp : public testing::TestWithParam<ReadCase> {};

TEST_P(Timestamp, is_parsed) {
    const auto read = parse_timestamp(GetParam().text);
    ASSERT_TRUE(read.has_value()) << GetParam().text;
    EXPECT_EQ(read->time_since_epoch().count(), GetParam().micros) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Forms, Timestamp,
    testing::Values(
        ReadCase{"1970-01-01T00:00:00Z", 0}, ReadCase{"1970-01-01", 0}, ReadCase{"1970-01-01 00:00", 0},
        ReadCase{"2026-02-10T12:00:00Z", 1770724800000000}, ReadCase{"2026-02-10T12:00:00", 1770724800000000},
        ReadCase{"2026-02-10t12:00:00z", 1770724800000000}, ReadCase{"2026-02-10 12:00:00", 1770724800000000},
        ReadCase{"2026-02-10T12:00", 1770724800000000}, ReadCase{"2026-02-10T12:00Z", 1770724800000000},
        ReadCase{"2026-02-10", 1770681600000000}, ReadCase{"2026-02-10T12:00:00.5Z", 1770724800500000},
        ReadCase{"2026-02-10T12:00:00,5", 1770724800500000}, ReadCase{"2026-02-10T12:00:00.000001", 1770724800000001},
        ReadCase{"2026-02-10T12:00:00.1234567899", 1770724800123456},
        ReadCase{"2026-02-10T12:00:00.9999999Z", 1770724800999999},
        ReadCase{"2026-02-10T12:00:00+00:00", 1770724800000000},
        ReadCase{"2026-02-10T12:00:00-00:00", 1770724800000000},
        ReadCase{"2026-02-10T13:00:00+01:00", 1770724800000000}, ReadCase{"2026-02-10T13:00:00+01", 1770724800000000},
        ReadCase{"2026-02-10T17:30:00+0530", 1770724800000000},
        ReadCase{"2026-02-10T07:00:00.25-05:00", 1770724800250000},
        ReadCase{"2026-02-10T12:00:30+00:00:30", 1770724800000000},
        ReadCase{"2026-02-11T11:59:59+23:59:59", 1770724800000000},
        ReadCase{"2026-02-09T12:01-23:59", 1770724800000000}, ReadCase{"2024-02-29T23:59:59.999999Z", 1709251199999999},
        ReadCase{"2000-02-29", 951782400000000}, ReadCase{"1969-12-31T23:59:59.999999", -1},
        ReadCase{"0001-01-01T00:00:00Z", -62135596800000000},
        ReadCase{"9999-12-31T23:59:59.999999Z", 253402300799999999}));

class NotATimestamp : public testing::TestWithParam<const char*> {};

TEST_P(NotATimestamp, is_rejected) {
    EXPECT_FALSE(parse_timestamp(GetParam()).has_value()) << GetParam();
}

INSTANTIATE_TEST_SUITE_P(
    Forms, NotATimestamp,
    testing::Values("", " ", "now", "yesterday", "1770724800", "12:00:00", "2026", "2026-02", "2026-2-10", "20260210",
                    "20260210T120000Z", "2026-W07-2", "2026-041", "02026-02-10", "+2026-02-10", "-2026-02-10",
                    "0000-01-01", "10000-01-01", "2026-00-10", "2026-13-10", "2026-02-00", "2026-02-29", "1900-02-29",
                    "2026-04-31", "2026-02-10T", "2026-02-10 ", "2026-02-10Z", "2026-02-10+01:00", "2026-02-10T12",
                    "2026-02-10T1:00", "2026-02-10T12:0", "2026-02-10T12:00:", "2026-02-10T12:00:0",
                    "2026-02-10T120000", "2026-02-10x12:00:00", "2026-02-10  12:00:00", "2026-02-10T24:00:00",
                    "2026-02-10T24:00", "2026-02-10T12:60", "2026-02-10T12:00:60", "2026-02-10T23:59:60Z",
                    "2026-02-10T12:00:00.", "2026-02-10T12:00:00.Z", "2026-02-10T12:00.5", "2026-02-10T12:00:00.5.5",
                    "2026-02-10T12:00:00 Z", "2026-02-10T12:00:00ZZ", "2026-02-10T12:00:00Z ", " 2026-02-10T12:00:00Z",
                    "2026-02-10T12:00:00+", "2026-02-10T12:00:00+1",
                    "2026-02-10T12:00:00+01:", "2026-02-10T12:00:00+01:0", "2026-02-10T12:00:00+010",
                    "2026-02-10T12:00:00+01000", "2026-02-10T12:00:00+24:00", "2026-02-10T12:00:00+99",
                    "2026-02-10T12:00:00+01:60", "2026-02-10T12:00:00+01:00:60", "2026-02-10T12:00:00+01:00:00.5",
                    "2026-02-10T12:00:00 UTC", "2026-02-10T12:00:00\xC2\xA0",
                    "\xEF\xBC\x92"
                    "026-02-10",
                    "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:00-00:01"));

TEST(Timestamp, stops_at_a_nul_byte) {
    EXPECT_FALSE(parse_timestamp(std::string("2026-02-10\0", 11)).has_value());
    EXPECT_FALSE(parse_timestamp(std::string("2026-02-10T12:00:00\0Z", 21)).has_value());
}

TEST(Timestamp, is_formatted_for_the_wire) {
    const auto written = [](const char* text) { return format_timestamp(parse_timestamp(text).value()); };
    EXPECT_EQ(written("2026-02-10T12:00:00.999999+00:00"), "2026-02-10T12:00:00Z");
    EXPECT_EQ(written("2026-02-10 00:30:00+05:30"), "2026-02-09T19:00:00Z");
    EXPECT_EQ(written("0001-01-01"), "0001-01-01T00:00:00Z");
    EXPECT_EQ(written("9999-12-31T23:59:59.9"), "9999-12-31T23:59:59Z");
    EXPECT_EQ(written("1969-12-31T23:59:59.5"), "1969-12-31T23:59:59Z") << "truncated, also before 1970";
}

TEST(Timestamp, round_trips_with_its_fraction) {
    for (const char* text : {"2026-02-10T12:00:00.000Z", "2026-02-10T12:00:00.007Z", "2026-02-10T12:00:00.000012Z",
                             "1969-12-31T23:59:59.500Z", "9999-12-31T23:59:59.999999Z"}) {
        EXPECT_EQ(format_precise_timestamp(parse_timestamp(text).value()), text);
    }
}

TEST(FormatHttpDate, follows_rfc_9110) {
    EXPECT_EQ(format_http_date(parse_timestamp("1994-11-06T08:49:37.999Z").value()), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(format_http_date(parse_timestamp("2026-02-28T23:59:59Z").value()), "Sat, 28 Feb 2026 23:59:59 GMT");
}

TEST(StartTime, is_the_end_minus_a_valid_duration) {
    const TimePoint end = parse_timestamp("2026-02-10T12:00:00Z").value();
    EXPECT_EQ(start_time(end, 0.0), end);
    EXPECT_EQ(start_time(end, 1.5), end - std::chrono::milliseconds(1500));
    EXPECT_EQ(start_time(end, 100'000'000.0), end - std::chrono::seconds(100'000'000));
    for (const double duration : {100'000'001.0, 1e13, 1e308, std::numeric_limits<double>::infinity(), std::nan("")}) {
        EXPECT_EQ(start_time(end, duration), end) << duration;
    }
}

}  // namespace
}  // namespace session_buddy
