// Opens a database: inspects the file, then creates, migrates or just opens it, and configures the connection.
#include "session_buddy/storage/database.hpp"

#include <SQLiteCpp/Database.h>
#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "file_state.hpp"
#include "guarded_connection.hpp"
#include "inspection.hpp"
#include "migrations.hpp"
#include "migrator.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/options.hpp"
#include "sql.hpp"

namespace session_buddy::storage {
namespace {

[[noreturn]] void cannot_open(StorageErrc code, const std::string& path, std::string_view reason) {
    throw StorageError(code, path, fmt::format("cannot open database \"{}\": {}", path, reason));
}

void check_path(const std::string& path) {
    if (path.empty() || path.find('\0') != std::string::npos) {
        cannot_open(StorageErrc::invalid_argument, path, "it is not a file name");
    }
    if (path == ":memory:") {
        cannot_open(StorageErrc::invalid_argument, path,
                    "an in-memory database cannot be shared with the programs that write to it");
    }
}

bool is_default_location(const std::string& path) {
    try {
        return path == options::default_db_path(options::Environment::from_process()).value;
    } catch (const ConfigError&) {
        return false;
    }
}

/// Creates the folder of the default location only: any other missing folder is probably a typo.
void require_folder(const std::string& path) {
    const std::string folder = folder_of(path);
    std::error_code error;
    const auto type = std::filesystem::status(folder, error).type();
    if (type == std::filesystem::file_type::not_found && !is_default_location(path)) {
        cannot_open(StorageErrc::missing, path,
                    fmt::format("the folder \"{}\" does not exist; create it, or correct the path", folder));
    }
    std::filesystem::create_directories(folder, error);
    if (error) {
        cannot_open(StorageErrc::io, path, fmt::format("its folder cannot be created: {}", error.message()));
    }
}

/// Creates the file readable by its owner only. SQLite would let all users read it, and copies its permissions to the
/// log and its index. If another program creates the file at the same time, its permissions stay.
void create_private_file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file >= 0) {
        ::close(file);
    }
}

/// Why the file cannot be written; empty if it can.
std::string not_writable_reason(const std::string& path, bool exists) {
    const std::string folder = folder_of(path);
    if (exists && !may_write(path)) {
        return "the file is write-protected";
    }
    if (!may_write(folder)) {
        return fmt::format("the folder \"{}\" is write-protected", folder);
    }
    return {};
}

/// Switches to WAL mode, which needs an exclusive lock that SQLite does not wait for.
void enable_wal(SQLite::Database& database, const std::string& path, std::chrono::milliseconds busy_timeout) {
    using std::chrono::steady_clock;
    constexpr std::chrono::milliseconds kPause{5};
    const auto deadline = steady_clock::now() + busy_timeout;
    for (;;) {
        try {
            const std::string mode = sql::query_text(database, "PRAGMA journal_mode = WAL");
            if (mode != "wal") {
                log::kStorage.warning("database \"{}\" stays in journal mode {}: WAL mode is not supported there", path,
                                      mode);
            }
            return;
        } catch (const SQLite::Exception& error) {
            if ((error.getErrorCode() & 0xFF) != SQLITE_BUSY) {
                throw;
            }
            if (steady_clock::now() >= deadline) {
                log::kStorage.warning("database \"{}\" is not switched to WAL mode: another process keeps it locked",
                                      path);
                return;
            }
            std::this_thread::sleep_for(kPause);
        }
    }
}

void set_up_connection(SQLite::Database& database, const OpenOptions& options) {
    database.setBusyTimeout(static_cast<int>(options.busy_timeout.count()));
    sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    // 8 MiB, so that a large import keeps its indexes in memory.
    database.exec("PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192");
    if (sqlite3_db_readonly(database.getHandle(), "main") == 0) {
        set_durability(database, options.durability);
    }
    sql::register_functions(database);
}

void set_up(SQLite::Database& database, const std::string& path, const OpenOptions& options) {
    set_up_connection(database, options);
    if (sqlite3_db_readonly(database.getHandle(), "main") == 0) {
        enable_wal(database, path, options.busy_timeout);
    }
}

std::unique_ptr<SQLite::Database> open_read_only(const std::string& path, const OpenOptions& options) {
    const auto opened = [&](bool immutable) {
        auto database = open_for_reading(path, immutable, options.busy_timeout);
        static_cast<void>(sql::query_integer(*database, "PRAGMA schema_version"));
        set_up(*database, path, options);
        return database;
    };
    return sql::translated(path, "cannot open", [&] {
        try {
            return opened(false);
        } catch (const SQLite::Exception&) {
            // WAL mode needs files that cannot be created in a write-protected folder. If there is no log, the file is
            // complete without it.
            if (has_wal(path)) {
                throw;
            }
            return opened(true);
        }
    });
}

std::unique_ptr<SQLite::Database> open_writable(const std::string& path, const OpenOptions& options, bool migration) {
    return sql::translated(path, "cannot open", [&] {
        auto database = std::make_unique<SQLite::Database>(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                                           static_cast<int>(options.busy_timeout.count()));
        if (migration) {
            database->exec("PRAGMA foreign_keys = ON");
            migrate(*database, path, options.replace_triggers);
        }
        set_up(*database, path, options);
        return database;
    });
}

/// Opens without an inspection; nullptr if the file needs one. Does not change the journal mode, which may take long.
std::unique_ptr<SQLite::Database> open_short_lived(const std::string& path, const OpenOptions& options) {
    // The only connection to a database first has to read the whole log, but a checkpoint waits for the disk.
    constexpr std::int64_t kMaxWalBytes = std::int64_t{2} << 20U;
    return sql::translated(path, "cannot open", [&]() -> std::unique_ptr<SQLite::Database> {
        auto database = std::make_unique<SQLite::Database>(path, SQLite::OPEN_READWRITE,
                                                           static_cast<int>(options.busy_timeout.count()));
        disable_checkpoint_on_close(*database);
        if (sql::query_integer(*database, "SELECT count(*) FROM sqlite_master WHERE name = 'skill_migrations'") == 0) {
            return nullptr;
        }
        std::size_t known = 0;
        sql::Statement recorded(*database, "SELECT version FROM skill_migrations");
        while (recorded.step()) {
            if (std::ranges::none_of(
                    kMigrations, [&](const Migration* migration) { return recorded.text(0) == migration->version; })) {
                return nullptr;
            }
            ++known;
        }
        if (known != kMigrations.size()) {
            return nullptr;
        }
        set_up_connection(*database, options);
        // When processes open the database one after the other, SQLite never restarts the log, as if it was never
        // checkpointed.
        const auto wal = file_state(sqlite3_filename_wal(sqlite3_db_filename(database->getHandle(), "main")));
        if (wal.has_value() && wal->size > kMaxWalBytes) {
            sqlite3_db_config(database->getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
        }
        return database;
    });
}

}  // namespace

void set_durability(SQLite::Database& database, Durability durability) {
    // EXTRA equals FULL in WAL mode; in other modes it also syncs the removal of the journal. fullfsync is needed on
    // macOS, where fsync does not wait for the disk.
    database.exec(durability == Durability::power ? "PRAGMA synchronous = EXTRA; PRAGMA fullfsync = ON"
                                                  : "PRAGMA synchronous = NORMAL");
}

std::unique_ptr<SQLite::Database> open_database(const std::string& path, const OpenOptions& options) {
    check_path(path);
    WalFiles::require_no_stale_index(path);
    const auto state = file_state(path);
    if (!state.has_value()) {
        if (!options.create) {
            cannot_open(StorageErrc::missing, path, "the file does not exist");
        }
        require_folder(path);
        if (const std::string reason = not_writable_reason(path, false); !reason.empty()) {
            cannot_open(StorageErrc::io, path, fmt::format("it cannot be created: {}", reason));
        }
        create_private_file(path);
        return open_writable(path, options, true);
    }
    static_cast<void>(require_regular_file(path, "cannot open"));
    if (options.short_lived && state->size > 0) {
        if (auto database = open_short_lived(path, options)) {
            return database;
        }
    }
    const Inspection inspection = inspect_file(path, options.busy_timeout);
    const std::string reason = not_writable_reason(path, true);
    if (inspection.needs_migration()) {
        if (!reason.empty()) {
            cannot_open(StorageErrc::read_only, path, fmt::format("its schema must be migrated to V4, and {}", reason));
        }
        return open_writable(path, options, true);
    }
    if (!reason.empty()) {
        if (options.replace_triggers && inspection.foreign_triggers) {
            log::kStorage.warning("the triggers of database \"{}\" are not replaced: {}", path, reason);
        }
        return open_read_only(path, options);
    }
    return open_writable(path, options, options.replace_triggers && inspection.foreign_triggers);
}

}  // namespace session_buddy::storage
