// Fuzzes the verdict on the output of a shell command. The input is the names of its tools, separated by commas, and
// the output from the second line on. The fewer lines are known to be shown, the fewer verdicts there may be.
#include "session_buddy/ingest/output_verdict.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    using ingest::LinesShown;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t first_line = std::min(input.find('\n'), input.size());
    std::vector<std::string> skills(1);
    for (const char c : input.substr(0, first_line)) {
        if (c == ',') {
            skills.emplace_back();
        } else {
            skills.back() += c;
        }
    }
    const std::string_view output = input.substr(std::min(first_line + 1, input.size()));
    const auto judge = [&](LinesShown shown) {
        const std::optional<ingest::OutputVerdict> verdict = judge_output(skills, output, shown);
        fuzz::check(!verdict || verdict->outcome != Outcome::unknown, "a verdict says completed or failed");
        fuzz::check(!verdict || verdict->tool < skills.size(), "a verdict is about one of the tools");
        return verdict ? verdict->outcome : Outcome::unknown;
    };
    const Outcome all = judge(LinesShown::all);
    const Outcome last = judge(LinesShown::last);
    const Outcome some = judge(LinesShown::some);
    fuzz::check(
        (all == Outcome::failed) == (some == Outcome::failed) && (last == Outcome::failed) == (some == Outcome::failed),
        "a failure counts, even if lines may be missing");
    fuzz::check(some != Outcome::completed || last == Outcome::completed,
                "if other lines may be missing, so may the last");
    fuzz::check(last != Outcome::completed || all == Outcome::completed,
                "if the first lines may be missing, less is known");
    return 0;
}
