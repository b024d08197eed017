// Logging: levels, sinks, escaping, and that no exception reaches the caller.
#include "session_buddy/core/log.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace session_buddy::log {
namespace {

struct Line {
    Level level;
    std::string logger;
    std::string message;
};

class Log : public testing::Test {
  protected:
    void SetUp() override {
        set_level(Level::debug);
        set_sink([this](const Record& record) {
            const std::lock_guard lock(mutex_);
            lines_.push_back({record.level, std::string(record.logger), std::string(record.message)});
        });
    }
    void TearDown() override {
        reset_sink();
        set_level(Level::info);
    }

    std::mutex mutex_;
    std::vector<Line> lines_;
};

constexpr Logger kLogger{"session_buddy.test"};

TEST_F(Log, passes_level_logger_and_message_to_the_sink) {
    kLogger.warning("{} of {}", 1, "many");
    ASSERT_EQ(lines_.size(), 1U);
    EXPECT_EQ(lines_[0].level, Level::warning);
    EXPECT_EQ(lines_[0].logger, "session_buddy.test");
    EXPECT_EQ(lines_[0].message, "1 of many");
}

TEST_F(Log, drops_records_below_the_level) {
    set_level(Level::warning);
    kLogger.debug("no");
    kLogger.info("no");
    kLogger.warning("yes");
    kLogger.error("yes");
    EXPECT_EQ(lines_.size(), 2U);
    set_level(Level::off);
    kLogger.error("no");
    EXPECT_EQ(lines_.size(), 2U);
}

struct Counted {
    int* count;
};

}  // namespace
}  // namespace session_buddy::log

template <>
struct fmt::formatter<session_buddy::log::Counted> : fmt::formatter<int> {
    template <typename Context>
    auto format(const session_buddy::log::Counted& value, Context& context) const {
        ++*value.count;
        if (*value.count > 1) {
            throw std::runtime_error("cannot be formatted");
        }
        return fmt::formatter<int>::format(*value.count, context);
    }
};

namespace session_buddy::log {
namespace {

TEST_F(Log, does_not_format_records_below_the_level) {
    int count = 0;
    set_level(Level::error);
    kLogger.info("{}", Counted{&count});
    EXPECT_EQ(count, 0);
}

TEST_F(Log, survives_a_formatter_that_throws) {
    int count = 1;
    kLogger.info("{}", Counted{&count});
    ASSERT_EQ(lines_.size(), 1U);
    EXPECT_EQ(lines_[0].message, "a record could not be formatted");
}

TEST_F(Log, writes_control_characters_as_escapes_so_that_a_record_stays_one_line) {
    kLogger.info("name {}", "a\nb\x1b[31m\x7f\xc3\xa4");
    ASSERT_EQ(lines_.size(), 1U);
    EXPECT_EQ(lines_[0].message, "name a\\x0ab\\x1b[31m\\x7f\xc3\xa4");
}

TEST_F(Log, survives_a_sink_that_throws_or_is_empty) {
    set_sink([](const Record&) { throw std::runtime_error("full"); });
    EXPECT_NO_THROW(kLogger.error("lost"));
    set_sink(nullptr);
    EXPECT_NO_THROW(kLogger.error("lost"));
}

TEST_F(Log, allows_a_sink_to_replace_the_sink_and_to_log) {
    int calls = 0;
    set_sink([&calls](const Record&) {
        ++calls;
        set_sink(nullptr);
        kLogger.info("from within");
    });
    kLogger.info("first");
    kLogger.info("second");
    EXPECT_EQ(calls, 1);
}

TEST_F(Log, accepts_records_from_many_threads) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([thread] {
            for (int count = 0; count < 250; ++count) {
                kLogger.info("{} {}", thread, count);
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(lines_.size(), 1000U);
}

TEST(LogDefaultSink, writes_time_level_logger_and_message_to_stderr) {
    set_level(Level::info);
    reset_sink();
    testing::internal::CaptureStderr();
    kLogger.error("disk {} full", 1);
    const std::string output = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(output.ends_with(" error session_buddy.test: disk 1 full\n")) << output;
    EXPECT_TRUE(output.starts_with("20")) << output;
}

TEST(LogLevel, is_parsed_from_the_values_of_the_option) {
    EXPECT_EQ(parse_level("debug"), Level::debug);
    EXPECT_EQ(parse_level("info"), Level::info);
    EXPECT_EQ(parse_level("warning"), Level::warning);
    EXPECT_EQ(parse_level("error"), Level::error);
    EXPECT_EQ(parse_level("off"), Level::off);
    EXPECT_EQ(parse_level("INFO"), std::nullopt);
    EXPECT_EQ(parse_level(""), std::nullopt);
}

}  // namespace
}  // namespace session_buddy::log
