// Hand-written timestamp parsing without regex, locale or allocation, as a rebuild parses a million of them.
#include "session_buddy/core/timestamp.hpp"

#include <array>
#include <chrono>
#include <cstdint>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/duration.hpp"

namespace session_buddy {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

using ascii::is_digit;

/// A parser cursor: every read either consumes what it matches or leaves the position unchanged.
class Cursor {
  public:
    explicit Cursor(std::string_view text) : text_(text) {}

    [[nodiscard]] bool at_end() const { return position_ == text_.size(); }
    [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[position_]; }
    [[nodiscard]] bool next_is_digit() const { return !at_end() && is_digit(text_[position_]); }

    bool consume(char wanted) {
        if (at_end() || text_[position_] != wanted) {
            return false;
        }
        ++position_;
        return true;
    }

    bool consume_any(std::string_view wanted) {
        if (at_end() || wanted.find(text_[position_]) == std::string_view::npos) {
            return false;
        }
        ++position_;
        return true;
    }

    /// Exactly `count` digits.
    bool number(std::size_t count, int& value) {
        if (text_.size() - position_ < count) {
            return false;
        }
        int read = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const char c = text_[position_ + i];
            if (!is_digit(c)) {
                return false;
            }
            read = read * 10 + (c - '0');
        }
        position_ += count;
        value = read;
        return true;
    }

    /// One digit or more; those after the sixth are dropped.
    bool fraction(std::int64_t& micros) {
        if (!next_is_digit()) {
            return false;
        }
        std::int64_t read = 0;
        int digits = 0;
        while (next_is_digit()) {
            if (digits < 6) {
                read = read * 10 + (text_[position_] - '0');
                ++digits;
            }
            ++position_;
        }
        for (; digits < 6; ++digits) {
            read *= 10;
        }
        micros = read;
        return true;
    }

  private:
    std::string_view text_;
    std::size_t position_ = 0;
};

/// `HH:MM[:SS[.fraction]]`.
bool read_time(Cursor& cursor, microseconds& time) {
    int hour = 0;
    int minute = 0;
    int second = 0;
    std::int64_t micros = 0;
    if (!cursor.number(2, hour) || !cursor.consume(':') || !cursor.number(2, minute)) {
        return false;
    }
    if (cursor.consume(':')) {
        if (!cursor.number(2, second)) {
            return false;
        }
        if (cursor.consume_any(".,") && !cursor.fraction(micros)) {
            return false;
        }
    }
    if (hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    time = std::chrono::hours{hour} + std::chrono::minutes{minute} + seconds{second} + microseconds{micros};
    return true;
}

/// `Z`, `z`, `±HH`, `±HHMM`, `±HH:MM[:SS]` or nothing, up to the end of the text.
bool read_offset(Cursor& cursor, seconds& offset) {
    offset = seconds{0};
    if (cursor.at_end()) {
        return true;
    }
    if (cursor.consume_any("Zz")) {
        return cursor.at_end();
    }
    const bool west = cursor.peek() == '-';
    int hour = 0;
    int minute = 0;
    int second = 0;
    if (!cursor.consume_any("+-") || !cursor.number(2, hour)) {
        return false;
    }
    if (cursor.consume(':')) {
        if (!cursor.number(2, minute) || (cursor.consume(':') && !cursor.number(2, second))) {
            return false;
        }
    } else if (cursor.next_is_digit() && !cursor.number(2, minute)) {
        return false;
    }
    if (!cursor.at_end() || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    offset = std::chrono::hours{hour} + std::chrono::minutes{minute} + seconds{second};
    if (west) {
        offset = -offset;
    }
    return true;
}

constexpr std::chrono::sys_days kFirstDay{std::chrono::year{1} / 1 / 1};
constexpr std::chrono::sys_days kEndDay{std::chrono::year{10000} / 1 / 1};

}  // namespace

std::optional<TimePoint> parse_timestamp(std::string_view text) {
    Cursor cursor(text);
    int year = 0;
    int month = 0;
    int day = 0;
    if (!cursor.number(4, year) || !cursor.consume('-') || !cursor.number(2, month) || !cursor.consume('-') ||
        !cursor.number(2, day)) {
        return std::nullopt;
    }
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    if (year == 0 || !date.ok()) {
        return std::nullopt;
    }
    microseconds time{0};
    seconds offset{0};
    if (!cursor.at_end() && (!cursor.consume_any("Tt ") || !read_time(cursor, time) || !read_offset(cursor, offset))) {
        return std::nullopt;
    }
    const TimePoint moment = TimePoint{std::chrono::sys_days{date}} + time - offset;
    // An offset can move the first or last hours of the calendar outside the supported years.
    if (moment < kFirstDay || moment >= kEndDay) {
        return std::nullopt;
    }
    return moment;
}

std::string format_timestamp(TimePoint at) {
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss time{std::chrono::floor<seconds>(at - day)};
    std::array<char, 20> text{'0', '0', '0', '0', '-', '0', '0', '-', '0', '0',
                              'T', '0', '0', ':', '0', '0', ':', '0', '0', 'Z'};
    const auto put = [&text](std::size_t first, std::size_t count, unsigned value) {
        for (std::size_t i = count; i-- > 0; value /= 10) {
            text[first + i] = static_cast<char>('0' + value % 10);
        }
    };
    put(0, 4, static_cast<unsigned>(static_cast<int>(date.year())));
    put(5, 2, static_cast<unsigned>(date.month()));
    put(8, 2, static_cast<unsigned>(date.day()));
    put(11, 2, static_cast<unsigned>(time.hours().count()));
    put(14, 2, static_cast<unsigned>(time.minutes().count()));
    put(17, 2, static_cast<unsigned>(time.seconds().count()));
    return {text.data(), text.size()};
}

std::string format_http_date(TimePoint at) {
    constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date(day);
    const std::string iso = format_timestamp(at);
    constexpr std::size_t kYear = 4;
    constexpr std::size_t kDay = 8;
    constexpr std::size_t kTime = 11;
    return std::string(kDays.at(std::chrono::weekday(day).c_encoding())) + ", " + iso.substr(kDay, 2) + ' ' +
           kMonths.at(static_cast<unsigned>(date.month()) - 1) + ' ' + iso.substr(0, kYear) + ' ' +
           iso.substr(kTime, 8) + " GMT";
}

std::string format_precise_timestamp(TimePoint at) {
    constexpr long kMicrosPerMilli = 1000;
    const auto whole = std::chrono::floor<seconds>(at);
    long fraction = std::chrono::duration_cast<std::chrono::microseconds>(at - whole).count();
    std::size_t digits = 6;
    if (fraction % kMicrosPerMilli == 0) {
        fraction /= kMicrosPerMilli;
        digits = 3;
    }
    std::string text = format_timestamp(at);
    text.back() = '.';
    const std::string micros_text = std::to_string(fraction);
    text.append(digits - micros_text.size(), '0');
    return text + micros_text + 'Z';
}

TimePoint start_time(TimePoint end, double duration) {
    return end - std::chrono::duration_cast<TimePoint::duration>(
                     std::chrono::duration<double>(is_valid_duration(duration) ? duration : 0.0));
}

}  // namespace session_buddy
