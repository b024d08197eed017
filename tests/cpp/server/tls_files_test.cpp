// Errors of certificates and keys are reported before the server listens, in one line that names the file.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "server/certificates.hpp"
#include "session_buddy/server/network_server.hpp"
#include "support/privileges.hpp"
#include "support/system_clock.hpp"
#include "support/temp_database.hpp"

namespace session_buddy::test {
namespace {

using server::NetworkServer;
using server::TlsError;
using std::chrono::hours;

class TlsFiles : public ::testing::Test {
  protected:
    Config config_with(const std::string& certificate, const std::string& key) {
        Config config;
        config.host = "127.0.0.1";
        config.port = 0;
        config.tls_cert = folder_.file("cert.pem");
        config.tls_key = folder_.file("key.pem");
        write_text(config.tls_cert, certificate);
        write_text(config.tls_key, key);
        return config;
    }

    // Expects that bind() throws this error and nothing listens.
    static void expect_error(const Config& config, const std::string& text) {
        NetworkServer server(config, kSystemClock);
        try {
            server.bind();
            ADD_FAILURE() << "no error: " << text;
        } catch (const TlsError& error) {
            EXPECT_EQ(std::string(error.what()).substr(0, text.size()), text);
            EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
        }
        EXPECT_EQ(server.port(), 0);
    }

    TempDir folder_;
    TestCertificate good_;
};

TEST_F(TlsFiles, valid_ones_are_accepted) {
    NetworkServer(config_with(good_.certificate_pem(), good_.key_pem()), kSystemClock).bind();
}

TEST_F(TlsFiles, may_contain_a_chain_and_other_text) {
    const TestCertificate root({.name = "root", .authority = true});
    const TestCertificate leaf({}, &root);
    const auto all = leaf.key_pem() + "a comment\n" + leaf.certificate_pem() + root.certificate_pem();
    NetworkServer(config_with(all, all), kSystemClock).bind();
}

TEST_F(TlsFiles, missing_or_not_regular_files_are_named) {
    auto config = config_with(good_.certificate_pem(), good_.key_pem());
    std::filesystem::remove(config.tls_key);
    expect_error(config, "cannot read the TLS key " + config.tls_key + ": No such file or directory");
    std::filesystem::create_directory(config.tls_key);
    expect_error(config, "cannot read the TLS key " + config.tls_key + ": it is not a regular file");
    std::filesystem::remove(config.tls_cert);
    expect_error(config, "cannot read the TLS certificate " + config.tls_cert + ": No such file or directory");
}

TEST_F(TlsFiles, unreadable_ones_are_named) {
    const auto config = config_with(good_.certificate_pem(), good_.key_pem());
    std::filesystem::permissions(config.tls_key, std::filesystem::perms::none);
    const WriteProtected unprivileged(config.tls_cert);
    expect_error(config, "cannot read the TLS key " + config.tls_key + ": Permission denied");
}

TEST_F(TlsFiles, huge_ones_are_not_read) {
    const auto config = config_with(std::string((4U << 20U) + 1, '\n'), good_.key_pem());
    expect_error(config, "cannot read the TLS certificate " + config.tls_cert + ": it is larger than 4194304 bytes");
}

TEST_F(TlsFiles, ones_without_a_certificate_or_key_are_named) {
    auto config = config_with("", good_.key_pem());
    expect_error(config, "cannot use the TLS certificate " + config.tls_cert + ": there is no PEM certificate in it");
    config = config_with(good_.key_pem(), good_.key_pem());
    expect_error(config, "cannot use the TLS certificate " + config.tls_cert + ": there is no PEM certificate in it");
    config = config_with("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", good_.key_pem());
    expect_error(config,
                 "cannot use the TLS certificate " + config.tls_cert + ": certificate 1 in it cannot be read (");
    const auto whole = good_.certificate_pem();
    config = config_with(whole + whole.substr(0, whole.size() / 2), good_.key_pem());
    expect_error(config,
                 "cannot use the TLS certificate " + config.tls_cert + ": certificate 2 in it cannot be read (");
    config = config_with(good_.certificate_pem(), good_.certificate_pem());
    expect_error(config, "cannot use the TLS key " + config.tls_key + ": there is no PEM private key in it that can");
}

TEST_F(TlsFiles, a_key_that_does_not_match_is_named) {
    const TestCertificate other;
    const auto config = config_with(good_.certificate_pem(), other.key_pem());
    expect_error(config, "cannot use the TLS key " + config.tls_key + ": it does not belong to the certificate " +
                             config.tls_cert);
}

TEST_F(TlsFiles, encrypted_keys_are_rejected_without_a_prompt) {
    const auto config = config_with(good_.certificate_pem(), good_.key_pem("secret"));
    expect_error(config, "cannot use the TLS key " + config.tls_key + ": it is encrypted with a passphrase");
}

TEST_F(TlsFiles, expired_or_not_yet_valid_certificates_are_rejected_with_the_time) {
    const TestCertificate expired({.valid_from = hours{-2}, .valid_until = hours{-1}});
    auto config = config_with(expired.certificate_pem(), expired.key_pem());
    expect_error(config, "cannot use the TLS certificate " + config.tls_cert + ": it expired at 20");
    const TestCertificate early({.valid_from = hours{1}, .valid_until = hours{2}});
    config = config_with(early.certificate_pem(), early.key_pem());
    expect_error(config, "cannot use the TLS certificate " + config.tls_cert + ": it is not valid before 20");
    const TestCertificate root({.name = "root", .valid_from = hours{-2}, .valid_until = hours{-1}, .authority = true});
    const TestCertificate leaf({}, &root);
    config = config_with(leaf.certificate_pem() + root.certificate_pem(), leaf.key_pem());
    expect_error(config,
                 "cannot use the TLS certificate " + config.tls_cert + " (certificate 2 in it): it expired at 20");
}

TEST_F(TlsFiles, short_keys_are_rejected) {
    const TestCertificate weak({.rsa_1024 = true});
    const auto config = config_with(weak.certificate_pem(), weak.key_pem());
    expect_error(config, "cannot use the TLS certificate " + config.tls_cert + ": ee key too small");
}

TEST_F(TlsFiles, client_ca_certificates_are_checked_too) {
    auto config = config_with(good_.certificate_pem(), good_.key_pem());
    config.tls_client_ca = folder_.file("clients.pem");
    expect_error(config, "cannot read the client CA certificates in " + config.tls_client_ca + ": No such");
    write_text(config.tls_client_ca, "nothing\n");
    expect_error(config, "cannot use the client CA certificates in " + config.tls_client_ca +
                             ": there is no PEM certificate in it");
    const TestCertificate expired(
        {.name = "root", .valid_from = hours{-2}, .valid_until = hours{-1}, .authority = true});
    write_text(config.tls_client_ca, expired.certificate_pem());
    expect_error(config, "cannot use the client CA certificates in " + config.tls_client_ca +
                             ": none is valid now (it expired at 20");
    const TestCertificate root({.name = "root", .authority = true});
    write_text(config.tls_client_ca, expired.certificate_pem() + root.certificate_pem());
    NetworkServer(config, kSystemClock).bind();
}

}  // namespace
}  // namespace session_buddy::test
