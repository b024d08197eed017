// Generates test certificates: CAs, and server and client certificates, signed by a CA or self-signed.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <memory>
#include <string>

namespace session_buddy::test {

struct CertificateOptions {
    std::string name = "localhost";
    std::chrono::seconds valid_from{-3600};  ///< relative to now
    std::chrono::seconds valid_until{3600};
    bool rsa_1024 = false;  ///< use an RSA key that is too short instead of P-256
    bool authority = false;
};

class TestCertificate {
  public:
    /// Signed by `issuer`; self-signed if nullptr.
    explicit TestCertificate(const CertificateOptions& options = {}, const TestCertificate* issuer = nullptr);

    [[nodiscard]] std::string certificate_pem() const;
    [[nodiscard]] std::string key_pem(const std::string& passphrase = "") const;
    [[nodiscard]] X509* certificate() const { return certificate_.get(); }
    [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }

  private:
    std::shared_ptr<EVP_PKEY> key_;
    std::shared_ptr<X509> certificate_;
};

void write_text(const std::string& path, const std::string& text);

}  // namespace session_buddy::test
