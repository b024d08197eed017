// Fuzzes the parsers of the HTTP API's query strings: accepted values are in range, and rejections have a reason.
#include "session_buddy/protocol/api_request.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "check.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/utf8.hpp"

namespace {

using namespace session_buddy;
using namespace session_buddy::protocol;

// The request, or null if it was rejected.
template <typename Request>
const Request* accepted(const ApiRequest<Request>& read) {
    if (const auto* bad = std::get_if<BadParameter>(&read)) {
        fuzz::check(!bad->detail.empty() && is_valid_utf8(bad->detail), "a rejection has a reason in valid UTF-8");
        fuzz::check(bad->parameter.size() <= 64, "the reported parameter name is truncated");
        return nullptr;
    }
    return &std::get<Request>(read);
}

void check_page(const Page& page, std::int64_t max_limit) {
    fuzz::check(page.limit >= 1 && page.limit <= max_limit && page.offset >= 0, "limit and offset are in range");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view query{reinterpret_cast<const char*>(data), size};
    if (const auto read = parse_skills_request(query); const auto* request = accepted(read)) {
        check_page(request->page, request->sparkline ? kMaxSparklines : 500);
        fuzz::check(request->search.size() <= 256 && is_valid_utf8(request->search),
                    "a search is short and valid UTF-8");
    }
    if (const auto read = parse_groups_request(query); const auto* request = accepted(read)) {
        check_page(request->page, 500);
    }
    if (const auto read = parse_skill_request(query); const auto* request = accepted(read)) {
        fuzz::check(is_valid_skill_name(request->skill_name), "a skill name is valid");
    }
    if (const auto read = parse_anomalies_request(query); const auto* request = accepted(read)) {
        check_page(request->page, 500);
        fuzz::check(!request->skill_name || is_valid_skill_name(*request->skill_name), "a skill name is valid");
        fuzz::check(!request->from || !request->to || *request->from < *request->to, "from is before to");
    }
    if (const auto read = parse_alerts_request(query); const auto* request = accepted(read)) {
        check_page(request->page, 500);
        fuzz::check(!request->skill_name || is_valid_skill_name(*request->skill_name), "a skill name is valid");
        fuzz::check(!request->from || !request->to || *request->from < *request->to, "from is before to");
    }
    if (const auto read = parse_unmute_request(query); const auto* request = accepted(read)) {
        fuzz::check(is_valid_skill_name(request->skill_name), "a skill name is valid");
    }
    if (const auto read = parse_sessions_request(query); const auto* request = accepted(read)) {
        fuzz::check(request->limit >= 1 && request->limit <= 1000, "a limit is in range");
    }
    if (const auto read = parse_series_request(query); const auto* request = accepted(read)) {
        constexpr TimePoint kNow{std::chrono::sys_days{std::chrono::year{2026} / 2 / 10}};
        for (const TimePoint pruned_before : {TimePoint::min(), kNow}) {
            const auto planned = plan_series(*request, kNow, pruned_before);
            const auto* plan = accepted(planned);
            if (plan == nullptr) {
                continue;
            }
            fuzz::check(plan->points >= 1 && plan->points <= kMaxSeriesPoints,
                        "a series has between 1 and the maximum number of points");
            fuzz::check(plan->from.time_since_epoch() % plan->step == std::chrono::microseconds{0},
                        "steps are aligned");
            fuzz::check(plan->from <= request->from.value_or(TimePoint::max()),
                        "a series starts at or before the requested start");
            fuzz::check(plan->to() >= request->to.value_or(kNow), "a series ends at or after the requested end");
        }
    }
    return 0;
}
