// Migration V2: the embedding of each invocation.
#include "migrations.hpp"

namespace session_buddy::storage {
namespace {

constexpr std::array<AddedColumn, 1> kColumnsV2{{{"skill_invocation", "embedding", "BLOB"}}};

constexpr const char* kScriptV2 = R"sql(
CREATE INDEX IF NOT EXISTS idx_invocation_embedding ON skill_invocation (embedding) WHERE embedding IS NOT NULL;
)sql";

}  // namespace

const Migration kMigrationV2{"V2__add_semantic_search", "Embeddings of invocations", kColumnsV2, kScriptV2};

}  // namespace session_buddy::storage
