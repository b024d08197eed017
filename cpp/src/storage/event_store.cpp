// Merges the evidence of events under their dedup keys, and stores invocations, each once. Everything that decides
// whether an invocation is new, and when its row is inserted or corrected, is in this file.
#include "session_buddy/storage/event_store.hpp"

#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "connection.hpp"
#include "invocation_aggregates.hpp"
#include "invocation_inserter.hpp"
#include "marks.hpp"
#include "row_reader.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "side_tables.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

using Kind = SkillEvent::Kind;
using std::chrono::steady_clock;

constexpr double kMicrosPerSecond = 1e6;
/// Maximum number of events of a transaction with a time limit; about what it can store in kMaxWriteLock.
constexpr std::size_t kMaxEventsPerBatch = 2000;
/// Invocations whose aggregates are written together before the time limit is checked again.
constexpr std::size_t kMaxInvocationsPerBatch = 500;

std::int64_t micros(TimePoint at) {
    return std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count();
}

TimePoint from_micros(std::int64_t count) {
    return TimePoint(std::chrono::microseconds(count));
}

/// SQLite's code for a missing table or column.
bool is_missing_table(const SQLite::Exception& error) {
    return error.getErrorCode() == SQLITE_ERROR;
}

/// Each statement is prepared on first use: a hook needs few of them, and its user waits.
struct EventStatements {
    explicit EventStatements(SQLite::Database& database)
        : source_of(database, "SELECT invocation_id, seen_by, evidence FROM session_buddy_source WHERE key = ?1"),
          remember(database,
                   "INSERT INTO session_buddy_source (key, invocation_id, seen_by, evidence) VALUES (?1, ?2, ?3, ?4)"),
          add_source(database, "UPDATE session_buddy_source SET seen_by = seen_by | ?2 WHERE key = ?1"),
          put_evidence(database, "UPDATE session_buddy_source SET evidence = ?2 WHERE key = ?1"),
          has_open(database, "SELECT EXISTS (SELECT 1 FROM session_buddy_open_use)"),
          put_open(database,
                   "INSERT OR REPLACE INTO session_buddy_open_use (key, skill_name, session_id, started_us, evidence)"
                   " VALUES (?1, ?2, ?3, ?4, ?5)"),
          open_use(database, fmt::format("SELECT {} FROM session_buddy_open_use WHERE key = ?1", kOpenColumns)),
          close(database, "DELETE FROM session_buddy_open_use WHERE key = ?1"),
          open_in_session(database, fmt::format("SELECT {} FROM session_buddy_open_use"
                                                " WHERE session_id = ?1 AND started_us <= ?2 LIMIT ?3",
                                                kOpenColumns)),
          open_before(database, fmt::format("SELECT {} FROM session_buddy_open_use WHERE started_us < ?1 LIMIT ?2",
                                            kOpenColumns)),
          row(database, fmt::format("SELECT skill_name, invoked_at, session_id, completed, duration_seconds,"
                                    " error_type, workflow_path, selection_rank, workflow_phase, workflow_step_id"
                                    " FROM skill_invocation WHERE id = ?1")),
          marks(database, "SELECT marks FROM session_buddy_mark WHERE invocation_id = ?1"),
          put_marks(database, "INSERT OR REPLACE INTO session_buddy_mark (invocation_id, marks) VALUES (?1, ?2)"),
          erase_marks(database, "DELETE FROM session_buddy_mark WHERE invocation_id = ?1"),
          update_row(database,
                     "UPDATE skill_invocation SET skill_name = ?2, invoked_at = ?3, session_id = ?4, completed = ?5,"
                     " duration_seconds = ?6, error_type = ?7, workflow_path = ?8, selection_rank = ?9,"
                     " workflow_phase = ?10, workflow_step_id = ?11 WHERE id = ?1"),
          // The invocation of this skill nearest in time that this source has not reported yet, or has reported only
          // now: hooks that are set up twice report each command twice.
          command(database,
                  "SELECT invocation_id FROM session_buddy_command AS seen"
                  " WHERE session_id = ?1 AND skill_name = ?2 AND at_us BETWEEN ?3 - ?4 AND ?3 + ?4"
                  " AND NOT EXISTS (SELECT 1 FROM session_buddy_command AS own WHERE own.session_id = ?1"
                  " AND own.skill_name = ?2 AND own.at_us BETWEEN ?3 - 2 * ?4 AND ?3 + 2 * ?4 AND own.source = ?5"
                  " AND own.invocation_id = seen.invocation_id AND abs(own.at_us - ?3) > ?6)"
                  " ORDER BY abs(at_us - ?3) LIMIT 1"),
          command_reports(database,
                          "SELECT source, evidence FROM session_buddy_command WHERE session_id = ?1 AND skill_name = ?2"
                          " AND at_us BETWEEN ?3 - 2 * ?4 AND ?3 + 2 * ?4 AND invocation_id = ?5"),
          remember_command(database,
                           "INSERT OR IGNORE INTO session_buddy_command"
                           " (session_id, skill_name, at_us, source, invocation_id, evidence)"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
          write_offset(database,
                       "INSERT INTO session_buddy_transcript (file, offset) VALUES (?1, ?2)"
                       " ON CONFLICT (file) DO UPDATE SET offset = excluded.offset"),
          read_offsets(database, "SELECT file, offset FROM session_buddy_transcript") {}

    static constexpr const char* kOpenColumns = "key, skill_name, session_id, started_us, evidence";

    sql::DeferredStatement source_of;
    sql::DeferredStatement remember;
    sql::DeferredStatement add_source;
    sql::DeferredStatement put_evidence;
    sql::DeferredStatement has_open;
    sql::DeferredStatement put_open;
    sql::DeferredStatement open_use;
    sql::DeferredStatement close;
    sql::DeferredStatement open_in_session;
    sql::DeferredStatement open_before;
    sql::DeferredStatement row;
    sql::DeferredStatement marks;
    sql::DeferredStatement put_marks;
    sql::DeferredStatement erase_marks;
    sql::DeferredStatement update_row;
    sql::DeferredStatement command;
    sql::DeferredStatement command_reports;
    sql::DeferredStatement remember_command;
    sql::DeferredStatement write_offset;
    sql::DeferredStatement read_offsets;
};

/// An invocation with its evidence, which has no row yet.
struct Unstored {
    std::string key;  ///< may be empty
    InvocationRecord record;
    Evidence evidence;
    TimePoint at;            ///< used if the evidence has no time
    std::size_t result = 0;  ///< index of the result of the event that reported it first
    std::int64_t marks = 0;
};

Unstored read_open(const sql::Statement& row) {
    Unstored open;
    open.key = row.text(0);
    open.record.skill_name = row.text(1);
    open.record.session_id = row.text(2);
    open.at = from_micros(row.integer(3));
    if (auto evidence = read_evidence(row, 4)) {
        open.evidence = std::move(*evidence);
    } else {  // of an earlier version, which knew only starts that hooks reported
        open.evidence.started = {EvidenceSource::hook, open.at};
    }
    return open;
}

std::vector<Unstored> read_open_uses(sql::Statement& query) {
    std::vector<Unstored> open;
    while (query.step()) {
        open.push_back(read_open(query));
    }
    return open;
}

/// Whether a name with this basis replaces one with the other. Bases that count as equal have an order, too, so that
/// the order of arrival does not matter.
bool replaces(NameBasis basis, NameBasis other) {
    return is_better(basis, other) || (!is_better(other, basis) && basis > other);
}

bool may_change_session(const Evidence& known, const Evidence& added) {
    // Several copies of a session have the same rank; the smallest id is as good as any, and always the same.
    return added.session_basis > known.session_basis ||
           (added.session_basis == known.session_basis && added.session_basis == SessionBasis::copy);
}

template <typename Value>
void fill(std::optional<Value>& value, const std::optional<Value>& other) {
    if (!value) {
        value = other;
    }
}

/// Merges what `added` says about an invocation of which `known` is known.
void merge(InvocationRecord& record, Evidence& known, const InvocationRecord& added_record, const Evidence& added) {
    if (replaces(added.name_basis, known.name_basis)) {
        record.skill_name = added_record.skill_name;
    }
    if (may_change_session(known, added) &&
        (added.session_basis > known.session_basis || added_record.session_id < record.session_id)) {
        record.session_id = added_record.session_id;
    }
    fill(record.workflow_path, added_record.workflow_path);
    fill(record.selection_rank, added_record.selection_rank);
    fill(record.workflow_phase, added_record.workflow_phase);
    fill(record.workflow_step_id, added_record.workflow_step_id);
    known.merge(added);
}

/// Sets what follows from the evidence. Returns the marks.
std::int64_t set_resolution(InvocationRecord& record, const Evidence& evidence, TimePoint fallback) {
    Resolution resolved = resolve(evidence, fallback);
    if (record.invoked_at.empty() || parse_timestamp(record.invoked_at) != resolved.invoked_at) {
        record.invoked_at = format_precise_timestamp(resolved.invoked_at);
    }
    record.completed = resolved.outcome != Outcome::failed;  // as other programs count an unknown outcome
    record.duration_seconds = resolved.duration_seconds;
    record.error_type = resolved.error_type.empty() ? std::nullopt : std::optional(std::move(resolved.error_type));
    return (resolved.outcome == Outcome::unknown ? kUnknownOutcomeMark : 0) |
           (resolved.is_upper_bound ? kDurationBoundMark : 0);
}

EventStore::Values values_of(const InvocationRecord& record, std::int64_t marks) {
    return {.skill_name = record.skill_name,
            .session_id = record.session_id,
            .invoked_at = record.invoked_at,
            .outcome = !record.completed                    ? Outcome::failed
                       : (marks & kUnknownOutcomeMark) != 0 ? Outcome::unknown
                                                            : Outcome::completed,
            .error_type = record.error_type.value_or(""),
            .duration_seconds = record.duration_seconds,
            .is_upper_bound = (marks & kDurationBoundMark) != 0};
}

EvidenceSource evidence_source(Source source) {
    switch (source) {
        case Source::http:
            return EvidenceSource::report;
        case Source::transcript:
            return EvidenceSource::transcript;
        case Source::hook:
        case Source::hook_request:
            break;
    }
    return EvidenceSource::hook;
}

std::int64_t to_micros(double seconds) {
    return static_cast<std::int64_t>(std::llround(seconds * kMicrosPerSecond));
}

/// The evidence of a kind of event that carries none.
Evidence evidence_of(const SkillEvent& event, const InvocationRecord& record, Source from) {
    const EvidenceSource source = evidence_source(from);
    Evidence evidence;
    if (event.kind != Kind::finished) {
        evidence.started = {source, *parse_timestamp(record.invoked_at)};
    }
    if (event.kind == Kind::started) {
        return evidence;
    }
    evidence.result.outcome = {
        source, {record.completed ? Outcome::completed : Outcome::failed, record.error_type.value_or("")}};
    if (event.kind == Kind::finished) {
        evidence.result.at = {source, event.at};
    }
    if (record.duration_seconds) {
        evidence.result.measured_us = {source, to_micros(*record.duration_seconds)};
    }
    return evidence;
}

/// What must be valid before it is stored: the claims, in the columns that they may become.
void set_claims(InvocationRecord& record, const ClaimedEnd& end) {
    if (end.outcome.value.outcome == Outcome::failed && !end.outcome.value.error_type.empty()) {
        record.error_type = end.outcome.value.error_type;
    }
    if (end.measured_us.exists()) {
        record.duration_seconds = static_cast<double>(end.measured_us.value) / kMicrosPerSecond;
    }
}

bool needs_key(const SkillEvent& event) {
    return event.kind == Kind::command || event.kind == Kind::started || event.kind == Kind::finished;
}

bool is_use(Kind kind) {
    return kind != Kind::command && kind != Kind::session_end;
}

}  // namespace

struct EventStore::Impl {
    std::mutex mutex;
    std::optional<InvocationInserter> inserter;
    std::optional<EventStatements> statements;  // of the side tables
    std::optional<InvocationAggregates> aggregates;
    IngestOptions ingest_options;  // of the current call
    bool may_have_open = false;    // in the current transaction: an invocation may be open
    Connection connection;

    Impl(const std::string& path, const OpenOptions& options)
        : connection(path, options,
                     {.on_open =
                          [this, max_values = options.max_values_per_skill](SQLite::Database& database) {
                              inserter.emplace(database, max_values);
                              statements.emplace(database);
                              aggregates.emplace(database);
                          },
                      .on_close =
                          [this] {
                              aggregates.reset();
                              statements.reset();
                              inserter.reset();
                          }}) {
        connection.require_open();
    }

    /// Runs `work` on the side tables. If they do not exist yet, or the database was replaced by one without them,
    /// creates them and runs `work` again.
    template <typename Work>
    decltype(auto) with_tables(const Work& work) {
        try {
            return work(*statements);
        } catch (const SQLite::Exception& error) {
            if (!is_missing_table(error)) {
                throw;
            }
        }
        statements.emplace(connection.database());
        aggregates.emplace(connection.database());
        SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
        create_side_tables(connection.database(), SideTable::Group::events);
        transaction.commit();
        return work(*statements);
    }

    /// The events, completed and validated.
    std::vector<Unstored> uses_of(std::span<const SkillEvent> events, Source source) const {
        std::vector<Unstored> uses;
        uses.reserve(events.size());
        for (std::size_t index = 0; index < events.size(); ++index) {
            const SkillEvent& event = events[index];
            if (event.key.empty() ? needs_key(event) : !is_valid_event_key(event.key)) {
                connection.reject(
                    fmt::format("record {}: key must be 1 to {} bytes of UTF-8 without control characters", index,
                                kMaxEventKeyBytes));
            }
            Unstored& use = uses.emplace_back();
            use.key = event.key;
            use.record = event.record;
            use.at = event.at;
            InvocationRecord& record = use.record;
            const bool follows = record.invoked_at.empty() && (event.kind == Kind::use || event.evidence != Evidence{});
            if (follows) {
                record.invoked_at = "1970-01-01";  // until the evidence is resolved
            } else if (record.invoked_at.empty()) {
                record.invoked_at = format_precise_timestamp(event.at);
            }
            if (event.kind == Kind::session_end) {
                record.skill_name = "-";  // a placeholder: this event has no skill, and is not stored
            }
            set_claims(record, event.evidence.result);
            set_claims(record, event.evidence.background_end);
            if (const std::string fault = validation_error(record); !fault.empty()) {
                connection.reject(fmt::format("record {}: {}", index, fault));
            }
            use.evidence = event.kind == Kind::use || event.evidence != Evidence{} ? event.evidence
                                                                                   : evidence_of(event, record, source);
            if (follows || event.kind == Kind::finished) {
                record.invoked_at.clear();
            }
        }
        return uses;
    }

    struct Known {
        std::int64_t id = 0;
        Sources seen_by = 0;
        std::optional<Evidence> evidence;  ///< nullopt: of an earlier version
    };

    /// Looks up a key, and adds `source` to the sources that reported it.
    std::optional<Known> find_known(std::string_view key, Source source) {
        sql::Statement& query = statements->source_of.with(key);
        std::optional<Known> known;
        if (query.step()) {
            known = Known{.id = query.integer(0),
                          .seen_by = static_cast<Sources>(query.integer(1)),
                          .evidence = read_evidence(query, 2)};
        }
        query.reset();
        if (known && !has(known->seen_by, source)) {
            statements->add_source.with(key, static_cast<std::int64_t>(source)).run();
        }
        return known;
    }

    std::optional<Unstored> find_open(std::string_view key) {
        sql::Statement& query = statements->open_use.with(key);
        std::optional<Unstored> open;
        if (query.step()) {
            open = read_open(query);
        }
        query.reset();
        return open;
    }

    void remember(const Unstored& use, std::int64_t id, Source source) {
        if (use.key.empty()) {
            return;
        }
        sql::Statement& insert = statements->remember.with(use.key, id, static_cast<std::int64_t>(source));
        bind_evidence(insert, 4, use.evidence);
        insert.run();
        if (may_have_open) {
            statements->close.with(use.key).run();
        }
    }

    static void bind_evidence(sql::Statement& statement, int index, const Evidence& evidence) {
        const std::string bytes = encode(evidence);
        statement.bind_blob(index, {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    }

    /// Inserts the rows of invocations that have none, in order, and their marks. Stops after the row that ends after
    /// `until`. Returns the ids.
    std::vector<std::int64_t> insert(std::span<Unstored> uses, Source source, steady_clock::time_point until) {
        std::vector<const InvocationRecord*> rows;
        rows.reserve(uses.size());
        for (Unstored& use : uses) {
            use.marks = set_resolution(use.record, use.evidence, use.at);
            rows.push_back(&use.record);
        }
        std::vector<std::int64_t> ids = inserter->insert_all(rows, until);
        std::map<std::string_view, std::int64_t> unknown;
        for (std::size_t index = 0; index < ids.size(); ++index) {
            const Unstored& use = uses[index];
            if (use.marks != 0) {
                statements->put_marks.with(ids[index], use.marks).run();
            }
            if ((use.marks & kUnknownOutcomeMark) != 0) {
                ++unknown[use.record.skill_name];
            }
            remember(use, ids[index], source);
        }
        for (const auto& [skill_name, count] : unknown) {
            aggregates->add_unknown(skill_name, count);
        }
        return ids;
    }

    void keep_open(const Unstored& use) {
        const Resolution resolved = resolve(use.evidence, use.at);
        sql::Statement& put = statements->put_open.with(use.key, use.record.skill_name, use.record.session_id,
                                                        micros(resolved.invoked_at));
        bind_evidence(put, 5, use.evidence);
        put.run();
        may_have_open = true;
    }

    /// Stores many events at the same time, which is faster than one by one. Stops after the row that ends after
    /// `until`; `results` has an entry for each event that was stored.
    void ingest_uses(std::span<Unstored> events, Source source, steady_clock::time_point until,
                     std::vector<Result>& results) {
        std::vector<Unstored> unstored;
        std::unordered_map<std::string, std::size_t> indexes;      // in `unstored`, by key
        std::vector<std::pair<std::size_t, std::size_t>> repeats;  // of results: a later one and the first one
        for (Unstored& event : events) {
            event.result = results.size();
            results.emplace_back();
            if (event.key.empty()) {
                unstored.push_back(std::move(event));
                continue;
            }
            if (const auto first = indexes.find(event.key); first != indexes.end()) {
                Unstored& use = unstored[first->second];
                merge(use.record, use.evidence, event.record, event.evidence);
                repeats.emplace_back(event.result, use.result);
                results.back().seen_before = static_cast<Sources>(source);
            } else if (auto known = find_known(event.key, source)) {
                results.back() = merge_into_row(event, std::move(*known));
                if (results.back().correction && steady_clock::now() >= until) {
                    break;
                }
            } else {
                if (may_have_open) {
                    if (auto open = find_open(event.key)) {
                        merge(open->record, open->evidence, event.record, event.evidence);
                        open->result = event.result;
                        event = std::move(*open);
                    }
                }
                indexes.emplace(event.key, unstored.size());
                unstored.push_back(std::move(event));
            }
        }
        const auto first_open = std::stable_partition(unstored.begin(), unstored.end(), [](const Unstored& use) {
            return use.key.empty() || use.evidence.is_settled();
        });
        const std::span<Unstored> settled(unstored.begin(), first_open);
        const std::vector<std::int64_t> ids = insert(settled, source, until);
        for (std::size_t index = 0; index < ids.size(); ++index) {
            results[settled[index].result].id = ids[index];
            results[settled[index].result].is_new = true;
        }
        // Events after the first row that was not inserted are stored by a later call. That some of them are stored
        // already does no harm: evidence that is merged twice changes nothing.
        const std::size_t stored = ids.size() < settled.size() ? settled[ids.size()].result : results.size();
        for (auto use = first_open; use != unstored.end(); ++use) {
            keep_open(*use);
        }
        for (const auto& [repeat, first] : repeats) {
            results[repeat].id = results[first].id;
        }
        results.resize(stored);
    }

    struct Row {
        InvocationRecord record;
        std::int64_t marks = 0;
    };

    std::optional<Row> read_row(std::int64_t id) {
        sql::Statement& query = statements->row.with(id);
        if (!query.step()) {
            return std::nullopt;
        }
        Row row;
        row.record.skill_name = query.text(0);
        row.record.invoked_at = query.text(1);
        row.record.session_id = query.text(2);
        row.record.completed = query.real(3) != 0.0;
        row.record.duration_seconds = read_duration(query, 4);
        row.record.error_type = query.optional_text(5);
        row.record.workflow_path = query.optional_text(6);
        if (!query.is_null(7)) {
            row.record.selection_rank = query.integer(7);
        }
        row.record.workflow_phase = query.optional_text(8);
        row.record.workflow_step_id = query.optional_text(9);
        query.reset();
        row.marks = statements->marks.with(id).first_integer();
        return row;
    }

    /// Merges an event with the row that exists for its key. A row that was deleted stays away.
    Result merge_into_row(const Unstored& event, Known known) {
        Result result{.id = known.id, .seen_before = known.seen_by};
        if (!known.evidence && !ingest_options.reclassify) {
            return result;
        }
        const bool adds_claims = !known.evidence || !known.evidence->contains(event.evidence);
        if (!adds_claims && !may_change_session(*known.evidence, event.evidence)) {
            return result;
        }
        auto row = read_row(known.id);
        if (!row) {
            return result;
        }
        if (!adds_claims && event.record.session_id >= row->record.session_id) {
            return result;  // of two copies, the one with the smaller session id is known already
        }
        Evidence evidence = known.evidence ? std::move(*known.evidence) : evidence_of_earlier(*row, known.seen_by);
        InvocationRecord record = row->record;
        merge(record, evidence, event.record, event.evidence);
        sql::Statement& put = statements->put_evidence.with(event.key);
        bind_evidence(put, 2, evidence);
        put.run();
        result.correction = correct(known.id, *row, std::move(record), evidence);
        return result;
    }

    /// What is kept of a row without evidence when it is classified again.
    static Evidence evidence_of_earlier(const Row& row, Sources seen_by) {
        Evidence evidence;
        const InvocationRecord& record = row.record;
        if (record.duration_seconds && (has_hook(seen_by) || has(seen_by, Source::http))) {
            evidence.result.measured_us = {has_hook(seen_by) ? EvidenceSource::hook : EvidenceSource::report,
                                           to_micros(*record.duration_seconds)};
        }
        if (has(seen_by, Source::http)) {
            evidence.result.outcome = {
                EvidenceSource::report,
                {record.completed ? Outcome::completed : Outcome::failed, record.error_type.value_or("")}};
        }
        return evidence;
    }

    /// Changes a row and all that is counted from it to what follows from the evidence. Returns nullptr if nothing
    /// changes.
    std::shared_ptr<const Correction> correct(std::int64_t id, const Row& row, InvocationRecord record,
                                              const Evidence& evidence) {
        const std::int64_t marks =
            set_resolution(record, evidence, parse_timestamp(row.record.invoked_at).value_or(TimePoint{}));
        record = inserter->bounded(record);
        auto correction =
            std::make_shared<Correction>(Correction{values_of(row.record, row.marks), values_of(record, marks)});
        const bool same_fields = record.workflow_path == row.record.workflow_path &&
                                 record.selection_rank == row.record.selection_rank &&
                                 record.workflow_phase == row.record.workflow_phase &&
                                 record.workflow_step_id == row.record.workflow_step_id;
        if (correction->before == correction->after && same_fields) {
            return nullptr;
        }
        const auto before = aggregates->read(id);
        connection.database().exec("PRAGMA defer_foreign_keys = ON");
        statements->update_row
            .with(id, record.skill_name, record.invoked_at, record.session_id, std::int64_t{record.completed ? 1 : 0},
                  record.duration_seconds, record.error_type, record.workflow_path, record.selection_rank,
                  record.workflow_phase, record.workflow_step_id)
            .run();
        if (marks != 0) {
            statements->put_marks.with(id, marks).run();
        } else if (row.marks != 0) {
            statements->erase_marks.with(id).run();
        }
        const auto after = aggregates->read(id);
        if (before && after) {
            aggregates->move(id, *before, *after);
        }
        return correction;
    }

    /// A typed command has no id that sources share, but each source reports it once.
    Result ingest_command(Unstored& event, Source source) {
        const std::int64_t at = micros(resolve(event.evidence, event.at).invoked_at);
        const std::int64_t tolerance = std::chrono::microseconds(kCommandTolerance).count();
        const std::int64_t repeat =
            has_hook(static_cast<Sources>(source)) ? std::chrono::microseconds(kRepeatedCommandTolerance).count() : -1;
        const auto bit = static_cast<std::int64_t>(source);
        const std::string session = event.record.session_id;
        const std::string skill = event.record.skill_name;
        const auto remember_report = [&](std::int64_t id) {
            sql::Statement& report = statements->remember_command.with(session, skill, at, bit, id);
            bind_evidence(report, 6, event.evidence);
            report.run();
        };
        if (const auto known = find_known(event.key, source)) {
            // It may have been reported as another kind of event, or before this table existed.
            remember_report(known->id);
            return {.id = known->id, .seen_before = known->seen_by};
        }
        std::int64_t id = 0;
        sql::Statement& match = statements->command.with(session, skill, at, tolerance, bit, repeat);
        if (match.step()) {
            id = match.integer(0);
        }
        match.reset();
        if (id == 0) {
            id = insert({&event, 1}, source, steady_clock::time_point::max()).at(0);
            remember_report(id);
            return {.id = id, .is_new = true};
        }
        Result result{.id = id};
        bool has_evidence = true;
        Evidence evidence = event.evidence;
        sql::Statement& reports = statements->command_reports.with(session, skill, at, tolerance, id);
        while (reports.step()) {
            result.seen_before = static_cast<Sources>(result.seen_before | reports.integer(0));
            const auto earlier = read_evidence(reports, 1);
            has_evidence = has_evidence && earlier;
            evidence.merge(earlier.value_or(Evidence{}));
        }
        remember_report(id);
        event.evidence = std::move(evidence);
        remember(event, id, source);
        if (const auto row = has_evidence ? read_row(id) : std::nullopt) {
            result.correction = correct(id, *row, row->record, event.evidence);
        }
        return result;
    }

    /// Stores open invocations of which no end is expected any more.
    void abandon(std::vector<Unstored> open, Source source) {
        std::erase_if(open, [&](const Unstored& use) {
            const bool is_known = find_known(use.key, source).has_value();
            if (is_known) {
                statements->close.with(use.key).run();
            }
            return is_known;
        });
        for (Unstored& use : open) {
            use.evidence.is_abandoned = true;
        }
        insert(open, source, steady_clock::time_point::max());
    }

    /// Ingests the events after those that have a result: one event, or several consecutive uses.
    void ingest_next(std::span<const SkillEvent> events, std::span<Unstored> uses, Source source,
                     steady_clock::time_point until, std::vector<Result>& results) {
        const std::size_t begin = results.size();
        std::size_t end = begin;
        while (end < events.size() && end - begin < kMaxInvocationsPerBatch && is_use(events[end].kind)) {
            ++end;
        }
        if (end > begin) {
            ingest_uses(uses.subspan(begin, end - begin), source, until, results);
        } else if (events[begin].kind == Kind::command) {
            results.push_back(ingest_command(uses[begin], source));
        } else {
            abandon(
                read_open_uses(statements->open_in_session.with(uses[begin].record.session_id, micros(events[begin].at),
                                                                static_cast<std::int64_t>(kMaxExpired))),
                source);
            results.emplace_back();
        }
    }

    /// Stops when the write lock was held for `max_lock`.
    std::vector<Result> ingest(std::span<const SkillEvent> events, Source source,
                               std::span<const TranscriptOffset> offsets, const IngestOptions& with,
                               steady_clock::duration max_lock);
};

std::vector<EventStore::Result> EventStore::Impl::ingest(std::span<const SkillEvent> events, Source source,
                                                         std::span<const TranscriptOffset> offsets,
                                                         const IngestOptions& with, steady_clock::duration max_lock) {
    const std::scoped_lock lock(mutex);
    connection.require_not_closed();
    std::vector<Unstored> uses = uses_of(events, source);
    bool is_repeated = false;
    std::vector<Result> results;
    if (events.empty() && offsets.empty()) {
        return results;
    }
    ingest_options = with;
    connection.attempt("cannot write to", [&] {
        with_tables([&](EventStatements& side_tables) {
            results.clear();
            if (std::exchange(is_repeated, true)) {
                uses = uses_of(events, source);  // the earlier attempt has changed them
            }
            SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
            const auto now = steady_clock::now();  // the transaction holds the lock from here on
            const auto until =
                max_lock < steady_clock::time_point::max() - now ? now + max_lock : steady_clock::time_point::max();
            results.reserve(events.size());
            may_have_open = side_tables.has_open.with().first_integer() != 0;
            while (results.size() < events.size()) {
                ingest_next(events, uses, source, until, results);
                if (steady_clock::now() >= until) {
                    break;
                }
            }
            aggregates->finish();
            for (const TranscriptOffset& offset : offsets) {
                side_tables.write_offset.with(offset.file, offset.offset).run();
            }
            if (!ingest_options.dry_run) {
                transaction.commit();
            }
        });
    });
    return results;
}

EventStore::EventStore(const std::string& path, const OpenOptions& options)
    : impl_(std::make_unique<Impl>(path, options)) {}

EventStore::~EventStore() = default;

std::vector<EventStore::Result> EventStore::ingest(std::span<const SkillEvent> events, Source source,
                                                   std::span<const TranscriptOffset> offsets,
                                                   const IngestOptions& options) {
    return impl_->ingest(events, source, offsets, options, steady_clock::duration::max());
}

std::vector<EventStore::Result> EventStore::ingest_some(std::span<const SkillEvent> events, Source source,
                                                        steady_clock::duration max_lock, const IngestOptions& options) {
    return impl_->ingest(events.first(std::min(events.size(), kMaxEventsPerBatch)), source, {}, options, max_lock);
}

void EventStore::set_durability(Durability durability) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.attempt("cannot set up",
                              [&] { storage::set_durability(impl_->connection.database(), durability); });
}

std::size_t EventStore::expire(TimePoint before) {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->connection.attempt("cannot write to", [&] {
        const auto expire_old = [&](EventStatements& tables) {
            const auto find = [&] {
                return read_open_uses(tables.open_before.with(micros(before), static_cast<std::int64_t>(kMaxExpired)));
            };
            if (find().empty()) {  // checked without a lock: it is nearly always true
                return std::size_t{0};
            }
            SQLite::Transaction transaction(impl_->connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
            std::vector<Unstored> open = find();
            const std::size_t count = open.size();
            impl_->may_have_open = true;
            impl_->abandon(std::move(open), Source::hook);
            transaction.commit();
            return count;
        };
        if (!sql::has_table(impl_->connection.database(), "session_buddy_open_use")) {
            return std::size_t{0};  // no start was ever reported; do not create the table for this
        }
        return impl_->with_tables(expire_old);
    });
}

std::map<std::string, std::int64_t> EventStore::transcript_offsets() {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->connection.attempt("cannot read", [&] {
        return impl_->with_tables([](EventStatements& tables) {
            std::map<std::string, std::int64_t> offsets;
            sql::Statement& query = tables.read_offsets.with();
            while (query.step()) {
                offsets.emplace(query.text(0), query.integer(1));
            }
            return offsets;
        });
    });
}

void EventStore::close() noexcept {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.close_permanently();
}

}  // namespace session_buddy::storage
