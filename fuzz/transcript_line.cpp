// Fuzzes the lines of a transcript: each line of the input is a record, so that tool uses can match their results.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "check.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "session_buddy/ingest/skill_name.hpp"
#include "session_buddy/ingest/transcript.hpp"

namespace session_buddy::fuzz {
namespace {

constexpr std::array kErrorTypes{ingest::kExitCode, ingest::kInterrupted, ingest::kRejected, ingest::kTimeout,
                                 ingest::kToolError};

void check_event(const ingest::AgentEvent& event) {
    check(is_valid_event_key(event.key), "an event has a valid key");
    check(is_valid_skill_name(event.skill_name), "an event has a valid skill name");
    check(is_valid_skill_name(event.session_id), "a session id follows the rules of skill names");
    const Resolution resolved = resolve(event.evidence, event.at);
    check(!resolved.duration_seconds || is_valid_duration(*resolved.duration_seconds), "a duration is valid");
    check(resolved.outcome == Outcome::failed ? std::ranges::count(kErrorTypes, resolved.error_type) == 1
                                              : resolved.error_type.empty(),
          "a failed invocation has a known error type, and no other has one");
    check(decode_evidence(encode(event.evidence)) == event.evidence, "evidence can be stored");
}

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    static const ingest::SkillNamer namer;
    std::int64_t found = 0;
    std::int64_t lines = 0;
    ingest::TranscriptReader reader(namer, [&found](const ingest::AgentEvent& event) {
        fuzz::check_event(event);
        found += event.is_supplement ? 0 : 1;
    });
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    while (!rest.empty()) {
        const auto line = rest.substr(0, rest.find('\n'));
        lines += reader.read_line(line, "session")
                     ? 1
                     : static_cast<std::int64_t>(reader.recover_records(line, "session").records);
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    const auto counts = reader.counts();
    fuzz::check(counts.lines == lines, "every parsed line is counted");
    fuzz::check(counts.found == found, "every invocation is counted");
    fuzz::check(counts.found_commands <= counts.found, "typed commands are a subset of the invocations");
    return 0;
}
