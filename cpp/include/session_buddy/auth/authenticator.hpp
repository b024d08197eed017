// Who may come in: checks bearer tokens against a file of tokens or as JSON Web Tokens. Knows nothing of connections.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/config.hpp"

namespace session_buddy::auth {

/// Longest token that is looked at, in bytes: what the default of max_header_bytes lets through.
inline constexpr std::size_t kMaxTokenBytes = 8192;

enum class Scope : std::uint8_t {
    read = 1,     ///< everything of the WebSocket API v1.0
    write = 2,    ///< recording invocations
    metrics = 4,  ///< scraping
};

class Scopes {
  public:
    Scopes() = default;
    Scopes(std::initializer_list<Scope> scopes) {
        for (const Scope scope : scopes) {
            add(scope);
        }
    }
    void add(Scope scope) { bits_ = static_cast<std::uint8_t>(bits_ | static_cast<std::uint8_t>(scope)); }
    [[nodiscard]] bool has(Scope scope) const { return (bits_ & static_cast<std::uint8_t>(scope)) != 0; }
    [[nodiscard]] bool empty() const { return bits_ == 0; }

    friend bool operator==(const Scopes&, const Scopes&) = default;

  private:
    std::uint8_t bits_ = 0;
};

/// The scope of this name ("read"); nothing for another name.
[[nodiscard]] std::optional<Scope> parse_scope(std::string_view name);

/// What an accepted token stands for.
struct Identity {
    Scopes scopes;
    std::optional<TimePoint> expires_at;  ///< the leeway included; nothing for a token that does not expire
    std::string fingerprint;              ///< SHA-256 of what it rests on: the token itself, or the key of a JWT
};

/// What the owner of a token may be told: a sentence without a full stop ("The token has expired"). It names a claim
/// only where the signature was right.
struct Rejection {
    std::string reason;
};

using Verdict = std::variant<Identity, Rejection>;

/// Authentication was asked for and is not possible. what() is one line that names the setting or file and the reason,
/// and never holds any part of a secret.
class AuthError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Immutable; all calls are thread-safe.
class Authenticator {
  public:
    /// nullptr where the config asks for no tokens. Blocks on files. Throws AuthError.
    [[nodiscard]] static std::shared_ptr<const Authenticator> load(const Config& config);
    ~Authenticator();
    Authenticator(const Authenticator&) = delete;
    Authenticator& operator=(const Authenticator&) = delete;

    /// Computes hashes and signatures. Takes a time that does not depend on how much of a token is right.
    [[nodiscard]] Verdict check(std::string_view token, TimePoint now) const;

    /// Whether the token or key of this identity, which this or an earlier authenticator accepted, is still accepted
    /// and grants the same.
    [[nodiscard]] bool still_accepts(const Identity& identity) const;

    /// "3 tokens", "JWT (ES256)", for the log.
    [[nodiscard]] std::string description() const;

  private:
    struct Parts;
    explicit Authenticator(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// Whether a token of any kind is needed. load() yields something exactly then.
[[nodiscard]] bool requires_token(const Config& config);

}  // namespace session_buddy::auth
