// The schema migrations in order. Their SQL is in schema_v1.cpp … schema_v4.cpp.
#pragma once

#include <array>
#include <span>

namespace session_buddy::storage {

/// A column that a migration adds to a table of an earlier one.
struct AddedColumn {
    const char* table;
    const char* name;
    const char* declaration;  ///< column definition after the name in ALTER TABLE … ADD COLUMN
};

struct Migration {
    const char* version;  ///< as in skill_migrations.version
    const char* description;
    std::span<const AddedColumn> columns;  ///< added before the script runs, if missing
    const char* script;                    ///< idempotent: IF NOT EXISTS statements only
};

extern const Migration kMigrationV1;
extern const Migration kMigrationV2;
extern const Migration kMigrationV3;
extern const Migration kMigrationV4;

inline const std::array<const Migration*, 4> kMigrations{&kMigrationV1, &kMigrationV2, &kMigrationV3, &kMigrationV4};

/// The triggers that maintain the aggregates; databases of other tools have different triggers with these names.
inline constexpr std::array<const char*, 3> kTriggerNames{
    "trg_skill_metrics_after_insert", "trg_session_skills_after_insert", "trg_metrics_cache_after_insert"};

}  // namespace session_buddy::storage
