// Mends what JavaScript calls JSON and a strict parser refuses.
#pragma once

#include <string>
#include <string_view>

namespace session_buddy::ingest {

/// JavaScript writes half a surrogate pair (`\ud83d`) where it cut a text in the middle of a character. That is JSON to
/// JavaScript and to Python, but not to a strict parser: such halves become U+FFFD here.
[[nodiscard]] std::string replace_lone_surrogates(std::string_view json);

}  // namespace session_buddy::ingest
