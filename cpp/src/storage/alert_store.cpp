// Each command is one transaction that also increments the number by which servers notice it.
#include "session_buddy/storage/alert_store.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>

#include <string>

#include "alert_rows.hpp"
#include "connection.hpp"
#include "session_buddy/core/alert_command.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/storage/history_queries.hpp"
#include "side_tables.hpp"

namespace session_buddy::storage {
namespace {}  // namespace

struct AlertStore::Impl {
    Connection connection;

    Impl(const std::string& path, std::chrono::milliseconds busy_timeout)
        : connection(path, {.busy_timeout = busy_timeout, .create = false, .durability = Durability::power}, {}) {}

    /// Runs `work` in a write transaction, which is committed only if it changed a row.
    template <typename Work>
    auto write(const Work& work) {
        return connection.attempt("cannot write the alerts of", [&] {
            SQLite::Database& database = connection.database();
            SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
            create_side_tables(database, SideTable::Group::state);
            create_side_tables(database, SideTable::Group::alerts);
            const int before = sqlite3_total_changes(database.getHandle());
            auto result = work(database);
            if (sqlite3_total_changes(database.getHandle()) != before) {
                count_alert_change(database);
                transaction.commit();
            }
            return result;
        });
    }

    void require_valid(std::string_view text, std::string_view what) const {
        if (!is_valid_alert_note(text)) {
            connection.reject(fmt::format("the {} has {} bytes; at most {}, without control characters, are accepted",
                                          what, text.size(), kMaxAlertNote));
        }
    }
};

AlertStore::AlertStore(const std::string& path, std::chrono::milliseconds busy_timeout)
    : impl_(std::make_unique<Impl>(path, busy_timeout)) {}

AlertStore::~AlertStore() = default;

std::optional<Alert> AlertStore::acknowledge(std::int64_t id, std::string_view note, TimePoint at) {
    impl_->require_valid(note, "note");
    return impl_->write([&](SQLite::Database& database) {
        sql::Statement(database, "UPDATE session_buddy_alert SET acknowledged_us = ?2, note = ?3 WHERE id = ?1")
            .with(id, micros_of(at), note)
            .run();
        return select_alert(database, id, at);
    });
}

Mute AlertStore::mute(std::string_view skill_name, std::optional<TimePoint> until, std::string_view reason,
                      TimePoint at) {
    impl_->require_valid(reason, "reason");
    if (!is_valid_skill_name(skill_name)) {
        impl_->connection.reject(fmt::format("the skill name {}", kSkillNameRule));
    }
    return impl_->write([&](SQLite::Database& database) {
        sql::Statement(database, "DELETE FROM session_buddy_mute WHERE until_us <= ?1").with(micros_of(at)).run();
        sql::Statement(database,
                       "INSERT OR REPLACE INTO session_buddy_mute (skill_name, muted_us, until_us, reason)"
                       " VALUES (?1, ?2, ?3, ?4)")
            .with(skill_name, micros_of(at), micros_of(until), reason)
            .run();
        return Mute{
            .skill_name = std::string(skill_name), .muted_at = at, .until = until, .reason = std::string(reason)};
    });
}

bool AlertStore::unmute(std::string_view skill_name, TimePoint at) {
    return impl_->write([&](SQLite::Database& database) {
        sql::Statement(database,
                       "DELETE FROM session_buddy_mute WHERE skill_name = ?1 AND (until_us IS NULL OR until_us > ?2)")
            .with(skill_name, micros_of(at))
            .run();
        const bool removed = sqlite3_changes(database.getHandle()) > 0;
        sql::Statement(database, "DELETE FROM session_buddy_mute WHERE until_us <= ?1").with(micros_of(at)).run();
        return removed;
    });
}

void AlertStore::close() noexcept {
    impl_->connection.close();
}

AlertPage read_alerts(const std::string& path, const AlertFilter& filter, TimePoint now,
                      std::chrono::milliseconds busy_timeout) {
    return HistoryQueries(path, busy_timeout, [] { return false; }).alerts(filter, now);
}

}  // namespace session_buddy::storage
