// Fuzzes the lines of a transcript: each line of the input is a record, so that tool uses can match their results.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "check.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/ingest/error_class.hpp"
#include "session_buddy/ingest/skill_name.hpp"
#include "session_buddy/ingest/transcript.hpp"

namespace session_buddy::fuzz {
namespace {

constexpr std::array kErrorTypes{ingest::kExitCode, ingest::kInterrupted, ingest::kRejected, ingest::kTimeout,
                                 ingest::kToolError};

void check_invocation(const ingest::TranscriptInvocation& invocation) {
    check(!invocation.key.empty(), "an invocation has a key");
    check(is_valid_skill_name(invocation.skill_name), "an invocation has a valid skill name");
    check(is_valid_skill_name(invocation.session_id), "a session id follows the rules of skill names");
    check(parse_timestamp(invocation.invoked_at) == invocation.at, "the time of an invocation equals its text");
    check(!invocation.duration_seconds ||
              (std::isfinite(*invocation.duration_seconds) && *invocation.duration_seconds >= 0.0),
          "a duration is finite and not negative");
    check(invocation.completed ? invocation.error_type.empty()
                               : std::ranges::count(kErrorTypes, invocation.error_type) == 1,
          "a failed invocation has a known error type, and no other has one");
}

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    static const ingest::SkillNamer namer;
    std::int64_t found = 0;
    std::int64_t lines = 0;
    ingest::TranscriptReader reader(namer, [&found](const ingest::TranscriptInvocation& invocation) {
        fuzz::check_invocation(invocation);
        ++found;
    });
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    while (!rest.empty()) {
        const auto line = rest.substr(0, rest.find('\n'));
        lines += reader.read_line(line, "session") ? 1 : 0;
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    const auto counts = reader.counts();
    fuzz::check(counts.lines == lines, "every parsed line is counted");
    fuzz::check(counts.found == found, "every invocation is counted");
    fuzz::check(counts.found_commands <= counts.found, "typed commands are a subset of the invocations");
    return 0;
}
