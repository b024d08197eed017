// Fuzzes the invocations of one request. The first byte of the input selects the format of the rest: NDJSON if it is
// odd, else JSON.
#include "session_buddy/ingest/invocation_json.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "check.hpp"
#include "session_buddy/app/skill_events.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/invocation_record.hpp"

namespace session_buddy::fuzz {
namespace {

using ingest::ReportedInvocation;

bool is_plain(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
}

void check_record(ReportedInvocation record) {
    check(record.key.empty() || is_valid_event_key(record.key), "a key is valid");
    check(is_valid_skill_name(record.session_id), "a session id follows the rules of skill names");
    check(!record.error_type || (record.error_type->size() <= 64 && is_plain(*record.error_type)),
          "an error type is short and printable");
    const TimePoint now = std::chrono::sys_days(std::chrono::year(2026) / 2 / 10);
    storage::SkillEvent stored = app::to_skill_event(std::move(record), now);
    check(stored.at <= now, "it started before it was reported");
    if (stored.record.invoked_at.empty()) {
        stored.record.invoked_at = format_precise_timestamp(stored.at);
    }
    check(storage::validation_error(stored.record).empty(), "a parsed invocation can be stored");
}

void check_fault(const ingest::ReportFault& fault, std::size_t size) {
    check(!fault.reason.empty() && is_plain(fault.reason), "a reason is printable text");
    check(fault.field.size() <= 64 && is_plain(fault.field), "an echoed field name is short and printable");
    check(fault.field.empty() || fault.index, "a field belongs to a record");
    check(!fault.index || *fault.index < size, "the index of a record is within the body");
    check(!fault.too_many || size > ingest::kMaxReportedInvocations, "too many records need a large body");
}

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    if (size == 0) {
        return 0;
    }
    const auto form = (data[0] & 1U) != 0 ? ingest::ReportFormat::ndjson : ingest::ReportFormat::json;
    const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
    auto read = ingest::read_invocations(body, form);
    if (auto* records = std::get_if<std::vector<ingest::ReportedInvocation>>(&read)) {
        for (auto& record : *records) {
            fuzz::check_record(std::move(record));
        }
    } else {
        fuzz::check_fault(std::get<ingest::ReportFault>(read), size);
    }
    return 0;
}
