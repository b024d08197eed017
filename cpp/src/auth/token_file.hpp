// The file of tokens: one a line, or its SHA-256, with the scopes it grants.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "digest.hpp"
#include "session_buddy/auth/authenticator.hpp"

namespace session_buddy::auth {

/// Holds digests alone, whatever the file held.
class TokenFile {
  public:
    /// `text`: on each line a token or `sha256:` and the 64 hexadecimal digits of its SHA-256, then the scopes,
    /// separated by blanks or commas; `read` where none is named. `#` begins a comment. Throws AuthError, whose text
    /// names the line and never its contents; a file without a token is an error.
    [[nodiscard]] static TokenFile parse(std::string_view text, const std::string& path);

    /// Compares with every entry, so that the time tells nothing.
    [[nodiscard]] std::optional<Identity> find(std::string_view token) const;
    [[nodiscard]] bool still_accepts(const Identity& identity) const;
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        Digest digest{};
        Scopes scopes;
    };
    std::vector<Entry> entries_;
};

}  // namespace session_buddy::auth
