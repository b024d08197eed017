// What the sources reported about one invocation, and the outcome, time and duration that follow from it. Reports of
// several sources are merged in any order with the same result: of two claims about the same thing the one of the
// better source holds.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/enum_names.hpp"

namespace session_buddy {

/// The order decides between two claims of equally good sources, so that their order of arrival does not matter.
enum class Outcome : std::uint8_t { unknown, completed, failed };

inline constexpr EnumNames kOutcomes{std::array{EnumName{Outcome::unknown, "unknown"},
                                                EnumName{Outcome::completed, "completed"},
                                                EnumName{Outcome::failed, "failed"}}};

/// The source of a claim, the best one last.
enum class EvidenceSource : std::uint8_t {
    none,
    transcript,
    batch,   ///< PostToolBatch of a hook, which lists the results of a batch again
    report,  ///< POST /api/v1/invocations
    otlp,
    hook,
};

inline constexpr EnumNames kEvidenceSources{
    std::array{EnumName{EvidenceSource::none, "none"}, EnumName{EvidenceSource::transcript, "transcript"},
               EnumName{EvidenceSource::batch, "hook batch"}, EnumName{EvidenceSource::report, "report"},
               EnumName{EvidenceSource::otlp, "OTLP"}, EnumName{EvidenceSource::hook, "hook"}}};

/// What an invocation is named after. A name replaces another one only if its basis is later in this list, and
/// `tool`, `command`, `typed` and `report` count as equal.
enum class NameBasis : std::uint8_t {
    none,
    placeholder,  ///< a generic name, such as `custom_skill`, that the agent sends instead of the real one
    tool,         ///< the agent's tool, or the skill, subagent or MCP tool that its input names
    command,      ///< a known developer tool that a shell command runs
    typed,        ///< a slash command that the user typed
    report,       ///< the name in POST /api/v1/invocations
    output,       ///< of several known developer tools in a shell command, the one that the output shows to have failed
};

inline constexpr EnumNames kNameBases{std::array{
    EnumName{NameBasis::none, "none"}, EnumName{NameBasis::placeholder, "placeholder"},
    EnumName{NameBasis::tool, "tool"}, EnumName{NameBasis::command, "command"}, EnumName{NameBasis::typed, "typed"},
    EnumName{NameBasis::report, "report"}, EnumName{NameBasis::output, "output"}}};

/// Whether a name with this basis replaces one with the other.
[[nodiscard]] bool is_better(NameBasis basis, NameBasis other);

/// In which session an invocation ran. `original` replaces `copy`.
enum class SessionBasis : std::uint8_t {
    none,
    copy,      ///< of a record that was copied from another session (a fork or a resumed session)
    original,  ///< of the session in which it ran
};

template <typename Value>
struct Claim {
    EvidenceSource source = EvidenceSource::none;
    Value value{};

    [[nodiscard]] bool exists() const { return source != EvidenceSource::none; }
    /// Of two equally good sources the larger value holds.
    void merge(const Claim& other) { *this = std::max(*this, other); }
    [[nodiscard]] bool contains(const Claim& other) const { return !(*this < other); }
    auto operator<=>(const Claim&) const = default;
};

struct ClaimedOutcome {
    Outcome outcome = Outcome::unknown;
    std::string error_type;  ///< of failed: see ingest/error_class.hpp; a report may have others. May be empty

    auto operator<=>(const ClaimedOutcome&) const = default;
};

/// The end of a tool call, or of what it left running in the background.
struct ClaimedEnd {
    Claim<ClaimedOutcome> outcome;
    Claim<TimePoint> at;
    /// The duration that the agent measured, without waits, in microseconds; satisfies is_valid_duration.
    Claim<std::int64_t> measured_us;

    void merge(const ClaimedEnd& other);
    [[nodiscard]] bool contains(const ClaimedEnd& other) const;
    auto operator<=>(const ClaimedEnd&) const = default;
};

struct Evidence {
    /// The call only started something that runs in the background: `result` is the end of the call, and only
    /// `background_end` the end of the invocation.
    bool in_background = false;
    /// The exit status of the shell command does not depend on that of the tool ("pytest | tail", "pytest || true"), so
    /// that success proves nothing.
    bool is_masked = false;
    /// The session ended, or hook_timeout passed, and no end was seen. Later evidence replaces this.
    bool is_abandoned = false;
    NameBasis name_basis = NameBasis::none;
    SessionBasis session_basis = SessionBasis::none;
    Claim<TimePoint> started;
    ClaimedEnd result;
    ClaimedEnd background_end;
    Claim<Outcome> verdict;  ///< what the output of the tool shows; never `unknown`

    /// Idempotent, commutative and associative.
    void merge(const Evidence& other);
    /// Whether merging `other` would change nothing.
    [[nodiscard]] bool contains(const Evidence& other) const;
    bool operator==(const Evidence&) const = default;

    /// Whether the invocation has ended, or no end is expected any more. Else it is still open.
    [[nodiscard]] bool is_settled() const;
};

/// What follows from the evidence of a settled invocation.
struct Resolution {
    TimePoint invoked_at;  ///< the start; without one, the end minus the duration
    Outcome outcome = Outcome::unknown;
    std::string error_type;                    ///< of failed; may be empty
    std::optional<double> duration_seconds{};  ///< satisfies is_valid_duration; none if it never ran
    /// The duration is the time from start to end and may include a wait: for the approval of the user, or for other
    /// calls of the same batch. Such durations are left out of means if others are known, and out of detection.
    bool is_upper_bound = false;

    bool operator==(const Resolution&) const = default;
};

/// `fallback`: invoked_at if the evidence has no time at all.
[[nodiscard]] Resolution resolve(const Evidence& evidence, TimePoint fallback);

/// A compact binary form for the database.
[[nodiscard]] std::string encode(const Evidence& evidence);
/// nullopt if the text is damaged or of a later version.
[[nodiscard]] std::optional<Evidence> decode_evidence(std::string_view encoded);

}  // namespace session_buddy
