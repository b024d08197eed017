// Validation of skill names and dedup keys, shared by all sources.
#include "session_buddy/core/invocation.hpp"

#include "session_buddy/core/utf8.hpp"

namespace session_buddy {
bool is_valid_skill_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxSkillNameBytes && is_printable_utf8(name);
}

bool is_valid_event_key(std::string_view key) {
    return !key.empty() && key.size() <= kMaxEventKeyBytes && is_printable_utf8(key);
}

}  // namespace session_buddy
