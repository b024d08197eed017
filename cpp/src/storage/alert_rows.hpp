// The rows of session_buddy_alert and session_buddy_mute, read and written on the caller's connection. All functions
// may throw SQLite::Exception.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "session_buddy/storage/alert_store.hpp"
#include "sql.hpp"

namespace session_buddy::storage {

/// A page of the alerts that match; empty if the tables are missing. `now` decides which mutes are in effect.
[[nodiscard]] AlertPage select_alerts(SQLite::Database& database, const AlertFilter& filter, TimePoint now);
[[nodiscard]] std::optional<Alert> select_alert(SQLite::Database& database, std::int64_t id, TimePoint now);
/// The open alerts, those that ended at or after `since`, and all mutes.
[[nodiscard]] StoredAlerts select_current_alerts(SQLite::Database& database, TimePoint since);

/// A number that every write to the two tables increments, in the same transaction; 0 if there was none. Readers
/// compare it to learn whether another connection has written.
inline constexpr std::string_view kAlertChangesKey = "alert_changes";
void count_alert_change(SQLite::Database& database);

/// For the writer of cycles. Must be called in a write transaction.
class AlertRowWriter {
  public:
    explicit AlertRowWriter(SQLite::Database& database);

    /// Inserts the alerts that are not stored, and updates those that are stored as open. An alert that ended stays as
    /// it is, and so does what people added, so that several servers can write the same alerts. An open alert of the
    /// same skill and kind with another time of detection becomes this one: a detector that learned again found it
    /// again. Skips skills that are no longer in skill_metrics.
    void write(std::span<const Alert> alerts);

  private:
    SQLite::Database& database_;
    sql::Statement take_over_;
    sql::Statement put_;
};

}  // namespace session_buddy::storage
