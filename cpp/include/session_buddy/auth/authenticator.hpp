// Authentication: checks bearer tokens against a token file or as JSON Web Tokens. Independent of connections.
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
#include "session_buddy/core/enum_names.hpp"

namespace session_buddy::auth {

/// Longest accepted token, in bytes: what fits into the default of max_header_bytes.
inline constexpr std::size_t kMaxTokenBytes = 8192;

enum class Scope : std::uint8_t {
    read = 1,     ///< the WebSocket API and the queries of the HTTP API
    write = 2,    ///< ingestion
    metrics = 4,  ///< scraping /metrics
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

inline constexpr EnumNames kScopes{
    std::array{EnumName{Scope::read, "read"}, EnumName{Scope::write, "write"}, EnumName{Scope::metrics, "metrics"}}};

/// The result of a successful authentication.
struct Identity {
    Scopes scopes;
    std::optional<TimePoint> expires_at;  ///< including the leeway; nullopt if the token does not expire
    std::string fingerprint;              ///< SHA-256 of the token, or of the key that signed a JWT
};

/// Why a token was rejected, as a sentence for the client without a full stop ("The token has expired"). Names a claim
/// only if the signature was valid.
struct Rejection {
    std::string reason;
};

using Verdict = std::variant<Identity, Rejection>;

/// Authentication is configured but cannot work. what() is one line that names the option or file and the reason, and
/// never contains any part of a secret.
class AuthError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Immutable; all calls are thread-safe.
class Authenticator {
  public:
    /// nullptr if the config requires no tokens. Blocks on file I/O. Throws AuthError.
    [[nodiscard]] static std::shared_ptr<const Authenticator> load(const Config& config);
    ~Authenticator();
    Authenticator(const Authenticator&) = delete;
    Authenticator& operator=(const Authenticator&) = delete;

    /// Computes hashes and signatures. Constant-time with respect to how much of a token is correct.
    [[nodiscard]] Verdict check(std::string_view token, TimePoint now) const;

    /// Whether the token or key of an identity that this or an earlier authenticator accepted is still accepted with
    /// the same scopes.
    [[nodiscard]] bool still_accepts(const Identity& identity) const;

    /// For the log: "3 tokens", "JWT (ES256)".
    [[nodiscard]] std::string description() const;

  private:
    struct Parts;
    explicit Authenticator(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// Whether clients must send a token, that is, whether load() returns an Authenticator.
[[nodiscard]] bool requires_token(const Config& config);

}  // namespace session_buddy::auth
