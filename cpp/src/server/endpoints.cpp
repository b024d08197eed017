// Resolves the host, binds one acceptor per address to the same port, and reports which address failed.
#include "endpoints.hpp"

#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "session_buddy/core/log.hpp"

namespace session_buddy::server {

namespace {

// With port 0: attempts to find a port that is free on all addresses.
constexpr int kPortAttempts = 16;

struct BindFailure {
    error_code error;
    tcp::endpoint endpoint;
};

std::string host_and_port(const std::string& host, std::uint16_t port) {
    const bool bare_v6 = host.find(':') != std::string::npos && host.front() != '[';
    return bare_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

bool is_localhost(const std::string& host) {
    constexpr std::string_view kName = "localhost";
    return std::ranges::equal(
        host, kName, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b; });
}

std::vector<net::ip::address> resolve(net::io_context& io, const std::string& host, std::uint16_t port) {
    if (is_localhost(host)) {
        return {net::ip::address_v4::loopback(), net::ip::address_v6::loopback()};
    }
    error_code error;
    std::vector<net::ip::address> addresses;
    for (const auto& entry : tcp::resolver(io).resolve(host, "", tcp::resolver::passive, error)) {
        const auto address = entry.endpoint().address();
        if (std::ranges::find(addresses, address) == addresses.end()) {
            addresses.push_back(address);
        }
    }
    if (addresses.empty()) {
        throw std::system_error(EADDRNOTAVAIL, std::generic_category(),
                                "cannot listen on " + host_and_port(host, port) + " (" + error.message() + ')');
    }
    return addresses;
}

bool family_is_missing(const error_code& error) {
    return error == net::error::address_family_not_supported ||
           error == error_code(EADDRNOTAVAIL, boost::system::system_category());
}

error_code open_and_listen(Acceptor& acceptor, const tcp::endpoint& endpoint) {
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) {
        acceptor.set_option(net::socket_base::reuse_address(true), error);
    }
    if (!error && endpoint.address().is_v6()) {
        acceptor.set_option(net::ip::v6_only(true), error);
    }
    if (!error) {
        acceptor.bind(endpoint, error);
    }
    if (!error) {
        acceptor.listen(net::socket_base::max_listen_connections, error);
    }
    return error;
}

// Listens on all addresses with one port. Returns the failure, if any.
std::optional<BindFailure> listen_on_all(net::io_context& io, const std::vector<net::ip::address>& addresses,
                                         std::uint16_t port, std::vector<Acceptor>& acceptors) {
    acceptors.clear();
    std::optional<BindFailure> missing;
    for (const auto& address : addresses) {
        const tcp::endpoint endpoint(address, port);
        Acceptor acceptor(io);
        if (const auto error = open_and_listen(acceptor, endpoint)) {
            if (!family_is_missing(error)) {
                return BindFailure{.error = error, .endpoint = endpoint};
            }
            missing = BindFailure{.error = error, .endpoint = endpoint};
            continue;
        }
        port = acceptor.local_endpoint().port();
        acceptors.push_back(std::move(acceptor));
    }
    if (acceptors.empty()) {
        return missing;
    }
    if (missing) {
        log::kServer.info("not listening on {}: {}", to_string(missing->endpoint), missing->error.message());
    }
    return std::nullopt;
}

}  // namespace

std::string to_string(const tcp::endpoint& endpoint) {
    return host_and_port(endpoint.address().to_string(), endpoint.port());
}

std::vector<Acceptor> listen_on(net::io_context& io, const std::string& host, std::uint16_t port, BindScope scope) {
    const auto addresses = resolve(io, host, port);
    if (scope == BindScope::loopback && !std::ranges::all_of(addresses, &net::ip::address::is_loopback)) {
        throw ConfigError(
            "host", fmt::format("refusing to listen on {} (not loopback) without both TLS (tls_cert, or "
                                "behind_proxy) and authentication (auth_token_file, jwt_secret, jwt_public_key or "
                                "tls_client_ca); set insecure to allow it",
                                host));
    }
    std::vector<Acceptor> acceptors;
    for (int attempt = 1;; ++attempt) {
        const auto failure = listen_on_all(io, addresses, port, acceptors);
        if (!failure) {
            return acceptors;
        }
        const bool clash = port == 0 && failure->error == net::error::address_in_use;
        if (!clash || attempt == kPortAttempts) {
            throw std::system_error(failure->error.value(), std::generic_category(),
                                    "cannot listen on " + host_and_port(host, port));
        }
    }
}

}  // namespace session_buddy::server
