// Connects storage, collector, queries and network, and starts and stops them in the right order.
#include "session_buddy/app/real_time_server.hpp"

#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "process_stats.hpp"
#include "session_buddy/app/alert_thread.hpp"
#include "session_buddy/app/collector.hpp"
#include "session_buddy/app/intake_thread.hpp"
#include "session_buddy/app/query_thread.hpp"
#include "session_buddy/app/retention_thread.hpp"
#include "session_buddy/app/rollup_thread.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/prometheus/exposition.hpp"
#include "session_buddy/server/network_server.hpp"

namespace session_buddy::app {
struct RealTimeServer::Impl {
    explicit Impl(Config server_config) : config(std::move(server_config)) {}

    // The components between start() and stop(). They are destroyed in reverse order: the sources of snapshots before
    // the network.
    struct Components {
        explicit Components(Impl& owner)
            : started_at(owner.clock.now()),
              intake(owner.config, owner.clock),
              alerts(owner.config, owner.clock),
              queries(owner.config, owner.clock,
                      [this, &owner](const server::QueryRequest& request, const SnapshotPtr& snapshot) {
                          return metrics(request, *snapshot, owner.clock.now());
                      }),
              network(owner.config, owner.clock, &intake, &queries, &alerts),
              rollup(owner.config, owner.clock),
              retention(owner.config, owner.clock),
              collector(owner.config, owner.clock, [this, &owner](SnapshotPtr snapshot) {
                  owner.distribute(snapshot);
                  queries.publish(snapshot);
                  network.publish(std::move(snapshot));
              }) {}

        /// Their last responses go through the network, so stop them while it exists.
        ~Components() {
            intake.stop();
            alerts.stop();
            queries.stop();
        }
        Components(const Components&) = delete;
        Components& operator=(const Components&) = delete;

        /// Called on the query thread, while all components exist.
        [[nodiscard]] server::HttpReply metrics(const server::QueryRequest& request, const Snapshot& snapshot,
                                                TimePoint now) const {
            const prometheus::Format format = prometheus::negotiate(request.accept);
            server::HttpReply response;
            response.content_type = prometheus::content_type(format);
            response.headers = {{"Vary", "Origin, Accept, Accept-Encoding"}};
            response.body = prometheus::render({.snapshot = snapshot,
                                                .network = network.stats(),
                                                .intake_rows = intake.rows_stored(),
                                                .process = process_stats(),
                                                .started_at = started_at,
                                                .now = now},
                                               format);
            return response;
        }

        const TimePoint started_at;
        IntakeThread intake;
        AlertThread alerts;
        QueryThreads queries;
        server::NetworkServer network;
        RollupThread rollup;
        RetentionThread retention;
        Collector collector;
    };

    void distribute(const SnapshotPtr& snapshot) {
        {
            const std::lock_guard lock(latest_mutex);
            latest = snapshot;
        }
        const std::lock_guard lock(listeners_mutex);
        for (const auto& [id, listener] : listeners) {
            listener(snapshot);
        }
    }

    const Config config;
    const SystemClock clock;

    mutable std::mutex lifecycle_mutex;  // held while starting, stopping and reading `components`
    std::unique_ptr<Components> components;

    mutable std::mutex latest_mutex;
    SnapshotPtr latest = std::make_shared<Snapshot>();

    std::mutex listeners_mutex;
    std::map<std::size_t, Listener> listeners;
    std::size_t next_listener = 1;
};

RealTimeServer::RealTimeServer(Config config) : impl_(std::make_unique<Impl>(std::move(config))) {}

RealTimeServer::~RealTimeServer() {
    stop();
}

void RealTimeServer::start() {
    const std::lock_guard lock(impl_->lifecycle_mutex);
    if (impl_->components) {
        throw std::logic_error("the server is already running; stop it first");
    }
    auto components = std::make_unique<Impl::Components>(*impl_);
    components->network.bind();
    components->collector.open();
    components->network.start();
    components->collector.start();
    components->intake.start();
    components->alerts.start();
    components->queries.start();
    components->rollup.start();
    components->retention.start();
    impl_->components = std::move(components);
    log::kServer.info("database {}", impl_->config.db_path);
}

void RealTimeServer::stop() {
    const std::lock_guard lock(impl_->lifecycle_mutex);
    if (!impl_->components) {
        return;
    }
    impl_->components->collector.stop();
    impl_->components->retention.stop();
    impl_->components->rollup.stop();
    impl_->components->intake.stop();
    impl_->components->alerts.stop();
    impl_->components->queries.stop();
    impl_->components->network.stop();
    impl_->components.reset();
}

void RealTimeServer::reload() {
    const std::lock_guard lock(impl_->lifecycle_mutex);
    if (impl_->components) {
        impl_->components->network.reload();
    }
}

bool RealTimeServer::running() const {
    const std::lock_guard lock(impl_->lifecycle_mutex);
    return impl_->components != nullptr;
}

std::uint16_t RealTimeServer::port() const {
    const std::lock_guard lock(impl_->lifecycle_mutex);
    return impl_->components ? impl_->components->network.port() : std::uint16_t{0};
}

std::vector<std::string> RealTimeServer::endpoints() const {
    const std::lock_guard lock(impl_->lifecycle_mutex);
    return impl_->components ? impl_->components->network.endpoints() : std::vector<std::string>{};
}

const Config& RealTimeServer::config() const {
    return impl_->config;
}

SnapshotPtr RealTimeServer::latest() const {
    const std::lock_guard lock(impl_->latest_mutex);
    return impl_->latest;
}

std::size_t RealTimeServer::add_listener(Listener listener) {
    const std::lock_guard lock(impl_->listeners_mutex);
    impl_->listeners.emplace(impl_->next_listener, std::move(listener));
    return impl_->next_listener++;
}

void RealTimeServer::remove_listener(std::size_t id) {
    const std::lock_guard lock(impl_->listeners_mutex);
    impl_->listeners.erase(id);
}

}  // namespace session_buddy::app
