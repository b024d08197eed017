// The one rule for the names of skills, used wherever a name comes in.
#include "session_buddy/core/invocation.hpp"

#include "session_buddy/core/utf8.hpp"

namespace session_buddy {

bool is_valid_skill_name(std::string_view name) {
    if (name.empty() || name.size() > kMaxSkillNameBytes) {
        return false;
    }
    for (std::size_t position = 0; position < name.size();) {
        const char32_t code = next_code_point(name, position);
        const bool control = code < 0x20 || (code >= 0x7F && code <= 0x9F);
        if (code == kInvalidCodePoint || control) {
            return false;
        }
    }
    return true;
}

}  // namespace session_buddy
