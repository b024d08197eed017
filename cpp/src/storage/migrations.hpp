// The migrations of the schema, in order. Their SQL stands in schema_v1.cpp … schema_v4.cpp.
#pragma once

#include <array>
#include <span>

namespace session_buddy::storage {

/// A column that a migration adds to a table of an earlier one.
struct AddedColumn {
    const char* table;
    const char* name;
    const char* declaration;  ///< what follows the name in ALTER TABLE … ADD COLUMN
};

struct Migration {
    const char* version;  ///< as in skill_migrations.version
    const char* description;
    std::span<const AddedColumn> columns;  ///< added before the script runs, where they are not there yet
    const char* script;                    ///< only statements that do nothing where their object exists already
};

extern const Migration kMigrationV1;
extern const Migration kMigrationV2;
extern const Migration kMigrationV3;
extern const Migration kMigrationV4;

inline const std::array<const Migration*, 4> kMigrations{&kMigrationV1, &kMigrationV2, &kMigrationV3, &kMigrationV4};

/// The triggers that keep the aggregates; databases made by other tools have triggers of their own under these names.
inline constexpr std::array<const char*, 3> kTriggerNames{
    "trg_skill_metrics_after_insert", "trg_session_skills_after_insert", "trg_metrics_cache_after_insert"};

}  // namespace session_buddy::storage
