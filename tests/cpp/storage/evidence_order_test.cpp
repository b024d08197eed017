// Pieces of evidence in any order, any number of times, in any batches: the same rows, and totals that never go down.
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/event_store.hpp"
#include "session_buddy/storage/totals_store.hpp"
#include "storage/change_counter.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

using Kind = SkillEvent::Kind;
using std::chrono::steady_clock;

const TimePoint kBegin = *parse_timestamp("2026-02-10T12:00:00Z");
const TimePoint kLater = kBegin + std::chrono::hours{24};

/// An event, or, without one, the moment when all open invocations expire.
struct Piece {
    Source source = Source::hook;
    std::optional<SkillEvent> event{};
};

/// Random pieces of evidence about a few invocations.
class Pieces {
  public:
    explicit Pieces(unsigned seed) : random_(seed) {
        for (int index = 0; index < kInvocations; ++index) {
            add_use(index);
        }
        add_command(kBegin + std::chrono::minutes{60});
        add_command(kBegin + std::chrono::minutes{61});
        SkillEvent end;
        end.kind = Kind::session_end;
        end.at = kBegin + std::chrono::minutes{5};
        end.record.session_id = "s0";
        pieces_.push_back({.source = Source::hook, .event = end});
        pieces_.emplace_back();
    }

    /// Each piece once.
    [[nodiscard]] const std::vector<Piece>& canonical() const { return pieces_; }

    /// All pieces in random order, some of them repeated.
    [[nodiscard]] std::vector<Piece> shuffled() {
        std::vector<Piece> pieces = pieces_;
        for (const Piece& piece : pieces_) {
            if (chance(3)) {
                pieces.push_back(piece);
            }
        }
        std::ranges::shuffle(pieces, random_);
        return pieces;
    }

    /// True once in `times` calls.
    [[nodiscard]] bool chance(int times) { return std::uniform_int_distribution(1, times)(random_) == 1; }

  private:
    static constexpr int kInvocations = 12;

    void add(Source source, const SkillEvent& event) { pieces_.push_back({.source = source, .event = event}); }

    void add_use(int index) {
        const TimePoint start = kBegin + std::chrono::minutes{index};
        const auto took = std::chrono::milliseconds{std::uniform_int_distribution(1, 90'000)(random_)};
        const bool in_background = chance(4);
        const bool is_masked = chance(3);
        const std::string session = index % 2 == 0 ? "s0" : "s1";
        SkillEvent use;
        use.key = "k" + std::to_string(index);
        use.at = start;
        use.record.skill_name = index % 3 == 0 ? "pytest-run" : "Edit";
        use.record.session_id = session;
        use.evidence.session_basis = SessionBasis::original;
        use.evidence.name_basis = index % 3 == 0 ? NameBasis::command : NameBasis::tool;
        const bool failed = chance(3);
        const auto outcome = [&](EvidenceSource source) {
            return Claim<ClaimedOutcome>{source,
                                         {failed ? Outcome::failed : Outcome::completed, failed ? "exit_code" : ""}};
        };
        if (!chance(5)) {  // the start
            SkillEvent event = use;
            event.evidence.started = {EvidenceSource::hook, start + std::chrono::milliseconds{1}};
            add(Source::hook, event);
        }
        if (!chance(4)) {  // the end of the call, as a hook reports it
            SkillEvent event = use;
            event.at = start + took;
            event.evidence.in_background = in_background;
            event.evidence.is_masked = is_masked;
            event.evidence.result.outcome = outcome(EvidenceSource::hook);
            event.evidence.result.at = {EvidenceSource::hook, event.at};
            if (chance(2)) {
                event.evidence.result.measured_us = {EvidenceSource::hook, std::chrono::microseconds(took).count() / 2};
            }
            add(chance(2) ? Source::hook : Source::hook_request, event);
        }
        if (!chance(4)) {  // the transcript, maybe a copy in another session, with a name that its output shows
            SkillEvent event = use;
            event.evidence.in_background = in_background;
            event.evidence.is_masked = is_masked;
            event.evidence.started = {EvidenceSource::transcript, start};
            event.evidence.result.outcome = outcome(EvidenceSource::transcript);
            event.evidence.result.at = {EvidenceSource::transcript, start + took};
            if (is_masked && chance(2)) {
                event.evidence.verdict = {EvidenceSource::transcript, Outcome::failed};
            }
            if (chance(4)) {
                event.record.skill_name = "mypy-run";
                event.evidence.name_basis = NameBasis::output;
            }
            add(Source::transcript, event);
            if (chance(3)) {
                event.record.session_id = chance(2) ? "fork" : "a fork";
                event.evidence.session_basis = SessionBasis::copy;
                add(Source::transcript, event);
            }
        }
        if (chance(4)) {  // OTLP: only a generic name, but an outcome and a duration
            SkillEvent event = use;
            event.record.skill_name = "custom_skill";
            event.evidence.name_basis = NameBasis::placeholder;
            event.evidence.result.outcome = outcome(EvidenceSource::otlp);
            event.evidence.result.at = {EvidenceSource::otlp, start + took};
            event.evidence.result.measured_us = {EvidenceSource::otlp, std::chrono::microseconds(took).count()};
            add(Source::http, event);
        }
        if (in_background && !chance(3)) {
            SkillEvent event = use;
            event.evidence.in_background = true;
            event.evidence.background_end.outcome = outcome(EvidenceSource::transcript);
            event.evidence.background_end.at = {EvidenceSource::transcript, start + took + std::chrono::minutes{2}};
            add(Source::transcript, event);
        }
        if (chance(5)) {
            SkillEvent event = use;
            event.record.workflow_path = "path";
            event.record.workflow_phase = "build";
            event.record.workflow_step_id = "step";
            event.record.selection_rank = 1;
            event.evidence.started = {EvidenceSource::report, start + std::chrono::milliseconds{2}};
            event.evidence.result.outcome = outcome(EvidenceSource::report);
            event.evidence.background_end.outcome = outcome(EvidenceSource::report);
            add(Source::http, event);
        }
    }

    void add_command(TimePoint at) {
        for (const auto& [source, evidence_source, prefix, delay] :
             {std::tuple(Source::hook, EvidenceSource::hook, "hook:", std::chrono::milliseconds{40}),
              std::tuple(Source::transcript, EvidenceSource::transcript, "command:", std::chrono::milliseconds{0})}) {
            SkillEvent event;
            event.kind = Kind::command;
            event.key = prefix + format_precise_timestamp(at);
            event.at = at + delay;
            event.record.skill_name = "review";
            event.record.session_id = "s1";
            event.evidence.name_basis = NameBasis::typed;
            event.evidence.started = {evidence_source, at + delay};
            event.evidence.result.outcome = {evidence_source, {Outcome::completed, ""}};
            add(source, event);
        }
    }

    std::mt19937 random_;
    std::vector<Piece> pieces_;
};

/// The values of a JSON object column, sorted.
std::string sorted_counts(const std::string& path, const std::string& skill, const std::string& column) {
    std::string all;
    for (const std::string& each :
         test::query(path, "SELECT key || '=' || value FROM skill_metrics, json_each(" + column +
                               ") WHERE skill_name = '" + skill + "' AND value <> 0 ORDER BY key")) {
        all += each + " ";
    }
    return all;
}

/// What must not depend on the order.
std::vector<std::string> state_of(const std::string& path) {
    std::vector<std::string> state = test::query(
        path,
        "SELECT skill_name, invoked_at, session_id, completed, round(duration_seconds, 6), error_type, workflow_path,"
        " workflow_phase, workflow_step_id, selection_rank, coalesce(marks, 0)"
        " FROM skill_invocation LEFT JOIN session_buddy_mark ON invocation_id = id"
        " ORDER BY invoked_at, skill_name, session_id");
    const auto add = [&](const std::string& query) {
        for (std::string& row : test::query(path, query)) {
            state.push_back(std::move(row));
        }
    };
    add("SELECT skill_name, total_invocations, completed_invocations, abandoned_invocations,"
        " round(total_duration_seconds + 0.0000123, 4), round(avg_duration_seconds + 0.0000123, 4), "
        "round(completion_rate, 6), first_invoked,"
        " last_invoked FROM skill_metrics ORDER BY skill_name");
    add("SELECT * FROM session_skills ORDER BY session_id, skill_name");
    add("SELECT * FROM session_buddy_unknown ORDER BY skill_name");
    add("SELECT skill_name, last_invocation_at FROM skill_metrics_cache ORDER BY skill_name");
    add("SELECT count(*) FROM session_buddy_open_use");
    for (const std::string& skill : test::query(path, "SELECT skill_name FROM skill_metrics ORDER BY skill_name")) {
        state.push_back(skill + ": " + sorted_counts(path, skill, "common_errors") +
                        sorted_counts(path, skill, "workflow_paths"));
    }
    return state;
}

/// A database, and a server that counts its rows between the batches.
class Recording {
  public:
    explicit Recording(const std::string& template_file) {
        std::filesystem::copy_file(template_file, path_);
        database_ = open_database(path_, {});
        install_change_counter(*database_);
        totals_ = std::make_unique<TotalsStore>(*database_);
        store_ = std::make_unique<EventStore>(path_, OpenOptions{});
    }

    [[nodiscard]] const std::string& path() const { return path_; }

    /// Stores pieces of one source.
    void store(const std::vector<SkillEvent>& events, Source source) { store_->ingest(events, source); }
    void expire() { store_->expire(kLater); }

    void count_totals() {
        tracker_.advance(*totals_, steady_clock::now() + std::chrono::seconds{10});
        SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
        const bool written = totals_->write(tracker_.pending());
        transaction.commit();
        tracker_.confirm_written(written);
        EXPECT_TRUE(written);
        for (const auto& skill : *tracker_.table()) {
            for (const PhaseTotals& phase : skill->phases) {
                PhaseTotals& least = highest_[skill->skill_name + "/" + phase.workflow_phase];
                EXPECT_GE(phase.completed, least.completed);
                EXPECT_GE(phase.failed, least.failed);
                EXPECT_GE(phase.unknown, least.unknown);
                EXPECT_GE(phase.duration_seconds, least.duration_seconds);
                for (std::size_t bucket = 0; bucket < phase.durations.size(); ++bucket) {
                    EXPECT_GE(phase.durations[bucket], least.durations[bucket]);
                }
                least = phase;
            }
        }
        for (const auto& [name, least] : highest_) {
            const std::string skill = name.substr(0, name.find('/'));
            EXPECT_TRUE(
                std::ranges::any_of(*tracker_.table(), [&](const auto& each) { return each->skill_name == skill; }))
                << "the totals of " << skill << " are gone";
        }
    }

    /// Whether the totals without their debt are the counts of the rows.
    void check_totals() const {
        EXPECT_EQ(test::query(*database_,
                              "SELECT skill_name, workflow_phase, completed - coalesce(debt ->> 0, 0),"
                              " failed - coalesce(debt ->> 1, 0), unknown - coalesce(debt ->> 2, 0),"
                              " round(duration_seconds - coalesce(debt ->> 3, 0), 4) + 0.0 FROM session_buddy_totals"
                              " WHERE completed + failed + unknown"
                              " > coalesce((debt ->> 0) + (debt ->> 1) + (debt ->> 2), 0) ORDER BY 1, 2"),
                  test::query(*database_,
                              "SELECT skill_name, coalesce(workflow_phase, 'none') AS phase,"
                              " sum(completed AND NOT coalesce(marks & 1, 0)), sum(NOT completed),"
                              " sum(completed AND coalesce(marks & 1, 0)),"
                              " round(total(CASE WHEN completed THEN duration_seconds END), 4)"
                              " FROM skill_invocation LEFT JOIN session_buddy_mark ON invocation_id = id"
                              " GROUP BY skill_name, phase ORDER BY 1, 2"));
    }

  private:
    test::TempDir folder_;
    std::string path_ = folder_.file("skills.db");
    std::unique_ptr<SQLite::Database> database_;
    std::unique_ptr<TotalsStore> totals_;
    std::unique_ptr<EventStore> store_;
    TotalsTracker tracker_;
    std::map<std::string, PhaseTotals> highest_;
};

class EvidenceOrder : public testing::TestWithParam<unsigned> {
  protected:
    void SetUp() override { static_cast<void>(open_database(template_file, {})); }

    test::TempDir folder;
    std::string template_file = folder.file("empty.db");
};

TEST_P(EvidenceOrder, does_not_change_what_is_stored_and_totals_never_go_down) {
    constexpr int kOrders = 6;
    Pieces pieces(GetParam());
    Recording canonical(template_file);
    for (const Piece& piece : pieces.canonical()) {
        if (piece.event) {
            canonical.store({*piece.event}, piece.source);
        } else {
            canonical.expire();
        }
    }
    canonical.expire();
    const auto expected = state_of(canonical.path());
    for (int order = 0; order < kOrders; ++order) {
        Recording recording(template_file);
        std::vector<SkillEvent> batch;
        Source source{};
        const auto flush = [&] {
            recording.store(batch, source);
            batch.clear();
            if (pieces.chance(3)) {
                recording.count_totals();
            }
        };
        for (const Piece& piece : pieces.shuffled()) {
            if (!batch.empty() && (!piece.event || piece.source != source || pieces.chance(4))) {
                flush();
            }
            if (piece.event) {
                batch.push_back(*piece.event);
                source = piece.source;
            } else {
                recording.expire();
            }
        }
        flush();
        recording.expire();
        recording.count_totals();
        recording.check_totals();
        EXPECT_EQ(state_of(recording.path()), expected) << "order " << order;
        if (HasFailure()) {
            return;
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Seeds, EvidenceOrder, testing::Range(1U, 9U));

}  // namespace
}  // namespace session_buddy::storage
