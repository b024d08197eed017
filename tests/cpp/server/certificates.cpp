// Creates certificates and keys with OpenSSL.
#include "server/certificates.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <stdexcept>

namespace session_buddy::test {

namespace {

void require(bool good) {
    if (!good) {
        throw std::runtime_error("OpenSSL could not make a certificate");
    }
}

template <typename Write>
std::string text_of(Write write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
    require(write(bio.get()) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

long next_serial() {
    static long serial = 0;
    return ++serial;
}

}  // namespace

TestCertificate::TestCertificate(const CertificateOptions& options, const TestCertificate* issuer)
    : key_(options.rsa_1024 ? EVP_RSA_gen(1024) : EVP_EC_gen("P-256"), &EVP_PKEY_free),
      certificate_(X509_new(), &X509_free) {
    require(key_ != nullptr && certificate_ != nullptr);
    auto* made = certificate_.get();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), next_serial());
    X509_gmtime_adj(X509_getm_notBefore(made), options.valid_from.count());
    X509_gmtime_adj(X509_getm_notAfter(made), options.valid_until.count());
    X509_set_pubkey(made, key_.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(options.name.c_str()), -1, -1, 0);
    auto* signer = issuer != nullptr ? issuer->certificate() : made;
    X509_set_issuer_name(made, X509_get_subject_name(signer));
    if (options.authority) {
        const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE"), &X509_EXTENSION_free);
        require(X509_add_ext(made, extension.get(), -1) == 1);
    }
    require(X509_sign(made, issuer != nullptr ? issuer->key() : key_.get(), EVP_sha256()) != 0);
}

std::string TestCertificate::certificate_pem() const {
    return text_of([this](BIO* bio) { return PEM_write_bio_X509(bio, certificate_.get()); });
}

std::string TestCertificate::key_pem(const std::string& passphrase) const {
    return text_of([&](BIO* bio) {
        const auto* cipher = passphrase.empty() ? nullptr : EVP_aes_128_cbc();
        return PEM_write_bio_PKCS8PrivateKey(bio, key_.get(), cipher, passphrase.data(),
                                             static_cast<int>(passphrase.size()), nullptr, nullptr);
    });
}

void write_text(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

}  // namespace session_buddy::test
