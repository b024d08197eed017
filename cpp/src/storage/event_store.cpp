// Deduplicates events, pairs starts with ends, and stores invocations. Everything that decides whether an invocation is
// new is in this file.
#include "session_buddy/storage/event_store.hpp"

#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "connection.hpp"
#include "invocation_inserter.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "side_tables.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

using Kind = SkillEvent::Kind;
using std::chrono::steady_clock;

constexpr const char* kNeverFinished = "tool_error";
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
        : source_of(database, "SELECT invocation_id, seen_by FROM session_buddy_source WHERE key = ?1"),
          remember(database, "INSERT INTO session_buddy_source (key, invocation_id, seen_by) VALUES (?1, ?2, ?3)"),
          add_source(database, "UPDATE session_buddy_source SET seen_by = seen_by | ?2 WHERE key = ?1"),
          open(database,
               "INSERT OR IGNORE INTO session_buddy_open_use (key, skill_name, session_id, started_us)"
               " VALUES (?1, ?2, ?3, ?4)"),
          open_use(database, "SELECT started_us FROM session_buddy_open_use WHERE key = ?1"),
          close(database, "DELETE FROM session_buddy_open_use WHERE key = ?1"),
          open_in_session(database,
                          "SELECT key, skill_name, session_id, started_us FROM session_buddy_open_use"
                          " WHERE session_id = ?1 AND started_us <= ?2 LIMIT ?3"),
          open_before(database,
                      "SELECT key, skill_name, session_id, started_us FROM session_buddy_open_use"
                      " WHERE started_us < ?1 LIMIT ?2"),
          // The invocation of this skill nearest in time that this source has not reported yet.
          command(database,
                  "SELECT invocation_id FROM session_buddy_command AS seen"
                  " WHERE session_id = ?1 AND skill_name = ?2 AND at_us BETWEEN ?3 - ?4 AND ?3 + ?4"
                  " AND NOT EXISTS (SELECT 1 FROM session_buddy_command AS own WHERE own.session_id = ?1"
                  " AND own.skill_name = ?2 AND own.at_us BETWEEN ?3 - 2 * ?4 AND ?3 + 2 * ?4 AND own.source = ?5"
                  " AND own.invocation_id = seen.invocation_id)"
                  " ORDER BY abs(at_us - ?3) LIMIT 1"),
          command_sources(database,
                          "SELECT source FROM session_buddy_command WHERE session_id = ?1 AND skill_name = ?2"
                          " AND at_us BETWEEN ?3 - 2 * ?4 AND ?3 + 2 * ?4 AND invocation_id = ?5"),
          remember_command(database,
                           "INSERT OR IGNORE INTO session_buddy_command"
                           " (session_id, skill_name, at_us, source, invocation_id) VALUES (?1, ?2, ?3, ?4, ?5)"),
          write_offset(database,
                       "INSERT INTO session_buddy_transcript (file, offset) VALUES (?1, ?2)"
                       " ON CONFLICT (file) DO UPDATE SET offset = excluded.offset"),
          read_offsets(database, "SELECT file, offset FROM session_buddy_transcript") {}

    sql::DeferredStatement source_of;
    sql::DeferredStatement remember;
    sql::DeferredStatement add_source;
    sql::DeferredStatement open;
    sql::DeferredStatement open_use;
    sql::DeferredStatement close;
    sql::DeferredStatement open_in_session;
    sql::DeferredStatement open_before;
    sql::DeferredStatement command;
    sql::DeferredStatement command_sources;
    sql::DeferredStatement remember_command;
    sql::DeferredStatement write_offset;
    sql::DeferredStatement read_offsets;
};

struct OpenInvocation {
    std::string key;
    std::string skill_name;
    std::string session_id;
    TimePoint started;
};

std::vector<OpenInvocation> read_open_invocations(sql::Statement& query) {
    std::vector<OpenInvocation> open;
    while (query.step()) {
        open.push_back({.key = std::string(query.text(0)),
                        .skill_name = std::string(query.text(1)),
                        .session_id = std::string(query.text(2)),
                        .started = from_micros(query.integer(3))});
    }
    return open;
}

/// The event as one without evidence.
SkillEvent without_evidence(SkillEvent event) {
    if (event.kind != Kind::use) {
        return event;
    }
    Resolution resolved = resolve(event.evidence, event.at);
    event.at = resolved.invoked_at;
    event.kind = event.key.empty() || event.evidence.is_settled() ? Kind::invocation : Kind::started;
    event.record.invoked_at = format_precise_timestamp(resolved.invoked_at);
    event.record.completed = resolved.outcome != Outcome::failed;
    event.record.duration_seconds = resolved.duration_seconds;
    event.record.error_type = resolved.error_type.empty() ? std::nullopt : std::optional(resolved.error_type);
    return event;
}

bool needs_key(Kind kind) {
    return kind == Kind::command || kind == Kind::started || kind == Kind::finished;
}

}  // namespace

struct EventStore::Impl {
    std::mutex mutex;
    std::optional<InvocationInserter> inserter;
    std::optional<EventStatements> statements;  // of the side tables
    Connection connection;

    Impl(const std::string& path, const OpenOptions& options)
        : connection(path, options,
                     {.on_open =
                          [this, max_values = options.max_values_per_skill](SQLite::Database& database) {
                              inserter.emplace(database, max_values);
                              statements.emplace(database);
                          },
                      .on_close =
                          [this] {
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
        SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
        create_side_tables(connection.database(), SideTable::Group::events);
        transaction.commit();
        return work(*statements);
    }

    /// The records of the events, completed and validated.
    std::vector<InvocationRecord> records_of(std::span<const SkillEvent> events) const {
        std::vector<InvocationRecord> records;
        records.reserve(events.size());
        for (std::size_t index = 0; index < events.size(); ++index) {
            const SkillEvent& event = events[index];
            if (event.key.empty() ? needs_key(event.kind) : !is_valid_event_key(event.key)) {
                connection.reject(
                    fmt::format("record {}: key must be 1 to {} bytes of UTF-8 without control characters", index,
                                kMaxEventKeyBytes));
            }
            InvocationRecord& record = records.emplace_back(event.record);
            if (record.invoked_at.empty()) {
                record.invoked_at = format_precise_timestamp(event.at);
            }
            if (event.kind == Kind::session_end) {
                record.skill_name = "-";  // a placeholder: this event has no skill, and is not stored
            }
            if (const std::string fault = validation_error(record); !fault.empty()) {
                connection.reject(fmt::format("record {}: {}", index, fault));
            }
        }
        return records;
    }

    /// Looks up a key, and adds `source` to the sources that reported it.
    std::optional<Result> find_known(std::string_view key, Source source) {
        sql::Statement& query = statements->source_of.with(key);
        std::optional<Result> known;
        if (query.step()) {
            known = Result{.id = query.integer(0), .seen_before = static_cast<Sources>(query.integer(1))};
        }
        query.reset();
        if (known && !has(known->seen_before, source)) {
            statements->add_source.with(key, static_cast<std::int64_t>(source)).run();
        }
        return known;
    }

    void remember(std::string_view key, std::int64_t id, Source source) {
        if (!key.empty()) {
            statements->remember.with(key, id, static_cast<std::int64_t>(source)).run();
            statements->close.with(key).run();
        }
    }

    Result store(std::string_view key, const InvocationRecord& record, Source source) {
        const std::int64_t id = inserter->insert(record);
        remember(key, id, source);
        return {.id = id, .is_new = true};
    }

    /// Stores many invocations at the same time, which is faster than one by one. Stops after the row that ends after
    /// `until`; `results` has an entry for each event that was stored.
    void ingest_invocations(std::span<const SkillEvent> events, std::span<const InvocationRecord> records,
                            Source source, steady_clock::time_point until, std::vector<Result>& results) {
        std::vector<std::size_t> fresh;
        std::vector<const InvocationRecord*> rows;
        std::unordered_map<std::string_view, std::size_t> keys;  // of new invocations, with their index in `results`
        std::vector<std::pair<std::size_t, std::size_t>> repeats;
        const std::size_t base = results.size();
        for (std::size_t index = 0; index < events.size(); ++index) {
            const std::string& key = events[index].key;
            auto known = key.empty() ? std::nullopt : find_known(key, source);
            if (!known && !key.empty()) {
                const auto [first, is_first] = keys.try_emplace(key, results.size());
                if (!is_first) {
                    repeats.emplace_back(results.size(), first->second);
                    results.push_back({.seen_before = static_cast<Sources>(source)});
                    continue;
                }
            }
            if (!known) {
                fresh.push_back(index);
                rows.push_back(&records[index]);
            }
            results.push_back(known.value_or(Result{.is_new = true}));
        }
        const std::vector<std::int64_t> ids = inserter->insert_all(rows, until);
        if (ids.size() < rows.size()) {
            results.resize(base + fresh[ids.size()]);
        }
        for (std::size_t index = 0; index < ids.size(); ++index) {
            results[base + fresh[index]].id = ids[index];
            remember(events[fresh[index]].key, ids[index], source);
        }
        for (const auto& [repeat, first] : repeats) {
            if (repeat < results.size()) {
                results[repeat].id = results[first].id;
            }
        }
    }

    Result ingest_command(const SkillEvent& event, const InvocationRecord& record, Source source) {
        const std::int64_t at = micros(*parse_timestamp(record.invoked_at));
        const std::int64_t tolerance = std::chrono::microseconds(kCommandTolerance).count();
        const auto bit = static_cast<std::int64_t>(source);
        const std::string& session = record.session_id;
        const std::string& skill = record.skill_name;
        if (const auto known = find_known(event.key, source)) {
            // It may have been reported as another kind of event, or before this table existed.
            statements->remember_command.with(session, skill, at, bit, known->id).run();
            return *known;
        }
        Result result;
        sql::Statement& match = statements->command.with(session, skill, at, tolerance, bit);
        if (match.step()) {
            result.id = match.integer(0);
        }
        match.reset();
        if (result.id != 0) {
            sql::Statement& sources = statements->command_sources.with(session, skill, at, tolerance, result.id);
            while (sources.step()) {
                result.seen_before = static_cast<Sources>(result.seen_before | sources.integer(0));
            }
            remember(event.key, result.id, source);
        } else {
            result = store(event.key, record, source);
        }
        statements->remember_command.with(session, skill, at, bit, result.id).run();
        return result;
    }

    Result ingest_start(const SkillEvent& event, Source source) {
        if (const auto known = find_known(event.key, source)) {
            return *known;  // its end was reported first
        }
        statements->open.with(event.key, event.record.skill_name, event.record.session_id, micros(event.at)).run();
        return {};
    }

    Result ingest_end(const SkillEvent& event, InvocationRecord& record, Source source) {
        if (const auto known = find_known(event.key, source)) {
            return *known;
        }
        sql::Statement& query = statements->open_use.with(event.key);
        std::optional<TimePoint> started;
        if (query.step()) {
            started = from_micros(query.integer(0));
        }
        query.reset();
        if (started && !record.duration_seconds) {
            // The clock may have been set in between: back, or forward by years if it was not set at the start.
            const double seconds = std::max(0.0, std::chrono::duration<double>(event.at - *started).count());
            record.duration_seconds = is_valid_duration(seconds) ? std::optional(seconds) : std::nullopt;
        }
        if (!started) {
            started = start_time(event.at, record.duration_seconds.value_or(0.0));
        }
        record.invoked_at = format_precise_timestamp(*started);
        return store(event.key, record, source);
    }

    /// Stores open invocations that will not finish any more as failed.
    void store_unfinished(const std::vector<OpenInvocation>& open, Source source) {
        for (const OpenInvocation& invocation : open) {
            if (find_known(invocation.key, source)) {
                statements->close.with(invocation.key).run();
                continue;
            }
            InvocationRecord record;
            record.skill_name = invocation.skill_name;
            record.session_id = invocation.session_id;
            record.invoked_at = format_precise_timestamp(invocation.started);
            record.error_type = kNeverFinished;
            store(invocation.key, record, source);
        }
    }

    /// Ingests the events after those that have a result: one event, or several consecutive invocations.
    void ingest_next(std::span<const SkillEvent> events, std::span<InvocationRecord> records, Source source,
                     steady_clock::time_point until, std::vector<Result>& results) {
        const std::size_t begin = results.size();
        std::size_t end = begin;
        while (end < events.size() && end - begin < kMaxInvocationsPerBatch && events[end].kind == Kind::invocation) {
            ++end;
        }
        if (end > begin) {
            ingest_invocations(events.subspan(begin, end - begin), records.subspan(begin, end - begin), source, until,
                               results);
        } else if (begin < events.size()) {
            ingest_one(events[begin], records[begin], source, results);
        }
    }

    /// Stops when the write lock was held for `max_lock`.
    std::vector<Result> ingest(std::span<const SkillEvent> events, Source source,
                               std::span<const TranscriptOffset> offsets, steady_clock::duration max_lock);

    void ingest_one(const SkillEvent& event, InvocationRecord& record, Source source, std::vector<Result>& results) {
        switch (event.kind) {
            case Kind::use:
            case Kind::invocation:
                break;  // see ingest_invocations
            case Kind::command:
                results.push_back(ingest_command(event, record, source));
                break;
            case Kind::started:
                results.push_back(ingest_start(event, source));
                break;
            case Kind::finished:
                results.push_back(ingest_end(event, record, source));
                break;
            case Kind::session_end:
                store_unfinished(read_open_invocations(statements->open_in_session.with(
                                     record.session_id, micros(event.at), static_cast<std::int64_t>(kMaxExpired))),
                                 source);
                results.emplace_back();
                break;
        }
    }
};

std::vector<EventStore::Result> EventStore::Impl::ingest(std::span<const SkillEvent> given, Source source,
                                                         std::span<const TranscriptOffset> offsets,
                                                         steady_clock::duration max_lock) {
    std::vector<SkillEvent> converted;
    converted.reserve(given.size());
    std::ranges::transform(given, std::back_inserter(converted), without_evidence);
    const std::span<const SkillEvent> events = converted;
    const std::scoped_lock lock(mutex);
    connection.require_not_closed();
    std::vector<InvocationRecord> records = records_of(events);
    std::vector<Result> results;
    if (events.empty() && offsets.empty()) {
        return results;
    }
    connection.attempt("cannot write to", [&] {
        with_tables([&](EventStatements& side_tables) {
            results.clear();
            SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
            const auto now = steady_clock::now();  // the transaction holds the lock from here on
            const auto until =
                max_lock < steady_clock::time_point::max() - now ? now + max_lock : steady_clock::time_point::max();
            results.reserve(events.size());
            do {
                ingest_next(events, records, source, until, results);
            } while (results.size() < events.size() && steady_clock::now() < until);
            for (const TranscriptOffset& offset : offsets) {
                side_tables.write_offset.with(offset.file, offset.offset).run();
            }
            transaction.commit();
        });
    });
    return results;
}

EventStore::EventStore(const std::string& path, const OpenOptions& options)
    : impl_(std::make_unique<Impl>(path, options)) {}

EventStore::~EventStore() = default;

std::vector<EventStore::Result> EventStore::ingest(std::span<const SkillEvent> events, Source source,
                                                   std::span<const TranscriptOffset> offsets,
                                                   const IngestOptions& /*options*/) {
    return impl_->ingest(events, source, offsets, steady_clock::duration::max());
}

std::vector<EventStore::Result> EventStore::ingest_some(std::span<const SkillEvent> events, Source source,
                                                        steady_clock::duration max_lock) {
    return impl_->ingest(events.first(std::min(events.size(), kMaxEventsPerBatch)), source, {}, max_lock);
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
                return read_open_invocations(
                    tables.open_before.with(micros(before), static_cast<std::int64_t>(kMaxExpired)));
            };
            if (find().empty()) {  // checked without a lock: it is nearly always true
                return std::size_t{0};
            }
            SQLite::Transaction transaction(impl_->connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
            const std::vector<OpenInvocation> open = find();
            impl_->store_unfinished(open, Source::hook);
            transaction.commit();
            return open.size();
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
