#include "session_buddy/core/evidence.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace session_buddy {
namespace {

using std::chrono::seconds;

TimePoint at(int second) {
    return TimePoint(seconds(1'700'000'000 + second));
}

Evidence random_evidence(std::mt19937& random) {
    const auto pick = [&](int bound) { return std::uniform_int_distribution<int>(0, bound)(random); };
    const auto source = [&] { return static_cast<EvidenceSource>(pick(5)); };
    Evidence evidence;
    evidence.in_background = pick(3) == 0;
    evidence.is_masked = pick(3) == 0;
    evidence.is_abandoned = pick(3) == 0;
    evidence.name_basis = static_cast<NameBasis>(pick(6));
    evidence.session_basis = static_cast<SessionBasis>(pick(2));
    if (evidence.started.source = source(); evidence.started.exists()) {
        evidence.started.value = at(pick(3));
    }
    for (ClaimedEnd* end : {&evidence.result, &evidence.background_end}) {
        if (end->outcome.source = source(); end->outcome.exists()) {
            end->outcome.value.outcome = static_cast<Outcome>(pick(2));
            end->outcome.value.error_type = pick(1) == 0 ? "" : "tool_error";
        }
        if (end->at.source = source(); end->at.exists()) {
            end->at.value = at(10 + pick(3));
        }
        if (end->measured_us.source = source(); end->measured_us.exists()) {
            end->measured_us.value = pick(3);
        }
    }
    if (evidence.verdict.source = source(); evidence.verdict.exists()) {
        evidence.verdict.value = pick(1) == 0 ? Outcome::completed : Outcome::failed;
    }
    return evidence;
}

Evidence merged(Evidence first, const Evidence& second) {
    first.merge(second);
    return first;
}

TEST(Evidence, is_merged_in_any_order_and_any_number_of_times_with_the_same_result) {
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        const Evidence a = random_evidence(random);
        const Evidence b = random_evidence(random);
        const Evidence c = random_evidence(random);
        ASSERT_EQ(merged(a, a), a);
        ASSERT_EQ(merged(a, b), merged(b, a));
        ASSERT_EQ(merged(merged(a, b), c), merged(a, merged(b, c)));
        ASSERT_EQ(merged(merged(a, b), b), merged(a, b));
    }
}

TEST(Evidence, contains_what_changes_nothing_when_it_is_merged) {
    std::mt19937 random(3);
    for (int round = 0; round < 2000; ++round) {
        const Evidence a = random_evidence(random);
        const Evidence b = random_evidence(random);
        Evidence part = a;
        part.result = b.result;
        for (const Evidence& other : {a, b, part}) {
            ASSERT_EQ(a.contains(other), merged(a, other) == a);
            ASSERT_TRUE(merged(a, other).contains(other));
        }
    }
}

TEST(Evidence, is_the_same_after_encoding_and_decoding) {
    std::mt19937 random(2);
    for (int round = 0; round < 2000; ++round) {
        const Evidence evidence = random_evidence(random);
        const std::string encoded = encode(evidence);
        ASSERT_EQ(decode_evidence(encoded), evidence);
        ASSERT_EQ(decode_evidence(encoded.substr(0, encoded.size() - 1)), std::nullopt);
        ASSERT_EQ(decode_evidence(encoded + '\0'), std::nullopt);
    }
    EXPECT_EQ(decode_evidence(""), std::nullopt);
    EXPECT_EQ(decode_evidence("\x02"), std::nullopt);
}

TEST(Evidence, encoded_as_a_usual_invocation_takes_at_most_48_bytes) {
    Evidence evidence;
    evidence.name_basis = NameBasis::command;
    evidence.session_basis = SessionBasis::original;
    evidence.started = {EvidenceSource::hook, at(0)};
    evidence.result.outcome = {EvidenceSource::hook, {Outcome::failed, "exit_code"}};
    evidence.result.at = {EvidenceSource::hook, at(3)};
    evidence.result.measured_us = {EvidenceSource::hook, 3'000'000};
    EXPECT_LE(encode(evidence).size(), 48U);
}

TEST(Evidence, of_a_better_source_decides_the_outcome) {
    Evidence evidence;
    evidence.result.outcome = {EvidenceSource::transcript, {Outcome::failed, "tool_error"}};
    Evidence hook;
    hook.result.outcome = {EvidenceSource::hook, {Outcome::completed, ""}};
    EXPECT_EQ(resolve(merged(evidence, hook), at(0)).outcome, Outcome::completed);
    EXPECT_EQ(resolve(merged(hook, evidence), at(0)).error_type, "");
}

TEST(Evidence, a_masked_success_is_unknown_unless_the_output_shows_the_outcome) {
    Evidence evidence;
    evidence.is_masked = true;
    evidence.result.outcome = {EvidenceSource::hook, {Outcome::completed, ""}};
    EXPECT_EQ(resolve(evidence, at(0)).outcome, Outcome::unknown);
    evidence.verdict = {EvidenceSource::transcript, Outcome::failed};
    EXPECT_EQ(resolve(evidence, at(0)).outcome, Outcome::failed);
    EXPECT_EQ(resolve(evidence, at(0)).error_type, "exit_code");
    evidence.verdict.value = Outcome::completed;
    EXPECT_EQ(resolve(evidence, at(0)).outcome, Outcome::completed);
}

TEST(Evidence, a_masked_failure_stays_a_failure) {
    Evidence evidence;
    evidence.is_masked = true;
    evidence.result.outcome = {EvidenceSource::hook, {Outcome::failed, "timeout"}};
    evidence.verdict = {EvidenceSource::hook, Outcome::completed};
    EXPECT_EQ(resolve(evidence, at(0)).error_type, "timeout");
}

TEST(Evidence, the_end_of_a_call_is_not_the_end_of_what_runs_in_the_background) {
    Evidence evidence;
    evidence.started = {EvidenceSource::hook, at(0)};
    evidence.result.outcome = {EvidenceSource::otlp, {Outcome::completed, ""}};
    evidence.result.measured_us = {EvidenceSource::otlp, 11'000};
    EXPECT_TRUE(evidence.is_settled());
    evidence.in_background = true;
    EXPECT_FALSE(evidence.is_settled());
    evidence.background_end.outcome = {EvidenceSource::transcript, {Outcome::failed, "exit_code"}};
    evidence.background_end.at = {EvidenceSource::transcript, at(120)};
    ASSERT_TRUE(evidence.is_settled());
    EXPECT_EQ(resolve(evidence, at(9)), (Resolution{.invoked_at = at(0),
                                                    .outcome = Outcome::failed,
                                                    .error_type = "exit_code",
                                                    .duration_seconds = 120.0,
                                                    .is_upper_bound = true}));
}

TEST(Evidence, an_abandoned_invocation_is_unknown_until_an_end_is_seen) {
    Evidence evidence;
    evidence.started = {EvidenceSource::hook, at(0)};
    EXPECT_FALSE(evidence.is_settled());
    evidence.is_abandoned = true;
    ASSERT_TRUE(evidence.is_settled());
    EXPECT_EQ(resolve(evidence, at(9)).outcome, Outcome::unknown);
    EXPECT_EQ(resolve(evidence, at(9)).duration_seconds, std::nullopt);
    evidence.result.outcome = {EvidenceSource::transcript, {Outcome::completed, ""}};
    EXPECT_EQ(resolve(evidence, at(9)).outcome, Outcome::completed);
}

TEST(Evidence, a_measured_duration_is_preferred_and_is_no_upper_bound) {
    Evidence evidence;
    evidence.started = {EvidenceSource::transcript, at(0)};
    evidence.result.at = {EvidenceSource::transcript, at(45)};
    evidence.result.outcome = {EvidenceSource::transcript, {Outcome::completed, ""}};
    EXPECT_EQ(resolve(evidence, at(9)).duration_seconds, 45.0);
    EXPECT_TRUE(resolve(evidence, at(9)).is_upper_bound);
    evidence.result.measured_us = {EvidenceSource::transcript, 120'000};
    EXPECT_EQ(resolve(evidence, at(9)).duration_seconds, 0.12);
    EXPECT_FALSE(resolve(evidence, at(9)).is_upper_bound);
}

TEST(Evidence, an_invocation_that_was_rejected_has_no_duration) {
    Evidence evidence;
    evidence.started = {EvidenceSource::hook, at(0)};
    evidence.result.at = {EvidenceSource::transcript, at(45)};
    evidence.result.outcome = {EvidenceSource::transcript, {Outcome::failed, "rejected"}};
    EXPECT_EQ(resolve(evidence, at(9)).duration_seconds, std::nullopt);
}

TEST(Evidence, without_a_start_the_invocation_started_one_duration_before_its_end) {
    Evidence evidence;
    evidence.result.outcome = {EvidenceSource::hook, {Outcome::completed, ""}};
    EXPECT_EQ(resolve(evidence, at(9)).invoked_at, at(9));
    evidence.result.at = {EvidenceSource::hook, at(20)};
    EXPECT_EQ(resolve(evidence, at(9)).invoked_at, at(20));
    EXPECT_EQ(resolve(evidence, at(9)).duration_seconds, std::nullopt);
    evidence.result.measured_us = {EvidenceSource::hook, 5'000'000};
    EXPECT_EQ(resolve(evidence, at(9)).invoked_at, at(15));
}

TEST(Evidence, a_name_from_the_output_replaces_one_from_the_command_and_a_placeholder_replaces_none) {
    EXPECT_TRUE(is_better(NameBasis::output, NameBasis::command));
    EXPECT_TRUE(is_better(NameBasis::tool, NameBasis::placeholder));
    EXPECT_FALSE(is_better(NameBasis::command, NameBasis::tool));
    EXPECT_FALSE(is_better(NameBasis::report, NameBasis::command));
    EXPECT_FALSE(is_better(NameBasis::placeholder, NameBasis::typed));
}

}  // namespace
}  // namespace session_buddy
