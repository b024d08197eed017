// Tokens are checked on another thread and answered on the network thread, with the tokens in effect then.
#include "server/token_checker.hpp"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <filesystem>
#include <optional>
#include <thread>

#include "server/certificates.hpp"
#include "support/system_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::server {
namespace {

class TokenCheckerTest : public ::testing::Test {
  protected:
    AuthenticatorPtr tokens(const std::string& text) {
        Config config;
        config.auth_token_file = folder_.file("tokens");
        test::write_text(config.auth_token_file, text);
        std::filesystem::permissions(config.auth_token_file,
                                     std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
        return auth::Authenticator::load(config);
    }

    // Runs this thread as the network thread until the verdict arrives.
    bool accepted(TokenChecker& checker, const std::string& token, const std::function<void()>& meanwhile = [] {}) {
        const net::executor_work_guard<net::io_context::executor_type> work(io_.get_executor());
        std::optional<auth::Verdict> verdict;
        std::optional<std::thread::id> where;
        checker.check(token, [&](auth::Verdict found) {
            verdict = std::move(found);
            where = std::this_thread::get_id();
            io_.stop();
        });
        meanwhile();
        io_.restart();
        io_.run_for(std::chrono::seconds{20});
        EXPECT_EQ(where, std::this_thread::get_id());
        return verdict && std::holds_alternative<auth::Identity>(*verdict);
    }

    test::TempDir folder_;
    net::io_context io_{1};
};

TEST_F(TokenCheckerTest, answers_on_the_network_thread) {
    TokenChecker checker(io_, tokens("first-token-of-the-file"), test::kSystemClock);
    EXPECT_TRUE(accepted(checker, "first-token-of-the-file"));
    EXPECT_FALSE(accepted(checker, "another-token"));
}

TEST_F(TokenCheckerTest, uses_the_tokens_in_effect_when_it_answers) {
    TokenChecker checker(io_, tokens("first-token-of-the-file"), test::kSystemClock);
    const auto later = tokens("second-token-of-the-file");
    EXPECT_FALSE(accepted(checker, "first-token-of-the-file", [&] { checker.replace(later); }));
    EXPECT_TRUE(accepted(checker, "second-token-of-the-file"));
}

TEST_F(TokenCheckerTest, releases_pending_checks_when_destroyed) {
    auto alive = std::make_shared<int>(0);
    {
        net::io_context io{1};
        TokenChecker checker(io, tokens("first-token-of-the-file"), test::kSystemClock);
        for (int i = 0; i < 100; ++i) {
            checker.check("x", [alive](const auth::Verdict&) {});
        }
    }
    EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace session_buddy::server
