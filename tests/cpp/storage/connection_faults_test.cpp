// What other programs may do to an open database, done to every user of Connection: each works again once the fault is
// over, the database is intact, and no acknowledged row is lost. tests/python/faults does the same with processes.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>

#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/alert_store.hpp"
#include "session_buddy/storage/corrections.hpp"
#include "session_buddy/storage/database.hpp"
#include "session_buddy/storage/event_store.hpp"
#include "session_buddy/storage/follower.hpp"
#include "session_buddy/storage/history_queries.hpp"
#include "session_buddy/storage/hourly_rollup.hpp"
#include "session_buddy/storage/pruner.hpp"
#include "session_buddy/storage/skills_store.hpp"
#include "support/privileges.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::storage {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kBusyTimeout{200};
/// Rows of this day are old enough to be pruned, and their hours are over.
constexpr const char* kOld = "2026-01-01T10:00:00Z";
constexpr const char* kNew = "2026-02-10T11:00:00Z";
const TimePoint kStartedAt = parse_timestamp("2026-02-10T12:30:00Z").value();
const TimePoint kCutoff = parse_timestamp("2026-02-01T00:00:00Z").value();

/// A user of a connection. use() throws StorageError if it cannot do its work; it returns how many invocations it has
/// acknowledged.
class User {
  public:
    virtual ~User() = default;
    virtual int use() = 0;
};

InvocationRecord plain_record(const std::string& at = kNew) {
    InvocationRecord made;
    made.skill_name = "kept";
    made.invoked_at = at;
    made.session_id = "s1";
    made.completed = true;
    return made;
}

/// Reads, and writes what a cycle writes.
class FollowerUser final : public User {
  public:
    explicit FollowerUser(const std::string& path) : follower_(path, {.poll_busy_timeout = kBusyTimeout}) {
        follower_.open();
    }
    int use() override {
        static_cast<void>(follower_.poll(kStartedAt));
        const std::array cache{CacheRow{.skill_name = "kept", .last_invocation_at = kStartedAt}};
        follower_.writer()->write({.cache = cache}, kStartedAt);
        return 0;
    }

  private:
    Follower follower_;
};

class TotalsUser final : public User {
  public:
    explicit TotalsUser(const std::string& path) : follower_(path, {.poll_busy_timeout = kBusyTimeout}) {
        follower_.open();
    }
    int use() override {
        static_cast<void>(follower_.poll(kStartedAt));
        TotalsStore* const store = follower_.totals();
        while (totals_.advance(*store, std::chrono::steady_clock::now() + kBusyTimeout)) {
        }
        const TotalsWrites writes = totals_.pending();
        totals_.confirm_written(follower_.writer()->write({.store = store, .totals = &writes}, kStartedAt).totals);
        return 0;
    }

  private:
    Follower follower_;
    TotalsTracker totals_;
};

class StoreUser final : public User {
  public:
    explicit StoreUser(const std::string& path) : store_(path, kBusyTimeout) {}
    int use() override {
        store_.store(plain_record());
        return 1;
    }

  private:
    SkillsStore store_;
};

class EventStoreUser final : public User {
  public:
    explicit EventStoreUser(const std::string& path) : store_(path, {.busy_timeout = kBusyTimeout}) {}
    int use() override {
        SkillEvent event{.key = "key-" + std::to_string(++number_), .record = plain_record()};
        event.evidence.started = {EvidenceSource::hook, kStartedAt};
        event.evidence.is_masked = true;
        event.evidence.result.outcome = {EvidenceSource::hook, {Outcome::completed, ""}};
        store_.ingest({&event, 1}, Source::hook);
        return 1;
    }

  private:
    EventStore store_;
    int number_ = 0;
};

class QueriesUser final : public User {
  public:
    explicit QueriesUser(const std::string& path) : queries_(path, kBusyTimeout, [] { return false; }) {}
    int use() override {
        static_cast<void>(queries_.episodes({}));
        return 0;
    }

  private:
    HistoryQueries queries_;
};

/// Each use() goes on with one step, so that the fault comes between two of them, and starts again when all are done.
class RollupUser final : public User {
  public:
    explicit RollupUser(const std::string& path) : rollup_(path, kBusyTimeout) {}
    int use() override {
        rollup_.step(kStartedAt);
        return 0;
    }

  private:
    HourlyRollup rollup_;
};

class PrunerUser final : public User {
  public:
    explicit PrunerUser(std::string path) : path_(std::move(path)) {}
    int use() override {
        if (!pruner_) {
            pruner_.emplace(path_, kCutoff, kBusyTimeout);
        }
        try {
            if (!pruner_->step(kStartedAt)) {
                pruner_.reset();
            }
        } catch (const StorageError&) {
            pruner_.reset();  // a new one continues
            throw;
        }
        return 0;
    }

  private:
    std::string path_;
    std::optional<Pruner> pruner_;
};

/// Opens the database for each correction.
class CorrectionsUser final : public User {
  public:
    explicit CorrectionsUser(std::string path) : path_(std::move(path)) {}
    int use() override {
        static_cast<void>(rename_skill(path_, "old", "older", options()));
        static_cast<void>(rename_skill(path_, "older", "old", options()));
        return 0;
    }

  private:
    static CorrectionOptions options() {
        CorrectionOptions made;
        made.busy_timeout = kBusyTimeout;
        return made;
    }

    std::string path_;
};

/// Mutes another skill each time, which counts as an acknowledged row.
class AlertStoreUser final : public User {
  public:
    explicit AlertStoreUser(const std::string& path) : store_(path, kBusyTimeout) {}
    int use() override {
        store_.mute("skill-" + std::to_string(++number_), std::nullopt, "", kStartedAt);
        return 1;
    }

  private:
    AlertStore store_;
    int number_ = 0;
};

template <typename Kind>
std::unique_ptr<User> make(const std::string& path) {
    return std::make_unique<Kind>(path);
}

/// Rows that are not pruned, renamed or deleted by any user: those that must not be lost.
constexpr const char* kKept = "SELECT count(*) FROM skill_invocation WHERE skill_name = 'kept'";
constexpr const char* kKeptAndMuted =
    "SELECT (SELECT count(*) FROM skill_invocation WHERE skill_name = 'kept')"
    " + (SELECT count(*) FROM session_buddy_mute)";

struct UserKind {
    const char* name;
    std::unique_ptr<User> (*make)(const std::string& path);
    const char* count_acknowledged = kKept;
};
constexpr std::array kUsers{UserKind{"follower", &make<FollowerUser>},
                            UserKind{"totals", &make<TotalsUser>},
                            UserKind{"store", &make<StoreUser>},
                            UserKind{"event_store", &make<EventStoreUser>},
                            UserKind{"history_queries", &make<QueriesUser>},
                            UserKind{"hourly_rollup", &make<RollupUser>},
                            UserKind{"pruner", &make<PrunerUser>},
                            UserKind{"corrections", &make<CorrectionsUser>},
                            UserKind{"alert_store", &make<AlertStoreUser>, kKeptAndMuted}};

/// A database with old rows, and a user that has used it.
class Faults {
  public:
    explicit Faults(const UserKind& kind) : count_acknowledged(kind.count_acknowledged) {
        fill(path);
        user = kind.make(path);
        acknowledge();
        acknowledged += user->use();
        acknowledge();
    }

    /// Another writer of this process stores a row, which is only in the log: the user keeps the database open, so that
    /// closing the writer does not checkpoint.
    void acknowledge() {
        SQLite::Database database(path, SQLite::OPEN_READWRITE, 5000);
        disable_checkpoint(database);
        database.exec(test::insertion("kept", kNew));
        ++acknowledged;
    }
    void remove(std::initializer_list<const char*> suffixes) const {
        for (const char* suffix : suffixes) {
            fs::remove(path + suffix);
        }
    }
    /// A copy of the database with all acknowledged rows.
    [[nodiscard]] std::string copy() const {
        std::string name = folder.file("copy.db");
        test::execute(path, "VACUUM INTO " + test::quoted(name));
        return name;
    }
    /// Uses the database until that succeeds, as threads of the server repeat their work.
    void recover() {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        for (std::string reason;;) {
            try {
                acknowledged += user->use();
                return;
            } catch (const StorageError& error) {
                reason = error.what();
            }
            if (std::chrono::steady_clock::now() >= deadline) {
                FAIL() << reason;
            }
            std::this_thread::sleep_for(milliseconds{5});
        }
    }
    /// Work goes on, and everything that was acknowledged is there.
    void expect_nothing_lost() {
        for (int times = 0; times < 4; ++times) {
            recover();
        }
        user.reset();
        EXPECT_EQ(test::query_one(path, count_acknowledged), std::to_string(acknowledged));
        EXPECT_EQ(test::query_one(path, "PRAGMA integrity_check"), "ok");
    }

    static void fill(const std::string& path) {
        static_cast<void>(open_database(path, {}));
        for (const char* skill : {"old", "old", "other"}) {
            test::execute(path, test::insertion(skill, kOld));
        }
    }
    static void disable_checkpoint(SQLite::Database& database) { database.exec("PRAGMA wal_autocheckpoint = 0"); }

    test::TempDir folder;
    std::string path = folder.file("skills.db");
    const char* count_acknowledged;
    std::unique_ptr<User> user;
    int acknowledged = 0;
};

void remove_file(Faults& faults) {
    const std::string copy = faults.copy();
    const int before = faults.acknowledged;
    faults.remove({"", "-wal", "-shm"});
    try {
        faults.user->use();  // creates a new database, or says that there is none
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::missing) << error.what();
    }
    faults.remove({"", "-wal", "-shm"});
    fs::rename(copy, faults.path);
    faults.acknowledged = before;
}

void replace_file(Faults& faults) {
    const std::string copy = faults.copy();
    faults.remove({"-wal", "-shm"});
    fs::rename(copy, faults.path);
}

void empty_file(Faults& faults) {
    const std::string copy = faults.copy();
    faults.remove({"-wal", "-shm"});
    fs::resize_file(faults.path, 0);
    try {
        faults.user->use();
    } catch (const StorageError&) {  // it is missing, or still being created
    }
    faults.remove({"", "-wal", "-shm"});
    fs::rename(copy, faults.path);
}

void lock_file(Faults& faults) {
    SQLite::Database other(faults.path, SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    try {
        faults.acknowledged += faults.user->use();  // some only read
    } catch (const StorageError& error) {
        EXPECT_EQ(error.code(), StorageErrc::busy) << error.what();
    }
    other.exec("COMMIT");
}

void protect_file(Faults& faults) {
    const test::WriteProtected file(faults.path);
    try {
        faults.acknowledged += faults.user->use();  // a connection that is open can go on
    } catch (const StorageError& error) {
        EXPECT_TRUE(error.code() == StorageErrc::read_only || error.code() == StorageErrc::io) << error.what();
    }
}

void damage_file(Faults& faults) {
    const std::string copy = faults.copy();
    std::ofstream(faults.path, std::ios::binary | std::ios::trunc) << std::string(20000, 'x');
    for (int times = 0; times < 2; ++times) {
        try {
            faults.user->use();  // may still read pages that it has cached
        } catch (const StorageError&) {
        }
    }
    faults.remove({"-wal", "-shm"});
    fs::rename(copy, faults.path);
}

struct Fault {
    const char* name;
    std::function<void(Faults&)> cause;
};
const std::array kFaults{
    Fault{"file_removed", &remove_file},
    Fault{"file_replaced", &replace_file},
    Fault{"file_emptied", &empty_file},
    Fault{"wal_removed", [](Faults& faults) { faults.remove({"-wal"}); }},
    Fault{"shm_removed", [](Faults& faults) { faults.remove({"-shm"}); }},
    Fault{"wal_and_shm_removed", [](Faults& faults) { faults.remove({"-wal", "-shm"}); }},
    Fault{"locked", &lock_file},
    Fault{"read_only", &protect_file},
    Fault{"damaged", &damage_file},
};

class ConnectionFaults : public testing::TestWithParam<std::tuple<UserKind, Fault>> {};

TEST_P(ConnectionFaults, work_goes_on_and_no_acknowledged_row_is_lost) {
    const auto& [kind, fault] = GetParam();
    Faults faults(kind);
    fault.cause(faults);
    faults.expect_nothing_lost();
}

INSTANTIATE_TEST_SUITE_P(EveryUser, ConnectionFaults,
                         testing::Combine(testing::ValuesIn(kUsers), testing::ValuesIn(kFaults)),
                         [](const auto& instance) {
                             return std::string(std::get<0>(instance.param).name) + "_" +
                                    std::get<1>(instance.param).name;
                         });

/// A log that is removed after each step of one user, while others use the database, too.
class RemovedLogs : public testing::TestWithParam<std::tuple<UserKind, bool>> {};

TEST_P(RemovedLogs, lose_no_acknowledged_row_between_any_two_steps) {
    const auto& [kind, with_index] = GetParam();
    Faults faults(kind);
    for (int step = 0; step < 5; ++step) {
        faults.acknowledge();
        faults.remove({"-wal"});
        if (with_index) {
            faults.remove({"-shm"});
        }
        faults.recover();
    }
    faults.expect_nothing_lost();
}

INSTANTIATE_TEST_SUITE_P(EveryUser, RemovedLogs, testing::Combine(testing::ValuesIn(kUsers), testing::Bool()),
                         [](const auto& instance) {
                             return std::string(std::get<0>(instance.param).name) +
                                    (std::get<1>(instance.param) ? "_with_the_index" : "");
                         });

}  // namespace
}  // namespace session_buddy::storage
