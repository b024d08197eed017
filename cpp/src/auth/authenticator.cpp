// Tries the token file first, then JWT verification.
#include "session_buddy/auth/authenticator.hpp"

#include <spdlog/fmt/fmt.h>

#include <utility>

#include "jwt_verifier.hpp"
#include "session_buddy/core/small_file.hpp"
#include "token_file.hpp"

namespace session_buddy::auth {

namespace {

std::optional<TokenFile> load_token_file(const std::string& path) {
    if (path.empty()) {
        return std::nullopt;
    }
    try {
        return TokenFile::parse(read_secret_file(path), path);
    } catch (const FileError& reason) {
        throw AuthError(fmt::format("cannot read the token file {}: {}", path, reason.what()));
    }
}

std::optional<JwtVerifier> load_jwt_verifier(const Config& config) {
    if (config.jwt_secret.empty() && config.jwt_public_key.empty()) {
        return std::nullopt;
    }
    return JwtVerifier(config);
}

}  // namespace

bool requires_token(const Config& config) {
    return !config.auth_token_file.empty() || !config.jwt_secret.empty() || !config.jwt_public_key.empty();
}

struct Authenticator::Parts {
    std::optional<TokenFile> tokens;
    std::optional<JwtVerifier> jwt;
};

Authenticator::Authenticator(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Authenticator::~Authenticator() = default;

std::shared_ptr<const Authenticator> Authenticator::load(const Config& config) {
    if (!requires_token(config)) {
        return nullptr;
    }
    auto parts = std::make_unique<Parts>(
        Parts{.tokens = load_token_file(config.auth_token_file), .jwt = load_jwt_verifier(config)});
    return std::shared_ptr<const Authenticator>(new Authenticator(std::move(parts)));
}

Verdict Authenticator::check(std::string_view token, TimePoint now) const {
    if (token.size() > kMaxTokenBytes) {
        return Rejection{"The token is too long"};
    }
    if (parts_->tokens) {
        if (auto identity = parts_->tokens->find(token)) {
            return *std::move(identity);
        }
    }
    return parts_->jwt ? parts_->jwt->check(token, now) : Rejection{"The token is not valid"};
}

bool Authenticator::still_accepts(const Identity& identity) const {
    return (parts_->tokens && parts_->tokens->still_accepts(identity)) ||
           (parts_->jwt && parts_->jwt->still_accepts(identity));
}

std::string Authenticator::description() const {
    std::string text;
    if (parts_->tokens) {
        const auto count = parts_->tokens->size();
        text = fmt::format("{} token{}", count, count == 1 ? "" : "s");
    }
    if (parts_->jwt) {
        text += fmt::format("{}JWT ({})", text.empty() ? "" : " and ", parts_->jwt->algorithm());
    }
    return text;
}

}  // namespace session_buddy::auth
