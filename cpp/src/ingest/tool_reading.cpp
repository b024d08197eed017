// Concludes from the exit status and the output of a shell command which of its known tools failed.
#include <algorithm>
#include <vector>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/ingest/output_verdict.hpp"
#include "session_buddy/ingest/skill_name.hpp"

namespace session_buddy::ingest {
namespace {

/// FNV-1a.
[[nodiscard]] std::uint32_t hash_of(std::string_view text) {
    constexpr std::uint32_t kOffset = 2166136261U;
    constexpr std::uint32_t kPrime = 16777619U;
    std::uint32_t hash = kOffset;
    for (const char c : text) {
        hash = (hash ^ static_cast<std::uint8_t>(c)) * kPrime;
    }
    return hash;
}

/// The number at the start of the text, if it is an exit status.
[[nodiscard]] std::optional<int> leading_status(std::string_view text) {
    constexpr std::size_t kMaxDigits = 3;
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits > kMaxDigits) {
        return std::nullopt;
    }
    int status = 0;
    for (const char c : text.substr(0, digits)) {
        status = status * 10 + (c - '0');
    }
    return status;
}

/// What is known about the tools of a command that has ended.
class Conclusion {
  public:
    Conclusion(const ToolReading& reading, bool is_error, std::string_view output)
        : tools_(reading.tools), is_error_(is_error), may_be_other_(is_error && reading.may_fail_later) {
        for (const KnownTool& tool : tools_) {
            const auto printed = tool.printed_status.find_in(output);
            const bool is_cause = is_error && tool.may_cause_failure;
            known_.push_back({.may_have_failed = printed ? *printed != 0 : tool.is_masked || is_cause,
                              .may_be_cause = printed ? *printed != 0 : is_cause,
                              .has_passed = printed && *printed == 0});
        }
        judge(output);
    }

    /// The tool that failed; nullopt if none is known to have failed. `preferred` if it may be this one.
    [[nodiscard]] std::optional<std::size_t> failed_tool(std::size_t preferred) const {
        if (failed_by_output_) {
            return failed_by_output_;
        }
        if (known_[preferred].may_be_cause) {
            return preferred;
        }
        std::optional<std::size_t> found;
        for (std::size_t i = tools_.size(); i-- > 0;) {
            if (known_[i].may_be_cause && (!found || !tools_[i].is_preparation || tools_[*found].is_preparation)) {
                found = i;
            }
        }
        return found;
    }

    [[nodiscard]] bool has_passed(std::size_t tool) const { return known_[tool].has_passed; }

    /// Whether the exit status of the command is that of the failed tool.
    [[nodiscard]] bool is_status_of(std::size_t tool) const { return is_error_ && tools_[tool].may_cause_failure; }

  private:
    struct State {
        bool may_have_failed = false;
        bool may_be_cause = false;  ///< of a failure that an exit status shows
        bool has_passed = false;
    };

    void judge(std::string_view output) {
        std::vector<std::string> skills;
        std::vector<std::size_t> positions;
        // A longer output was cut.
        LinesShown shown = output.size() < kMaxVerdictBytes ? LinesShown::all : LinesShown::last;
        for (std::size_t i = 0; i < tools_.size(); ++i) {
            if (known_[i].may_have_failed) {
                skills.push_back(tools_[i].skill_name);
                positions.push_back(i);
                shown = std::max(shown, tools_[i].shown);
            }
        }
        if (skills.empty()) {
            return;
        }
        const auto verdict = judge_output(skills, output, shown);
        if (!verdict) {
            return;
        }
        const std::size_t tool = positions[verdict->tool];
        if (verdict->outcome == Outcome::failed) {
            failed_by_output_ = tool;
            return;
        }
        // The ones before it have passed, too: else it would not have run. An exit status that can only be theirs
        // counts more than the output.
        const auto is_cause = [](const State& state) { return state.may_be_cause; };
        const auto later = known_.begin() + static_cast<std::ptrdiff_t>(tool) + 1;
        const bool is_other_cause = may_be_other_ || std::any_of(later, known_.end(), is_cause);
        if (known_[tool].may_be_cause && !is_other_cause) {
            return;
        }
        known_[tool].has_passed = true;
        if (is_other_cause) {
            std::for_each(known_.begin(), later, [](State& state) { state.may_be_cause = false; });
        }
    }

    const std::vector<KnownTool>& tools_;
    bool is_error_;
    bool may_be_other_;
    std::vector<State> known_;
    std::optional<std::size_t> failed_by_output_;
};

}  // namespace

PrintedStatus PrintedStatus::of(std::string_view prefix) {
    return {.prefix_hash = hash_of(prefix), .prefix_bytes = static_cast<std::uint16_t>(prefix.size()), .exists = true};
}

std::optional<int> PrintedStatus::find_in(std::string_view output) const {
    output.remove_prefix(output.size() - std::min(output.size(), kMaxVerdictBytes));
    while (exists && !output.empty()) {
        const std::size_t start = output.find_last_of('\n') + 1;
        std::string_view line = output.substr(start);
        output = output.substr(0, start == 0 ? 0 : start - 1);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (line.size() <= prefix_bytes || hash_of(line.substr(0, prefix_bytes)) != prefix_hash) {
            continue;
        }
        const auto status = leading_status(line.substr(prefix_bytes));
        // Without a prefix, any line that begins with a number would do.
        if (status && (prefix_bytes != 0 || std::ranges::all_of(line, ascii::is_digit))) {
            return status;
        }
    }
    return std::nullopt;
}

bool ToolReading::needs_output(bool is_error) const {
    return is_error ? !tools.empty() : std::ranges::any_of(tools, &KnownTool::is_masked);
}

ToolConclusion ToolReading::conclude(bool is_error, std::string_view output) const {
    ToolConclusion conclusion{
        .skill_name = skill_name, .name_basis = name_basis, .outcome = is_error ? Outcome::failed : Outcome::completed};
    if (!needs_output(is_error)) {
        return conclusion;
    }
    const auto named =
        static_cast<std::size_t>(std::ranges::find(tools, skill_name, &KnownTool::skill_name) - tools.begin());
    const Conclusion known(*this, is_error, output);
    if (const auto failed = known.failed_tool(named)) {
        if (*failed != named) {
            conclusion.skill_name = tools[*failed].skill_name;
            conclusion.name_basis = NameBasis::output;
        }
        if (!known.is_status_of(*failed)) {
            conclusion.outcome = Outcome::completed;
            conclusion.is_masked = true;
            conclusion.verdict = Outcome::failed;
        }
        return conclusion;
    }
    // The named tool may have failed without a sign, and a failure is that of another command.
    conclusion.outcome = Outcome::completed;
    conclusion.is_masked = is_error || tools[named].is_masked;
    if (conclusion.is_masked && known.has_passed(named)) {
        conclusion.verdict = Outcome::completed;
    }
    return conclusion;
}

}  // namespace session_buddy::ingest
