// Pairs, recognises and stores events; all that decides whether a run is new is in this file.
#include "session_buddy/storage/event_store.hpp"

#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "event_tables.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "sql.hpp"
#include "store_connection.hpp"

namespace session_buddy::storage {
namespace {

using Kind = SkillEvent::Kind;
using std::chrono::steady_clock;

constexpr const char* kNeverFinished = "tool_error";
/// Of events that wait, those that a transaction with a limit looks at. It stores about so many in kMaxWriteLock.
constexpr std::size_t kMaxTakenTogether = 2000;
/// Invocations whose aggregates are written together, between two looks at the clock.
constexpr std::size_t kMaxInvocationsTogether = 500;

std::int64_t micros(TimePoint at) {
    return std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count();
}

TimePoint from_micros(std::int64_t count) {
    return TimePoint(std::chrono::microseconds(count));
}

/// What SQLite says of a table or column that is not there.
bool is_missing_table(const SQLite::Exception& error) {
    return error.getErrorCode() == SQLITE_ERROR;
}

/// Prepared when it is needed: a hook needs few of them, and its user waits.
class Deferred {
  public:
    Deferred(SQLite::Database& database, const char* text) : database_(database), text_(text) {}

    sql::Statement& get() {
        if (!statement_) {
            statement_.emplace(database_, text_);
        }
        return *statement_;
    }
    template <typename... Values>
    sql::Statement& with(const Values&... values) {
        return get().with(values...);
    }

  private:
    SQLite::Database& database_;
    const char* text_;
    std::optional<sql::Statement> statement_;
};

struct SideTables {
    explicit SideTables(SQLite::Database& database)
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
          // Of the runs of this name that this source has not told of yet, the one nearest in time.
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
          mark(database,
               "INSERT INTO session_buddy_transcript (file, offset) VALUES (?1, ?2)"
               " ON CONFLICT (file) DO UPDATE SET offset = excluded.offset"),
          marks(database, "SELECT file, offset FROM session_buddy_transcript") {}

    Deferred source_of;
    Deferred remember;
    Deferred add_source;
    Deferred open;
    Deferred open_use;
    Deferred close;
    Deferred open_in_session;
    Deferred open_before;
    Deferred command;
    Deferred command_sources;
    Deferred remember_command;
    Deferred mark;
    Deferred marks;
};

struct OpenUse {
    std::string key;
    std::string skill_name;
    std::string session_id;
    TimePoint started;
};

std::vector<OpenUse> read_open_uses(sql::Statement& query) {
    std::vector<OpenUse> uses;
    while (query.step()) {
        uses.push_back({.key = std::string(query.text(0)),
                        .skill_name = std::string(query.text(1)),
                        .session_id = std::string(query.text(2)),
                        .started = from_micros(query.integer(3))});
    }
    return uses;
}

bool needs_key(Kind kind) {
    return kind == Kind::command || kind == Kind::started || kind == Kind::finished;
}

}  // namespace

struct EventStore::Impl {
    /// Of one connection; the statements are made when the tables are there.
    struct Prepared {
        std::optional<SideTables> tables;
    };

    std::mutex mutex;
    Prepared* prepared = nullptr;
    StoreConnection connection;

    Impl(const std::string& path, const OpenOptions& options)
        : connection(path, options, [this](SQLite::Database& /*database*/) {
              auto made = std::make_shared<Prepared>();
              prepared = made.get();
              return made;
          }) {}

    SideTables& tables() {
        if (!prepared->tables) {
            prepared->tables.emplace(connection.database());
        }
        return *prepared->tables;
    }

    /// Runs `work` on the side tables, once more where they are not there: nobody has needed them yet, or another
    /// program has put a copy of the database without them in its place.
    template <typename Work>
    decltype(auto) with_tables(const Work& work) {
        try {
            return work(tables());
        } catch (const SQLite::Exception& error) {
            if (!is_missing_table(error)) {
                throw;
            }
        }
        prepared->tables.reset();
        SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
        make_event_tables(connection.database());
        transaction.commit();
        return work(tables());
    }

    /// The records of the events, complete and checked.
    std::vector<InvocationRecord> records_of(std::span<const SkillEvent> events) const {
        std::vector<InvocationRecord> records;
        records.reserve(events.size());
        for (std::size_t index = 0; index < events.size(); ++index) {
            const SkillEvent& event = events[index];
            if (event.key.empty() ? needs_key(event.kind) : !is_valid_event_key(event.key)) {
                connection.refuse(
                    fmt::format("record {}: key must be 1 to {} bytes of UTF-8 without control characters", index,
                                kMaxEventKeyBytes));
            }
            InvocationRecord& record = records.emplace_back(event.record);
            if (record.invoked_at.empty()) {
                record.invoked_at = format_precise_timestamp(event.at);
            }
            if (event.kind == Kind::session_end) {
                record.skill_name = "-";  // it has none, and none is stored
            }
            if (const std::string fault = fault_in(record); !fault.empty()) {
                connection.refuse(fmt::format("record {}: {}", index, fault));
            }
        }
        return records;
    }

    /// What is known of a key; marks that `source` has told of it, too.
    std::optional<Outcome> recognise(std::string_view key, Source source) {
        sql::Statement& query = tables().source_of.with(key);
        std::optional<Outcome> known;
        if (query.step()) {
            known = Outcome{.id = query.integer(0), .seen_before = static_cast<Sources>(query.integer(1))};
        }
        query.reset();
        if (known && !has(known->seen_before, source)) {
            tables().add_source.with(key, static_cast<std::int64_t>(source)).run();
        }
        return known;
    }

    void remember(std::string_view key, std::int64_t id, Source source) {
        if (!key.empty()) {
            tables().remember.with(key, id, static_cast<std::int64_t>(source)).run();
            tables().close.with(key).run();
        }
    }

    Outcome store(std::string_view key, const InvocationRecord& record, Source source) {
        const std::int64_t id = connection.insert(record);
        remember(key, id, source);
        return {.id = id, .is_new = true};
    }

    /// Many at a time, which is quicker than one by one. Stops after the row with which `until` has passed; how many
    /// events were taken shows in `outcomes`.
    void take_invocations(std::span<const SkillEvent> events, std::span<const InvocationRecord> records, Source source,
                          steady_clock::time_point until, std::vector<Outcome>& outcomes) {
        std::vector<std::size_t> fresh;
        std::vector<const InvocationRecord*> rows;
        std::unordered_map<std::string_view, std::size_t> keys;  // of fresh ones, and where they stand in `outcomes`
        std::vector<std::pair<std::size_t, std::size_t>> repeats;
        const std::size_t base = outcomes.size();
        for (std::size_t index = 0; index < events.size(); ++index) {
            const std::string& key = events[index].key;
            auto known = key.empty() ? std::nullopt : recognise(key, source);
            if (!known && !key.empty()) {
                const auto [first, is_first] = keys.try_emplace(key, outcomes.size());
                if (!is_first) {
                    repeats.emplace_back(outcomes.size(), first->second);
                    outcomes.push_back({.seen_before = static_cast<Sources>(source)});
                    continue;
                }
            }
            if (!known) {
                fresh.push_back(index);
                rows.push_back(&records[index]);
            }
            outcomes.push_back(known.value_or(Outcome{.is_new = true}));
        }
        const std::vector<std::int64_t> ids = connection.insert_all(rows, until);
        if (ids.size() < rows.size()) {
            outcomes.resize(base + fresh[ids.size()]);
        }
        for (std::size_t place = 0; place < ids.size(); ++place) {
            outcomes[base + fresh[place]].id = ids[place];
            remember(events[fresh[place]].key, ids[place], source);
        }
        for (const auto& [repeat, first] : repeats) {
            if (repeat < outcomes.size()) {
                outcomes[repeat].id = outcomes[first].id;
            }
        }
    }

    Outcome take_command(const SkillEvent& event, const InvocationRecord& record, Source source) {
        const std::int64_t at = micros(*parse_timestamp(record.invoked_at));
        const std::int64_t tolerance = std::chrono::microseconds(kCommandTolerance).count();
        const auto bit = static_cast<std::int64_t>(source);
        const auto session = std::string_view(record.session_id);
        const auto skill = std::string_view(record.skill_name);
        if (const auto known = recognise(event.key, source)) {
            // It may have been told as another kind of event, or before there was this table.
            tables().remember_command.with(session, skill, at, bit, known->id).run();
            return *known;
        }
        Outcome outcome;
        sql::Statement& match = tables().command.with(session, skill, at, tolerance, bit);
        if (match.step()) {
            outcome.id = match.integer(0);
        }
        match.reset();
        if (outcome.id != 0) {
            sql::Statement& sources = tables().command_sources.with(session, skill, at, tolerance, outcome.id);
            while (sources.step()) {
                outcome.seen_before = static_cast<Sources>(outcome.seen_before | sources.integer(0));
            }
            remember(event.key, outcome.id, source);
        } else {
            outcome = store(event.key, record, source);
        }
        tables().remember_command.with(session, skill, at, bit, outcome.id).run();
        return outcome;
    }

    Outcome take_start(const SkillEvent& event, Source source) {
        if (const auto known = recognise(event.key, source)) {
            return *known;  // its end came first
        }
        tables()
            .open
            .with(std::string_view(event.key), std::string_view(event.record.skill_name),
                  std::string_view(event.record.session_id), micros(event.at))
            .run();
        return {};
    }

    Outcome take_end(const SkillEvent& event, InvocationRecord& record, Source source) {
        if (const auto known = recognise(event.key, source)) {
            return *known;
        }
        sql::Statement& query = tables().open_use.with(std::string_view(event.key));
        std::optional<TimePoint> started;
        if (query.step()) {
            started = from_micros(query.integer(0));
        }
        query.reset();
        if (started && !record.duration_seconds) {
            // The clock may have been set in between: back, or forth by years where it was not set before.
            const double seconds = std::max(0.0, std::chrono::duration<double>(event.at - *started).count());
            record.duration_seconds = is_valid_duration(seconds) ? std::optional(seconds) : std::nullopt;
        }
        if (!started) {
            started = start_time(event.at, record.duration_seconds.value_or(0.0));
        }
        record.invoked_at = format_precise_timestamp(*started);
        return store(event.key, record, source);
    }

    /// Uses that will not be finished any more.
    void give_up(const std::vector<OpenUse>& uses, Source source) {
        for (const OpenUse& use : uses) {
            if (recognise(use.key, source)) {
                tables().close.with(std::string_view(use.key)).run();
                continue;
            }
            InvocationRecord record;
            record.skill_name = use.skill_name;
            record.session_id = use.session_id;
            record.invoked_at = format_precise_timestamp(use.started);
            record.error_type = kNeverFinished;
            store(use.key, record, source);
        }
    }

    /// What follows those that have their outcomes: one event, or some invocations in a row.
    void take_next(std::span<const SkillEvent> events, std::span<InvocationRecord> records, Source source,
                   steady_clock::time_point until, std::vector<Outcome>& outcomes) {
        const std::size_t begin = outcomes.size();
        std::size_t end = begin;
        while (end < events.size() && end - begin < kMaxInvocationsTogether && events[end].kind == Kind::invocation) {
            ++end;
        }
        if (end > begin) {
            take_invocations(events.subspan(begin, end - begin), records.subspan(begin, end - begin), source, until,
                             outcomes);
        } else if (begin < events.size()) {
            take_one(events[begin], records[begin], source, outcomes);
        }
    }

    /// Stops where the write lock was held for `max_lock`.
    std::vector<Outcome> take(std::span<const SkillEvent> events, Source source, std::span<const TranscriptMark> marks,
                              steady_clock::duration max_lock);

    void take_one(const SkillEvent& event, InvocationRecord& record, Source source, std::vector<Outcome>& outcomes) {
        switch (event.kind) {
            case Kind::invocation:
                break;  // many at a time
            case Kind::command:
                outcomes.push_back(take_command(event, record, source));
                break;
            case Kind::started:
                outcomes.push_back(take_start(event, source));
                break;
            case Kind::finished:
                outcomes.push_back(take_end(event, record, source));
                break;
            case Kind::session_end:
                give_up(
                    read_open_uses(tables().open_in_session.with(std::string_view(record.session_id), micros(event.at),
                                                                 static_cast<std::int64_t>(kMaxExpired))),
                    source);
                outcomes.emplace_back();
                break;
        }
    }
};

std::vector<EventStore::Outcome> EventStore::Impl::take(std::span<const SkillEvent> events, Source source,
                                                        std::span<const TranscriptMark> marks,
                                                        steady_clock::duration max_lock) {
    const std::scoped_lock lock(mutex);
    connection.require_open();
    std::vector<InvocationRecord> records = records_of(events);
    std::vector<Outcome> outcomes;
    if (events.empty() && marks.empty()) {
        return outcomes;
    }
    connection.attempt("cannot write to", [&] {
        with_tables([&](SideTables& side_tables) {
            outcomes.clear();
            SQLite::Transaction transaction(connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
            const auto now = steady_clock::now();  // from here on it holds the lock
            const auto until =
                max_lock < steady_clock::time_point::max() - now ? now + max_lock : steady_clock::time_point::max();
            outcomes.reserve(events.size());
            do {
                take_next(events, records, source, until, outcomes);
            } while (outcomes.size() < events.size() && steady_clock::now() < until);
            for (const TranscriptMark& mark : marks) {
                side_tables.mark.with(std::string_view(mark.file), mark.offset).run();
            }
            transaction.commit();
        });
    });
    return outcomes;
}

EventStore::EventStore(const std::string& path, const OpenOptions& options)
    : impl_(std::make_unique<Impl>(path, options)) {}

EventStore::~EventStore() = default;

std::vector<EventStore::Outcome> EventStore::take(std::span<const SkillEvent> events, Source source,
                                                  std::span<const TranscriptMark> marks) {
    return impl_->take(events, source, marks, steady_clock::duration::max());
}

std::vector<EventStore::Outcome> EventStore::take_some(std::span<const SkillEvent> events, Source source,
                                                       steady_clock::duration max_lock) {
    return impl_->take(events.first(std::min(events.size(), kMaxTakenTogether)), source, {}, max_lock);
}

void EventStore::set_durability(Durability durability) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.require_open();
    impl_->connection.attempt("cannot set up",
                              [&] { storage::set_durability(impl_->connection.database(), durability); });
}

std::size_t EventStore::expire(TimePoint before) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.require_open();
    return impl_->connection.attempt("cannot write to", [&] {
        const auto give_up_old = [&](SideTables& tables) {
            const auto find = [&] {
                return read_open_uses(tables.open_before.with(micros(before), static_cast<std::int64_t>(kMaxExpired)));
            };
            if (find().empty()) {  // without a lock: so it is nearly always
                return std::size_t{0};
            }
            SQLite::Transaction transaction(impl_->connection.database(), SQLite::TransactionBehavior::IMMEDIATE);
            const std::vector<OpenUse> uses = find();
            impl_->give_up(uses, Source::hook);
            transaction.commit();
            return uses.size();
        };
        if (!impl_->prepared->tables &&
            sql::query_integer(impl_->connection.database(),
                               "SELECT count(*) FROM sqlite_master WHERE name = 'session_buddy_open_use'") == 0) {
            return std::size_t{0};  // nobody has told of a start, and the table is not made for this
        }
        return impl_->with_tables(give_up_old);
    });
}

std::map<std::string, std::int64_t> EventStore::marks() {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.require_open();
    return impl_->connection.attempt("cannot read", [&] {
        return impl_->with_tables([](SideTables& tables) {
            std::map<std::string, std::int64_t> marks;
            sql::Statement& query = tables.marks.get();
            query.reset();
            while (query.step()) {
                marks.emplace(query.text(0), query.integer(1));
            }
            return marks;
        });
    });
}

void EventStore::close() noexcept {
    const std::scoped_lock lock(impl_->mutex);
    impl_->connection.close();
}

}  // namespace session_buddy::storage
