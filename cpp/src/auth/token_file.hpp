// The token file: on each line a token or its SHA-256, and the scopes it grants.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "digest.hpp"
#include "session_buddy/auth/authenticator.hpp"

namespace session_buddy::auth {

/// Stores digests only, never tokens.
class TokenFile {
  public:
    /// `text`: on each line a token or `sha256:` and the 64 hexadecimal digits of its SHA-256, then the scopes,
    /// separated by blanks or commas (default: `read`). `#` starts a comment. Throws AuthError, whose text
    /// names the line and never its contents; a file without a token is an error.
    [[nodiscard]] static TokenFile parse(std::string_view text, const std::string& path);

    /// Compares with every entry in constant time.
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
