// Stored alerts and mutes (session_buddy_alert, session_buddy_mute): what the detector wrote, and what people add to
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/skill_history.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::storage {

/// Fields that are not set match every alert.
struct AlertFilter {
    std::optional<bool> open{};
    std::optional<std::string> skill_name{};
    std::optional<AlertKind> kind{};
    std::optional<TimePoint> from{};  ///< alerts that are open or ended at or after this time
    std::optional<TimePoint> to{};    ///< alerts that were detected before this time
    std::int64_t limit = 100;
    std::int64_t offset = 0;
};

/// What a snapshot shows of the stored alerts.
struct StoredAlerts {
    std::vector<Alert> alerts;  ///< open or ended recently; Alert::muted is not set
    std::vector<Mute> mutes;    ///< those that are over as well
};

/// Writes what people add to alerts. Has its own connection, opened on first use and reopened when the file was
/// replaced; creates no database. Not thread-safe. Every call may throw StorageError (busy, read_only, missing, …), and
/// has then changed nothing. When it returns, its change is durable as a commit of the database is, and running servers
/// see it in their next cycle.
class AlertStore {
  public:
    AlertStore(const std::string& path, std::chrono::milliseconds busy_timeout);
    ~AlertStore();
    AlertStore(const AlertStore&) = delete;
    AlertStore& operator=(const AlertStore&) = delete;

    /// Replaces an earlier acknowledgement. Returns the alert, or nullopt if there is none with this id. `note`: at
    /// most kMaxAlertNote bytes.
    [[nodiscard]] std::optional<Alert> acknowledge(std::int64_t id, std::string_view note, TimePoint at);
    /// Replaces an earlier mute. `until`: nullopt until it is removed. `reason`: at most kMaxAlertNote bytes.
    Mute mute(std::string_view skill_name, std::optional<TimePoint> until, std::string_view reason, TimePoint at);
    /// Returns false if the skill is not muted at `at`.
    bool unmute(std::string_view skill_name, TimePoint at);

    /// The next call reopens the database.
    void close() noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Reads alerts without writing; a database that has no alerts yet gives an empty page. For one call; the server uses
/// HistoryQueries::alerts(). Throws StorageError.
[[nodiscard]] AlertPage read_alerts(const std::string& path, const AlertFilter& filter, TimePoint now,
                                    std::chrono::milliseconds busy_timeout);

}  // namespace session_buddy::storage
