// See admission.hpp.
#include "admission.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace session_buddy::server {

std::string describe(Refusal refusal, const Config& config) {
    switch (refusal) {
        case Refusal::connection_rate:
            return fmt::format("max_connections_per_second ({})", config.max_connections_per_second);
        case Refusal::http_connections:
            return fmt::format("max_http_connections ({})", config.max_http_connections);
        case Refusal::http_of_address:
        case Refusal::clients_of_address:
            return fmt::format("max_clients_per_address ({})", config.max_clients_per_address);
        case Refusal::clients:
            break;
    }
    return fmt::format("max_clients ({})", config.max_clients);
}

void Admission::Slot::reset() noexcept {
    if (auto* owner = std::exchange(owner_, nullptr)) {
        owner->give_back(entry_, kind_);
    }
}

Admission::Admission(const Config& config)
    : max_clients_(config.max_clients),
      max_per_address_(config.max_clients_per_address),
      max_http_(config.max_http_connections),
      rate_(config.max_connections_per_second),
      refusal_rate_(config.max_auth_failures_per_second),
      max_delay_(config.auth_timeout),
      max_idle_(config.max_tracked_addresses) {}

Admission::Verdict Admission::take_http(const Peer& peer, TimePoint now) {
    if (http_ >= max_http_) {
        return count(Refusal::http_connections);
    }
    if (peer.proxy) {
        return take(nullptr, Kind::http);
    }
    auto& entry = entry_of(peer, now);
    if (!entry.second.arrivals.take(now)) {
        return count(Refusal::connection_rate);
    }
    if (entry.second.http >= max_per_address_) {
        return count(Refusal::http_of_address);
    }
    return take(&entry, Kind::http);
}

Admission::Verdict Admission::admit_unauthenticated(const Peer& peer, TimePoint now) {
    auto& entry = entry_of(peer, now);
    if (entry.second.http >= max_per_address_) {
        return count(Refusal::clients_of_address);
    }
    return take(&entry, Kind::http);
}

bool Admission::take_request(const Peer& peer, TimePoint now) {
    if (!peer.forwarded || entry_of(peer, now).second.arrivals.take(now)) {
        return true;
    }
    static_cast<void>(count(Refusal::connection_rate));
    return false;
}

Admission::Verdict Admission::take_websocket(const Peer& peer, TimePoint now) {
    if (clients_ >= max_clients_) {
        return count(Refusal::clients);
    }
    auto& entry = entry_of(peer, now);
    if (entry.second.websockets >= max_per_address_) {
        return count(Refusal::clients_of_address);
    }
    return take(&entry, Kind::websocket);
}

Refusal Admission::count(Refusal refusal) {
    refused_.at(static_cast<std::size_t>(refusal)).add();
    return refusal;
}

Admission::TimePoint::duration Admission::delay_of_refusal(const Peer& peer, TimePoint now) {
    // A debt of no more than what the longest delay pays off: whoever mistyped a token need not wait for an hour.
    const double debt =
        -entry_of(peer, now).second.refusals.spend_down_to(-max_delay_.count() * refusal_rate_, now) / refusal_rate_;
    return steady(Seconds(std::max(0.0, debt)));
}

Admission::Entries::value_type& Admission::entry_of(const Peer& peer, TimePoint now) {
    const auto [found, is_new] = entries_.try_emplace(peer.address.client_network(), rate_, refusal_rate_, now);
    auto& entry = *found;
    if (is_new) {
        entry.second.turn = idle_.insert(idle_.end(), entry.first);
        if (idle_.size() > max_idle_) {
            forget_oldest();
        }
    } else if (entry.second.idle()) {
        idle_.splice(idle_.end(), idle_, entry.second.turn);
    }
    return entry;
}

Admission::Slot Admission::take(Entries::value_type* entry, Kind kind) {
    if (entry != nullptr) {
        if (entry->second.idle()) {
            busy_.splice(busy_.end(), idle_, entry->second.turn);
        }
        ++(kind == Kind::http ? entry->second.http : entry->second.websockets);
    }
    ++(kind == Kind::http ? http_ : clients_);
    return {*this, entry, kind};
}

void Admission::give_back(Entries::value_type* entry, Kind kind) noexcept {
    --(kind == Kind::http ? http_ : clients_);
    if (entry == nullptr) {
        return;
    }
    --(kind == Kind::http ? entry->second.http : entry->second.websockets);
    if (entry->second.idle()) {
        idle_.splice(idle_.end(), busy_, entry->second.turn);
        if (idle_.size() > max_idle_) {
            forget_oldest();
        }
    }
}

void Admission::forget_oldest() noexcept {
    entries_.erase(idle_.front());
    idle_.pop_front();
}

}  // namespace session_buddy::server
