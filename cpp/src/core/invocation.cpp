// Validation of skill names and dedup keys, shared by all sources.
#include "session_buddy/core/invocation.hpp"

#include "session_buddy/core/utf8.hpp"

namespace session_buddy {
namespace {

bool is_printable_utf8(std::string_view text) {
    for (std::size_t position = 0; position < text.size();) {
        const char32_t code = next_code_point(text, position);
        if (code == kInvalidCodePoint || is_control(code)) {
            return false;
        }
    }
    return true;
}

}  // namespace

bool is_valid_skill_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxSkillNameBytes && is_printable_utf8(name);
}

bool is_valid_event_key(std::string_view key) {
    return !key.empty() && key.size() <= kMaxEventKeyBytes && is_printable_utf8(key);
}

}  // namespace session_buddy
