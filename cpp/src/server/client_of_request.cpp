// Parses X-Forwarded-For and X-Forwarded-Proto.
#include "client_of_request.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "session_buddy/core/list_items.hpp"

namespace session_buddy::server {

namespace {

// The items of all header lines of this name, in order of appearance.
std::vector<std::string_view> items_of(const boost::beast::http::fields& headers, const char* name) {
    std::vector<std::string_view> items;
    const auto [first, last] = headers.equal_range(name);
    for (auto line = first; line != last; ++line) {
        const auto of_line = list_items({line->value().data(), line->value().size()});
        items.insert(items.end(), of_line.begin(), of_line.end());
    }
    return items;
}

// Some proxies add the port: "192.0.2.1:5555", "[2001:db8::1]:5555".
std::optional<IpAddress> forwarded_address(std::string_view item) {
    if (item.starts_with('[')) {
        const auto end = item.find(']');
        return end == std::string_view::npos ? std::nullopt : IpAddress::parse(item.substr(1, end - 1));
    }
    if (std::ranges::count(item, ':') == 1) {
        item = item.substr(0, item.find(':'));
    }
    return IpAddress::parse(item);
}

}  // namespace

IpAddress to_ip_address(const net::ip::address& address) {
    IpAddress::Bytes bytes{};
    if (address.is_v4()) {
        bytes = net::ip::make_address_v6(net::ip::v4_mapped, address.to_v4()).to_bytes();
    } else {
        bytes = address.to_v6().to_bytes();
    }
    return IpAddress(bytes);
}

Peer client_of_request(const Peer& direct, const boost::beast::http::fields& headers, const IpNetworks& trusted) {
    if (!direct.proxy) {
        return direct;
    }
    Peer client = direct;
    const auto addresses = items_of(headers, "X-Forwarded-For");
    for (auto item = addresses.rbegin(); item != addresses.rend(); ++item) {
        const auto address = forwarded_address(*item);
        if (!address) {
            break;
        }
        client.address = *address;
        client.forwarded = true;
        client.proxy = false;
        client.name = address->to_string() + " through " + direct.name;
        if (!trusted.contains(*address)) {
            break;
        }
    }
    const auto protocols = items_of(headers, "X-Forwarded-Proto");
    if (!protocols.empty() && (protocols.back() == "https" || protocols.back() == "wss")) {
        client.secure = true;
    } else if (!protocols.empty() && (protocols.back() == "http" || protocols.back() == "ws")) {
        client.secure = false;
    }
    return client;
}

}  // namespace session_buddy::server
