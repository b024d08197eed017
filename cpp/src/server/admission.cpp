// Counts connections per address and in total, and evicts idle addresses in LRU order.
#include "admission.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "steady_time.hpp"

namespace session_buddy::server {

Limit limit_of(Refusal refusal, const Config& config) {
    switch (refusal) {
        case Refusal::connection_rate:
            return {"max_connections_per_second", config.max_connections_per_second};
        case Refusal::http_connections:
            return {"max_http_connections", config.max_http_connections};
        case Refusal::http_of_address:
        case Refusal::clients_of_address:
            return {"max_clients_per_address", config.max_clients_per_address};
        case Refusal::clients:
        case Refusal::origin:
        case Refusal::token:
            break;
    }
    return {"max_clients", config.max_clients};
}

std::string describe(Refusal refusal, const Config& config) {
    const Limit limit = limit_of(refusal, config);
    return fmt::format("{} ({})", limit.option, limit.value);
}

void Admission::Slot::reset() noexcept {
    if (auto* owner = std::exchange(owner_, nullptr)) {
        owner->release(entry_, kind_);
    }
}

Admission::Admission(const Config& config)
    : max_clients_(config.max_clients),
      max_per_address_(config.max_clients_per_address),
      max_http_(config.max_http_connections),
      rate_(config.max_connections_per_second),
      auth_failure_rate_(config.max_auth_failures_per_second),
      max_delay_(config.auth_timeout),
      max_idle_(config.max_tracked_addresses) {}

Admission::Verdict Admission::admit_connection(const Peer& peer, TimePoint now) {
    if (http_ >= max_http_) {
        return refuse(Refusal::http_connections);
    }
    if (peer.proxy) {
        return acquire(nullptr, Kind::http);
    }
    auto& entry = entry_for(peer, now);
    if (!entry.second.arrivals.try_acquire(now)) {
        return refuse(Refusal::connection_rate);
    }
    if (entry.second.http >= max_per_address_) {
        return refuse(Refusal::http_of_address);
    }
    return acquire(&entry, Kind::http);
}

Admission::Verdict Admission::admit_unauthenticated(const Peer& peer, TimePoint now) {
    auto& entry = entry_for(peer, now);
    if (entry.second.http >= max_per_address_) {
        return refuse(Refusal::clients_of_address);
    }
    return acquire(&entry, Kind::http);
}

bool Admission::admit_request(const Peer& peer, TimePoint now) {
    if (!peer.forwarded || entry_for(peer, now).second.arrivals.try_acquire(now)) {
        return true;
    }
    count_refusal(Refusal::connection_rate);
    return false;
}

Admission::Verdict Admission::admit_client(const Peer& peer, TimePoint now) {
    if (clients_ >= max_clients_) {
        return refuse(Refusal::clients);
    }
    auto& entry = entry_for(peer, now);
    if (entry.second.websockets >= max_per_address_) {
        return refuse(Refusal::clients_of_address);
    }
    return acquire(&entry, Kind::websocket);
}

Refusal Admission::refuse(Refusal refusal) {
    count_refusal(refusal);
    return refusal;
}

Admission::TimePoint::duration Admission::auth_failure_delay(const Peer& peer, TimePoint now) {
    // The debt is capped at what max_delay_ pays off, so that mistyped tokens do not lock a user out for long.
    const double debt =
        -entry_for(peer, now).second.auth_failures.spend_with_floor(-max_delay_.count() * auth_failure_rate_, now) /
        auth_failure_rate_;
    return steady(Seconds(std::max(0.0, debt)));
}

Admission::Entries::value_type& Admission::entry_for(const Peer& peer, TimePoint now) {
    const auto [found, is_new] = entries_.try_emplace(peer.address.client_network(), rate_, auth_failure_rate_, now);
    auto& entry = *found;
    if (is_new) {
        entry.second.lru_position = idle_.insert(idle_.end(), entry.first);
        if (idle_.size() > max_idle_) {
            evict_oldest();
        }
    } else if (entry.second.idle()) {
        idle_.splice(idle_.end(), idle_, entry.second.lru_position);
    }
    return entry;
}

Admission::Slot Admission::acquire(Entries::value_type* entry, Kind kind) {
    if (entry != nullptr) {
        if (entry->second.idle()) {
            busy_.splice(busy_.end(), idle_, entry->second.lru_position);
        }
        ++(kind == Kind::http ? entry->second.http : entry->second.websockets);
    }
    ++(kind == Kind::http ? http_ : clients_);
    return {*this, entry, kind};
}

void Admission::release(Entries::value_type* entry, Kind kind) noexcept {
    --(kind == Kind::http ? http_ : clients_);
    if (entry == nullptr) {
        return;
    }
    --(kind == Kind::http ? entry->second.http : entry->second.websockets);
    if (entry->second.idle()) {
        idle_.splice(idle_.end(), busy_, entry->second.lru_position);
        if (idle_.size() > max_idle_) {
            evict_oldest();
        }
    }
}

void Admission::evict_oldest() noexcept {
    entries_.erase(idle_.front());
    idle_.pop_front();
}

}  // namespace session_buddy::server
