// Reads what is known about recorded and open invocations, with the evidence behind it (`session-buddy explain`).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/evidence.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/event_store.hpp"

namespace session_buddy::storage {

struct RecordedInvocation {
    std::int64_t id = 0;        ///< of the row; 0 while the invocation is open
    std::string key;            ///< the dedup key; empty if it was recorded without one
    EventStore::Values values;  ///< of an open invocation: name and session, and `invoked_at` its start
    Sources seen_by = 0;        ///< 0 for an open invocation, or one without a key
    /// nullopt if it has no key, or an earlier version recorded it.
    std::optional<Evidence> evidence{};
};

/// Opens the database read-only for each call: nothing is created, migrated or recovered. Every call may throw
/// StorageError.
class EvidenceReader {
  public:
    static constexpr std::size_t kMaxInvocations = 1000;

    EvidenceReader(std::string path, std::chrono::milliseconds busy_timeout);

    [[nodiscard]] std::optional<RecordedInvocation> find(std::int64_t id) const;
    /// The rows stored last, the newest one first: at most `count`, and at most kMaxInvocations. `skill_name`: empty
    /// for all skills.
    [[nodiscard]] std::vector<RecordedInvocation> last(std::size_t count, std::string_view skill_name = {}) const;
    /// The invocations that are open, the latest start first, limited likewise.
    [[nodiscard]] std::vector<RecordedInvocation> open(std::size_t count, std::string_view skill_name = {}) const;

  private:
    template <typename Query>
    [[nodiscard]] std::vector<RecordedInvocation> read(const Query& query) const;

    std::string path_;
    std::chrono::milliseconds busy_timeout_;
};

}  // namespace session_buddy::storage
