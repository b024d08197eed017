// Parses query strings: percent-decoding, known parameters, types and ranges, and the steps of a series.
#include "session_buddy/protocol/api_request.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <utility>
#include <vector>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/enum_names.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/core/utf8.hpp"
#include "session_buddy/protocol/entities.hpp"

namespace session_buddy::protocol {

namespace {

constexpr std::size_t kMaxSearchBytes = 256;
constexpr std::size_t kMaxEchoedBytes = 64;  // of an unknown name in an error
constexpr std::int64_t kMaxOffset = 1'000'000'000;

enum class Order : std::uint8_t { asc, desc };

constexpr EnumNames kOrders{std::array{EnumName{Order::asc, "asc"}, EnumName{Order::desc, "desc"}}};
constexpr EnumNames kStates{std::array{EnumName{EpisodeState::all, "all"}, EnumName{EpisodeState::open, "open"},
                                       EnumName{EpisodeState::resolved, "resolved"}}};
constexpr EnumNames kAlertStates{std::array{EnumName{AlertState::all, "all"}, EnumName{AlertState::open, "open"},
                                            EnumName{AlertState::ended, "ended"}}};

// nullopt if a % is not followed by two hexadecimal digits.
std::optional<std::string> decoded(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+') {
            out += ' ';
        } else if (text[i] != '%') {
            out += text[i];
        } else {
            const int high = i + 2 < text.size() ? ascii::hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? ascii::hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return std::nullopt;
            }
            out += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    return out;
}

// Valid UTF-8 as part of a message: control characters, which a terminal would interpret, as a question mark.
std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t position = 0; position < text.size();) {
        const std::size_t begin = position;
        out += is_control(next_code_point(text, position)) ? "?" : text.substr(begin, position - begin);
    }
    return out;
}

// Reads the parameters of a query string and keeps the first error; values read after an error must not be used.
class QueryReader {
  public:
    QueryReader(std::string_view query, std::initializer_list<std::string_view> known) {
        while (!query.empty() && !error_) {
            const auto end = std::min(query.find('&'), query.size());
            if (end > 0) {
                add(query.substr(0, end), known);
            }
            query.remove_prefix(std::min(end + 1, query.size()));
        }
    }

    [[nodiscard]] const std::string* find(std::string_view name) const {
        const auto found = std::ranges::find(parameters_, name, &std::pair<std::string, std::string>::first);
        return found == parameters_.end() ? nullptr : &found->second;
    }

    void reject(std::string_view name, std::string detail) {
        if (!error_) {
            error_ = BadParameter{std::string(name), std::move(detail)};
        }
    }

    std::int64_t integer(std::string_view name, std::int64_t minimum, std::int64_t maximum, std::int64_t otherwise) {
        const auto* text = find(name);
        if (text == nullptr) {
            return otherwise;
        }
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
        if (error != std::errc{} || end != text->data() + text->size() || value < minimum || value > maximum) {
            reject(name, fmt::format("{} must be an integer from {} to {}", name, minimum, maximum));
            return otherwise;
        }
        return value;
    }

    bool boolean(std::string_view name) {
        const auto* text = find(name);
        if (text != nullptr && *text != "true" && *text != "false") {
            reject(name, fmt::format("{} must be true or false", name));
        }
        return text != nullptr && *text == "true";
    }

    template <typename Enum, std::size_t count>
    Enum choice(std::string_view name, const EnumNames<Enum, count>& choices, Enum otherwise) {
        const auto* text = find(name);
        if (text == nullptr) {
            return otherwise;
        }
        const auto chosen = choices.find(*text);
        if (!chosen) {
            reject(name, fmt::format("{} must be one of {}", name, fmt::join(choices.names(), ", ")));
        }
        return chosen.value_or(otherwise);
    }

    std::optional<std::string> skill_name() {
        const auto* text = find("skill_name");
        if (text == nullptr) {
            return std::nullopt;
        }
        if (!is_valid_skill_name(*text)) {
            reject("skill_name", fmt::format("skill_name must be 1 to {} bytes of UTF-8 without control characters",
                                             kMaxSkillNameBytes));
        }
        return *text;
    }

    std::optional<TimePoint> time(std::string_view name) {
        const auto* text = find(name);
        if (text == nullptr) {
            return std::nullopt;
        }
        const auto at = parse_timestamp(*text);
        if (!at) {
            reject(name, fmt::format("{} must be a time such as 2026-02-10T12:00:00Z; write a + in it as %2B", name));
        }
        return at;
    }

    std::optional<std::chrono::seconds> step() {
        const auto* text = find("step");
        if (text == nullptr) {
            return std::nullopt;
        }
        constexpr std::chrono::seconds kShortest{10};
        constexpr std::chrono::seconds kLongest = std::chrono::days{31};
        std::int64_t value = 0;
        const char* const last = text->data() + text->size();
        const auto [end, error] = std::from_chars(text->data(), last, value);
        std::int64_t unit = 0;
        if (error == std::errc{} && end == last) {
            unit = 1;
        } else if (error == std::errc{} && end + 1 == last) {
            unit = *end == 's' ? 1 : *end == 'm' ? 60 : *end == 'h' ? 3600 : *end == 'd' ? 86'400 : 0;
        }
        // Checked by division, as the product might overflow.
        if (unit == 0 || value < 1 || value > kLongest.count() / unit || value * unit < kShortest.count()) {
            reject("step", "step must be a number of seconds, or a number with the unit s, m, h or d, from 10s to 31d");
            return std::nullopt;
        }
        return std::chrono::seconds{value * unit};
    }

    std::optional<std::string> required_skill_name() {
        auto name = skill_name();
        if (!name) {
            reject("skill_name", "skill_name is required");
        }
        return name;
    }

    void reject_empty_range(const std::optional<TimePoint>& from, const std::optional<TimePoint>& to) {
        if (from && to && *from >= *to) {
            reject("from", "from must be before to");
        }
    }

    Page page(std::int64_t max_limit, std::int64_t limit) {
        return {.limit = integer("limit", 1, max_limit, limit), .offset = integer("offset", 0, kMaxOffset, 0)};
    }

    template <typename Request>
    ApiRequest<Request> result(Request request) {
        return error_ ? ApiRequest<Request>(std::move(*error_)) : ApiRequest<Request>(std::move(request));
    }

  private:
    void add(std::string_view pair, std::initializer_list<std::string_view> known) {
        const auto equals = std::min(pair.find('='), pair.size());
        auto name = decoded(pair.substr(0, equals));
        auto value = decoded(pair.substr(std::min(equals + 1, pair.size())));
        const std::string echoed(utf8_prefix(name.value_or(std::string(pair.substr(0, equals))), kMaxEchoedBytes));
        if (!name || !value) {
            reject(echoed, "A % must be followed by two hexadecimal digits");
        } else if (!is_valid_utf8(*name) || !is_valid_utf8(*value)) {
            reject(echoed, "Parameters must be UTF-8, percent-encoded");
        } else if (std::ranges::find(known, *name) == known.end()) {
            reject(echoed, known.size() == 0 ? "This endpoint takes no parameters"
                                             : fmt::format("Unknown parameter '{}'; accepted are {}", printable(echoed),
                                                           fmt::join(known, ", ")));
        } else if (find(*name) != nullptr) {
            reject(*name, fmt::format("{} must be given once", *name));
        } else {
            parameters_.emplace_back(std::move(*name), std::move(*value));
        }
    }

    std::vector<std::pair<std::string, std::string>> parameters_;
    std::optional<BadParameter> error_;
};

}  // namespace

ApiRequest<ServerRequest> parse_server_request(std::string_view query) {
    return QueryReader(query, {}).result(ServerRequest{});
}

ApiRequest<SkillsRequest> parse_skills_request(std::string_view query) {
    constexpr std::int64_t kMaxLimit = 500;
    constexpr std::int64_t kLimit = 50;
    QueryReader reader(query, {"search", "sort", "order", "active", "limit", "offset", "sparkline"});
    SkillsRequest request;
    if (const auto* search = reader.find("search")) {
        if (search->empty() || search->size() > kMaxSearchBytes) {
            reader.reject("search", fmt::format("search must be 1 to {} bytes long", kMaxSearchBytes));
        }
        request.search = *search;
    }
    request.sort = reader.choice("sort", kSkillSorts, SkillSort::invocation_count);
    request.descending = reader.choice("order", kOrders,
                                       request.sort == SkillSort::skill_name ? Order::asc : Order::desc) == Order::desc;
    request.active = reader.boolean("active");
    request.sparkline = reader.boolean("sparkline");
    request.page = reader.page(request.sparkline ? kMaxSparklines : kMaxLimit, kLimit);
    return reader.result(std::move(request));
}

ApiRequest<GroupsRequest> parse_groups_request(std::string_view query) {
    constexpr std::int64_t kMaxLimit = 500;
    constexpr std::int64_t kLimit = 50;
    QueryReader reader(query, {"active", "limit", "offset"});
    return reader.result(GroupsRequest{.active = reader.boolean("active"), .page = reader.page(kMaxLimit, kLimit)});
}

ApiRequest<SkillRequest> parse_skill_request(std::string_view query) {
    QueryReader reader(query, {"skill_name"});
    return reader.result(SkillRequest{reader.required_skill_name().value_or("")});
}

ApiRequest<SeriesRequest> parse_series_request(std::string_view query) {
    QueryReader reader(query, {"skill_name", "from", "to", "step"});
    SeriesRequest request{
        .skill_name = reader.skill_name(), .from = reader.time("from"), .to = reader.time("to"), .step = reader.step()};
    reader.reject_empty_range(request.from, request.to);
    return reader.result(std::move(request));
}

ApiRequest<SeriesPlan> plan_series(const SeriesRequest& request, TimePoint now, TimePoint pruned_before) {
    using std::chrono::seconds;
    constexpr std::chrono::hours kUsualRange{24};
    constexpr std::size_t kUsualPoints = 300;
    constexpr std::array kUsualSteps{
        seconds{10},     seconds{15},     seconds{30},     seconds{60},      seconds{120},     seconds{300},
        seconds{600},    seconds{900},    seconds{1800},   seconds{3600},    seconds{7200},    seconds{10'800},
        seconds{21'600}, seconds{43'200}, seconds{86'400}, seconds{172'800}, seconds{604'800}, seconds{2'678'400}};
    constexpr TimePoint kFirst = std::chrono::sys_days{std::chrono::year{1} / 1 / 1};
    constexpr TimePoint kLast = std::chrono::sys_days{std::chrono::year{9999} / 12 / 31};
    const TimePoint to = request.to.value_or(now);
    const TimePoint from = request.from.value_or(std::max(to, kFirst + kUsualRange) - kUsualRange);
    if (from >= to) {
        return BadParameter{"from", "from must be before to, which defaults to now"};
    }
    const auto steps_of = [&](seconds step) {
        const std::int64_t micros = std::chrono::microseconds(step).count();
        const auto floor_of = [micros](std::int64_t at) { return at - ((at % micros) + micros) % micros; };
        const std::int64_t first = floor_of(from.time_since_epoch().count());
        const std::int64_t last = floor_of(to.time_since_epoch().count() - 1) + micros;
        return SeriesPlan{.from = TimePoint{std::chrono::microseconds{first}},
                          .step = step,
                          .points = static_cast<std::size_t>((last - first) / micros)};
    };
    const auto needs_rows = [&](const SeriesPlan& plan) {
        return plan.step % std::chrono::hours{1} != seconds{0} && plan.from < pruned_before;
    };
    SeriesPlan plan;
    if (request.step) {
        plan = steps_of(*request.step);
    } else {
        for (const seconds step : kUsualSteps) {
            plan = steps_of(step);
            if (plan.points <= kUsualPoints && !needs_rows(plan)) {
                break;
            }
        }
    }
    if (plan.points > kMaxSeriesPoints) {
        return BadParameter{"step",
                            fmt::format("The series would have {} points, more than {}: use a longer step or a shorter "
                                        "range",
                                        plan.points, kMaxSeriesPoints)};
    }
    if (plan.from < kFirst || plan.to() > kLast) {
        return BadParameter{plan.from < kFirst ? "from" : "to", "The series must be within the years 1 to 9999"};
    }
    if (needs_rows(plan)) {
        return BadParameter{"step",
                            fmt::format("Invocations before {} were deleted and only hourly rollups remain: use a step "
                                        "of whole hours or a later from",
                                        format_timestamp(pruned_before))};
    }
    return plan;
}

namespace {

/// Reads what the lists of anomalies and of alerts have in common.
template <typename Request>
ApiRequest<Request> list_request(QueryReader& reader, Request request) {
    constexpr std::int64_t kMaxLimit = 500;
    constexpr std::int64_t kLimit = 100;
    request.skill_name = reader.skill_name();
    request.from = reader.time("from");
    request.to = reader.time("to");
    reader.reject_empty_range(request.from, request.to);
    request.page = reader.page(kMaxLimit, kLimit);
    return reader.result(std::move(request));
}

}  // namespace

ApiRequest<AnomaliesRequest> parse_anomalies_request(std::string_view query) {
    QueryReader reader(query, {"state", "skill_name", "anomaly_type", "from", "to", "limit", "offset"});
    AnomaliesRequest request;
    request.state = reader.choice("state", kStates, EpisodeState::all);
    if (reader.find("anomaly_type") != nullptr) {
        request.type = reader.choice("anomaly_type", kAnomalyTypes, AnomalyType::performance_drop);
    }
    return list_request(reader, std::move(request));
}

ApiRequest<AlertsRequest> parse_alerts_request(std::string_view query) {
    QueryReader reader(query, {"state", "skill_name", "kind", "from", "to", "limit", "offset"});
    AlertsRequest request;
    request.state = reader.choice("state", kAlertStates, AlertState::all);
    if (reader.find("kind") != nullptr) {
        request.kind = reader.choice("kind", kAlertKinds, AlertKind::completion_rate_fell);
    }
    return list_request(reader, std::move(request));
}

ApiRequest<SessionsRequest> parse_sessions_request(std::string_view query) {
    constexpr std::int64_t kMaxLimit = 1000;
    constexpr std::int64_t kLimit = 100;
    QueryReader reader(query, {"limit"});
    return reader.result(SessionsRequest{reader.integer("limit", 1, kMaxLimit, kLimit)});
}

ApiRequest<UnmuteSkill> parse_unmute_request(std::string_view query) {
    QueryReader reader(query, {"skill_name"});
    return reader.result(UnmuteSkill{reader.required_skill_name().value_or("")});
}

}  // namespace session_buddy::protocol
