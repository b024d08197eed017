// Admission control: connection limits in total and per address, and rate limits per address.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "peer.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/counter.hpp"
#include "session_buddy/core/server_stats.hpp"
#include "token_bucket.hpp"

namespace session_buddy::server {

/// The option that sets a limit, and its value.
struct Limit {
    std::string_view option;
    std::int64_t value;
};
/// Of a refusal by a limit, not of `origin` and `token`.
[[nodiscard]] Limit limit_of(Refusal refusal, const Config& config);
/// "max_clients (100)"
[[nodiscard]] std::string describe(Refusal refusal, const Config& config);

/// Used by the network thread only; must outlive every Slot. Memory is bounded: of the addresses without a connection
/// only the max_tracked_addresses most recent ones are tracked (LRU).
class Admission {
  public:
    using TimePoint = TokenBucket::TimePoint;

  private:
    enum class Kind : std::uint8_t { http, websocket };
    struct Entry {
        Entry(double arrival_rate, double auth_failure_rate, TimePoint now)
            : arrivals(arrival_rate, now), auth_failures(auth_failure_rate, now) {}
        [[nodiscard]] bool idle() const { return http == 0 && websockets == 0; }
        TokenBucket arrivals;
        TokenBucket auth_failures;
        std::uint32_t http = 0;
        std::uint32_t websockets = 0;
        std::list<IpAddress>::iterator lru_position;  // in idle_ or busy_
    };
    using Entries = std::map<IpAddress, Entry>;

  public:
    /// Holds one connection slot and releases it when destroyed.
    class Slot {
      public:
        Slot() = default;
        ~Slot() { reset(); }
        Slot(Slot&& other) noexcept
            : owner_(std::exchange(other.owner_, nullptr)), entry_(other.entry_), kind_(other.kind_) {}
        Slot& operator=(Slot&& other) noexcept {
            if (this != &other) {
                reset();
                owner_ = std::exchange(other.owner_, nullptr);
                entry_ = other.entry_;
                kind_ = other.kind_;
            }
            return *this;
        }
        void reset() noexcept;

      private:
        friend class Admission;
        Slot(Admission& owner, Entries::value_type* entry, Kind kind) : owner_(&owner), entry_(entry), kind_(kind) {}
        Admission* owner_ = nullptr;
        Entries::value_type* entry_ = nullptr;  // nullptr: counts for no address
        Kind kind_ = Kind::http;
    };
    using Verdict = std::variant<Slot, Refusal>;

    explicit Admission(const Config& config);
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;

    /// Admits a new connection. For a trusted proxy only max_http_connections counts, because it forwards the requests
    /// of many clients.
    [[nodiscard]] Verdict admit_connection(const Peer& peer, TimePoint now);
    /// Applies the connection rate to a request forwarded by a proxy, as if it were a new connection of its client.
    /// False if the rate is exceeded.
    [[nodiscard]] bool admit_request(const Peer& peer, TimePoint now);
    /// Admits a WebSocket whose client has not authenticated yet: it still counts as an HTTP connection, for the
    /// forwarded address if it came through a proxy.
    [[nodiscard]] Verdict admit_unauthenticated(const Peer& peer, TimePoint now);
    /// Admits a connection that becomes a WebSocket client.
    [[nodiscard]] Verdict admit_client(const Peer& peer, TimePoint now);

    /// Records a failed authentication and returns by how long to delay its response, so that an address that tries
    /// tokens one after the other gets max_auth_failures_per_second responses. A delay is at most auth_timeout, so over
    /// parallel connections an address gets max_clients_per_address responses in that time.
    [[nodiscard]] TimePoint::duration auth_failure_delay(const Peer& peer, TimePoint now);

    // Thread-safe: clients(), http_connections(), refused().
    [[nodiscard]] std::uint32_t clients() const { return clients_; }
    [[nodiscard]] std::uint32_t http_connections() const { return http_; }
    [[nodiscard]] std::uint64_t refused(Refusal refusal) const {
        return refused_.at(static_cast<std::size_t>(refusal)).value();
    }
    /// Counts a refusal for another reason than a limit, too.
    void count_refusal(Refusal refusal) { refused_.at(static_cast<std::size_t>(refusal)).add(); }
    [[nodiscard]] std::size_t tracked_addresses() const { return entries_.size(); }

  private:
    Entries::value_type& entry_for(const Peer& peer, TimePoint now);
    [[nodiscard]] Slot acquire(Entries::value_type* entry, Kind kind);
    [[nodiscard]] Refusal refuse(Refusal refusal);
    void release(Entries::value_type* entry, Kind kind) noexcept;
    void evict_oldest() noexcept;

    const std::uint32_t max_clients_;
    const std::uint32_t max_per_address_;
    const std::uint32_t max_http_;
    const double rate_;
    const double auth_failure_rate_;
    const Seconds max_delay_;
    const std::size_t max_idle_;
    std::atomic<std::uint32_t> clients_ = 0;
    std::atomic<std::uint32_t> http_ = 0;
    std::array<Counter, kRefusals.size()> refused_;  // by Refusal
    Entries entries_;
    std::list<IpAddress> idle_;  // addresses without a connection, most recently used last
    std::list<IpAddress> busy_;  // addresses with connections
};

}  // namespace session_buddy::server
