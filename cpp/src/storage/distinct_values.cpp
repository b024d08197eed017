// Replaces error types and workflow paths beyond the limit by `other`.
#include "distinct_values.hpp"

#include "schema_fragments.hpp"

namespace session_buddy::storage {

DistinctValues::DistinctValues(SQLite::Database& database, std::size_t max)
    : max_(max),
      errors_(database, "SELECT key FROM skill_metrics, json_each(" SESSION_BUDDY_OBJECT(
                            "common_errors") ") WHERE skill_name = ?1 AND key <> ?2 LIMIT ?3"),
      paths_(database, "SELECT key FROM skill_metrics, json_each(" SESSION_BUDDY_OBJECT(
                           "workflow_paths") ") WHERE skill_name = ?1 AND key <> ?2 LIMIT ?3") {}

std::optional<InvocationRecord> DistinctValues::bounded(const InvocationRecord& record) {
    const bool error_fits = fits(Kind::error_type, record.skill_name, record.error_type);
    const bool path_fits = fits(Kind::workflow_path, record.skill_name, record.workflow_path);
    if (error_fits && path_fits) {
        return std::nullopt;
    }
    InvocationRecord changed = record;
    if (!error_fits) {
        changed.error_type = kOther;
    }
    if (!path_fits) {
        changed.workflow_path = kOther;
    }
    return changed;
}

bool DistinctValues::fits(Kind kind, const std::string& skill, const std::optional<std::string>& value) {
    if (!value || value->empty() || *value == kOther) {
        return true;
    }
    const auto [found, is_new] = known_.try_emplace({kind, skill});
    Names& names = found->second;
    if (is_new) {
        names = read(kind, skill);
    }
    if (!names.contains(*value)) {
        if (names.size() >= max_) {
            return false;
        }
        names.insert(*value);
    }
    return true;
}

/// Reads at most `max_` values; a database that has more already gets no further ones.
DistinctValues::Names DistinctValues::read(Kind kind, const std::string& skill) {
    sql::Statement& query =
        (kind == Kind::error_type ? errors_ : paths_).with(skill, kOther, static_cast<std::int64_t>(max_));
    Names names;
    while (query.step()) {
        names.emplace(query.text(0));
    }
    return names;
}

}  // namespace session_buddy::storage
