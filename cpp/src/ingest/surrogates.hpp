// Replaces lone surrogates in JSON, which JavaScript writes and strict parsers reject.
#pragma once

#include <string>
#include <string_view>

namespace session_buddy::ingest {

/// JavaScript writes a lone surrogate (`\ud83d`) if it cut a text in the middle of a character. JavaScript and Python
/// accept that as JSON, a strict parser does not. Each lone surrogate becomes U+FFFD.
[[nodiscard]] std::string replace_lone_surrogates(std::string_view json);

}  // namespace session_buddy::ingest
