// EvidenceReader: what is known about invocations, and from which source (session-buddy explain).
#include <pybind11/stl.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "entities.hpp"
#include "session_buddy/core/evidence.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/evidence_reader.hpp"

namespace session_buddy::bindings {
namespace {

using storage::RecordedInvocation;
using Text = std::optional<std::string>;
using Values = storage::EventStore::Values;

Text none_if_empty(std::string_view text) {
    return text.empty() ? std::nullopt : std::optional(std::string(text));
}

/// Who made a claim; nullopt if there is none.
template <typename Value>
Text source_of(const Claim<Value>& claim) {
    return claim.exists() ? Text(kEvidenceSources[claim.source]) : std::nullopt;
}

Text time_of(const Claim<TimePoint>& claim) {
    return claim.exists() ? Text(format_precise_timestamp(claim.value)) : std::nullopt;
}

template <auto kMember>
constexpr auto kSourceOf = [](const ClaimedEnd& end) { return source_of(end.*kMember); };

constexpr auto kClaimedEnd = entity(
    "ClaimedEnd", "",
    field<"outcome">(
        [](const ClaimedEnd& end) {
            return end.outcome.exists() ? Text(kOutcomes[end.outcome.value.outcome]) : Text();
        },
        "As its source reported it."),
    field<"error_type">([](const ClaimedEnd& end) { return none_if_empty(end.outcome.value.error_type); }),
    field<"outcome_by">(kSourceOf<&ClaimedEnd::outcome>),
    field<"at">([](const ClaimedEnd& end) { return time_of(end.at); }), field<"at_by">(kSourceOf<&ClaimedEnd::at>),
    field<"measured_seconds">([](const ClaimedEnd& end) {
        constexpr double kMicrosPerSecond = 1e6;
        return end.measured_us.exists() ? std::optional(static_cast<double>(end.measured_us.value) / kMicrosPerSecond)
                                        : std::nullopt;
    }),
    field<"measured_by">(kSourceOf<&ClaimedEnd::measured_us>));

template <auto kMember>
constexpr auto kOf = [](const RecordedInvocation& recorded) { return recorded.evidence.value_or(Evidence{}).*kMember; };

constexpr auto kExplainedInvocation = entity(
    "ExplainedInvocation", "",
    field<"id">(
        [](const RecordedInvocation& recorded) { return recorded.id == 0 ? std::nullopt : std::optional(recorded.id); },
        "None while it is open."),
    field<"key">([](const RecordedInvocation& recorded) { return none_if_empty(recorded.key); }),
    field<"skill_name">(within(&RecordedInvocation::values, &Values::skill_name)),
    field<"session_id">(within(&RecordedInvocation::values, &Values::session_id)),
    field<"invoked_at">(within(&RecordedInvocation::values, &Values::invoked_at)),
    field<"outcome">([](const RecordedInvocation& recorded) { return kOutcomes[recorded.values.outcome]; },
                     "`completed`, `failed` or `unknown`."),
    field<"error_type">([](const RecordedInvocation& recorded) { return none_if_empty(recorded.values.error_type); }),
    field<"duration_seconds">(within(&RecordedInvocation::values, &Values::duration_seconds)),
    field<"duration_is_bound">(within(&RecordedInvocation::values, &Values::is_upper_bound), "An upper bound."),
    field<"seen_by">([](const RecordedInvocation& recorded) { return static_cast<std::int64_t>(recorded.seen_by); },
                     "Bits, as in session_buddy_source."),
    field<"has_evidence">([](const RecordedInvocation& recorded) { return recorded.evidence.has_value(); },
                          "If not, an earlier version or another program recorded it, and the rest is empty."),
    field<"in_background">(kOf<&Evidence::in_background>), field<"is_masked">(kOf<&Evidence::is_masked>),
    field<"is_abandoned">(kOf<&Evidence::is_abandoned>), field<"name_basis">([](const RecordedInvocation& recorded) {
        return kNameBases[kOf<&Evidence::name_basis>(recorded)];
    }),
    field<"session_is_copied">([](const RecordedInvocation& recorded) {
        return kOf<&Evidence::session_basis>(recorded) == SessionBasis::copy;
    }),
    field<"started_at">([](const RecordedInvocation& recorded) { return time_of(kOf<&Evidence::started>(recorded)); }),
    field<"started_by">(
        [](const RecordedInvocation& recorded) { return source_of(kOf<&Evidence::started>(recorded)); }),
    field<"result", &kClaimedEnd>(kOf<&Evidence::result>, "The end of the call."),
    field<"background_end", &kClaimedEnd>(kOf<&Evidence::background_end>,
                                          "The end of what the call left running in the background."),
    field<"verdict">(
        [](const RecordedInvocation& recorded) {
            const auto verdict = kOf<&Evidence::verdict>(recorded);
            return verdict.exists() ? Text(kOutcomes[verdict.value]) : Text();
        },
        "What the output of the tool shows."),
    field<"verdict_by">(
        [](const RecordedInvocation& recorded) { return source_of(kOf<&Evidence::verdict>(recorded)); }));

py::list explain_invocations(const std::string& db_path, double busy_timeout, std::optional<std::int64_t> id,
                             std::size_t last, std::size_t open, const std::string& skill) {
    const auto found = without_gil([&] {
        storage::EvidenceReader reader(db_path, std::chrono::milliseconds(std::llround(busy_timeout * 1000)));
        std::vector<RecordedInvocation> all;
        if (id) {
            if (auto one = reader.find(*id)) {
                all.push_back(std::move(*one));
            }
        }
        for (auto part : {open > 0 ? reader.open(open, skill) : std::vector<RecordedInvocation>{},
                          last > 0 ? reader.last(last, skill) : std::vector<RecordedInvocation>{}}) {
            all.insert(all.end(), std::move_iterator(part.begin()), std::move_iterator(part.end()));
        }
        return all;
    });
    return to_dicts<kExplainedInvocation>(found);
}

}  // namespace

void bind_evidence(py::module_& module) {
    add_entity<kClaimedEnd, ClaimedEnd>();
    add_entity<kExplainedInvocation, RecordedInvocation>();
    module.attr("MAX_EXPLAINED") = storage::EvidenceReader::kMaxInvocations;
    module.def("explain_invocations", &explain_invocations, py::arg("db_path"), py::kw_only(), py::arg("busy_timeout"),
               py::arg("id") = py::none(), py::arg("last") = 0, py::arg("open") = 0, py::arg("skill") = "",
               "The invocation with this id, the open ones and the rows stored last (at most so many each), with the "
               "evidence behind them, as dicts.");
}

}  // namespace session_buddy::bindings
