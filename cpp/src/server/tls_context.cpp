// Reads PEM files, checks validity periods and key pairs, and configures OpenSSL.
#include "tls_context.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <spdlog/fmt/fmt.h>

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "session_buddy/core/log.hpp"
#include "session_buddy/core/releaser.hpp"
#include "session_buddy/core/small_file.hpp"
#include "session_buddy/server/network_server.hpp"

namespace session_buddy::server {

namespace {

// Mozilla's intermediate configuration (ssl-config.mozilla.org, 5.7) without DHE, whose cost an attacker can drive up.
constexpr const char* kTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kTls13Ciphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:prime256v1:secp384r1";

using Bio = std::unique_ptr<BIO, Releaser<BIO_free>>;
using Certificate = std::unique_ptr<X509, Releaser<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;

// The reason of OpenSSL's last error; clears its error queue.
std::string openssl_reason() {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    std::string text = reason != nullptr ? reason : "unknown error";
    ERR_clear_error();
    return text;
}

std::string read_file(std::string_view what, const std::string& path) {
    try {
        return read_small_file(path);
    } catch (const FileError& reason) {
        throw TlsError(fmt::format("cannot read the {} {}: {}", what, path, reason.what()));
    }
}

Bio memory(const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string to_text(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        return "an unreadable time";
    }
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                       parts.tm_hour, parts.tm_min, parts.tm_sec);
}

// Empty if the certificate is valid now.
std::string invalid_reason(const X509* certificate) {
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0) {
        return "it is not valid before " + to_text(X509_get0_notBefore(certificate));
    }
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
        return "it expired at " + to_text(X509_get0_notAfter(certificate));
    }
    return {};
}

// All certificates of a PEM file; at least one.
std::vector<Certificate> read_certificates(std::string_view what, const std::string& path) {
    const std::string text = read_file(what, path);
    const Bio bio = memory(text);
    std::vector<Certificate> certificates;
    while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
        certificates.emplace_back(next);
    }
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const std::string reason = openssl_reason();
    if (!at_end) {
        throw TlsError(fmt::format("cannot use the {} {}: certificate {} in it cannot be read ({})", what, path,
                                   certificates.size() + 1, reason));
    }
    if (certificates.empty()) {
        throw TlsError(fmt::format("cannot use the {} {}: there is no PEM certificate in it", what, path));
    }
    return certificates;
}

Key read_key(const std::string& path) {
    const std::string text = read_file("TLS key", path);
    const Bio bio = memory(text);
    bool asked = false;
    // Without this callback OpenSSL prompts for the passphrase on the terminal.
    const auto passphrase = [](char*, int, int, void* was_asked) {
        *static_cast<bool*>(was_asked) = true;
        return -1;
    };
    Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, passphrase, &asked));
    const std::string reason = openssl_reason();
    if (asked) {
        throw TlsError(
            fmt::format("cannot use the TLS key {}: it is encrypted with a passphrase; store it decrypted", path));
    }
    if (!key) {
        throw TlsError(fmt::format("cannot use the TLS key {}: there is no PEM private key in it that can be read ({})",
                                   path, reason));
    }
    return key;
}

void use_certificate(SSL_CTX* context, const Config& config) {
    const auto chain = read_certificates("TLS certificate", config.tls_cert);
    const auto key = read_key(config.tls_key);
    const auto fail = [&](std::size_t index, const std::string& reason) {
        const auto which = chain.size() == 1 ? std::string() : fmt::format(" (certificate {} in it)", index + 1);
        return TlsError(fmt::format("cannot use the TLS certificate {}{}: {}", config.tls_cert, which, reason));
    };
    if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
        ERR_clear_error();
        throw TlsError(fmt::format("cannot use the TLS key {}: it does not belong to the certificate {}",
                                   config.tls_key, config.tls_cert));
    }
    for (std::size_t index = 0; index < chain.size(); ++index) {
        if (const auto reason = invalid_reason(chain[index].get()); !reason.empty()) {
            throw fail(index, reason);
        }
        const auto added = index == 0 ? SSL_CTX_use_certificate(context, chain[index].get())
                                      : SSL_CTX_add1_chain_cert(context, chain[index].get());
        if (added != 1) {
            throw fail(index, openssl_reason());
        }
    }
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
        throw TlsError(fmt::format("cannot use the TLS key {}: {}", config.tls_key, openssl_reason()));
    }
    log::kServerTls.info("using the TLS certificate {}, which is valid until {}", config.tls_cert,
                         to_text(X509_get0_notAfter(chain.front().get())));
}

void require_client_certificates(SSL_CTX* context, const std::string& path) {
    constexpr std::string_view kWhat = "client CA certificates in";
    std::string last_reason;
    std::size_t usable = 0;
    for (const auto& authority : read_certificates(kWhat, path)) {
        if (auto reason = invalid_reason(authority.get()); !reason.empty()) {
            log::kServerTls.warning("ignoring a client CA certificate in {}: {}", path, reason);
            last_reason = std::move(reason);
            continue;
        }
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1 ||
            SSL_CTX_add_client_CA(context, authority.get()) != 1) {
            throw TlsError(fmt::format("cannot use the {} {}: {}", kWhat, path, openssl_reason()));
        }
        ++usable;
    }
    if (usable == 0) {
        throw TlsError(fmt::format("cannot use the {} {}: none is valid now ({})", kWhat, path, last_reason));
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

}  // namespace

TlsContextPtr load_tls(const Config& config) {
    if (config.tls_cert.empty()) {
        return nullptr;
    }
    ERR_clear_error();
    auto* context = SSL_CTX_new(TLS_server_method());
    if (context == nullptr) {
        throw TlsError("cannot set up TLS: " + openssl_reason());
    }
    auto owner = std::make_shared<net::ssl::context>(context);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    // Connections are few and long-lived: session resumption would save little, but keep state or weaken forward
    // secrecy.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, kTls12Ciphers) != 1 || SSL_CTX_set_ciphersuites(context, kTls13Ciphers) != 1 ||
        SSL_CTX_set1_groups_list(context, kGroups) != 1) {
        throw TlsError("cannot set up TLS: " + openssl_reason());
    }
    use_certificate(context, config);
    if (!config.tls_client_ca.empty()) {
        require_client_certificates(context, config.tls_client_ca);
    }
    return owner;
}

}  // namespace session_buddy::server
