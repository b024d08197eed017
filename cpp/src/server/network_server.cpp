// The network thread and the life cycle of the server. Other threads only post to its io_context.
#include "session_buddy/server/network_server.hpp"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

#include "accept_connection.hpp"
#include "asio.hpp"
#include "client_of_request.hpp"
#include "context.hpp"
#include "endpoints.hpp"
#include "listener.hpp"
#include "session_buddy/auth/authenticator.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/worker.hpp"
#include "token_checker.hpp"

namespace session_buddy::server {

namespace {

// Whether encryption and authentication allow listening beyond loopback.
bool may_listen_on_network(const Config& config) {
    const bool encrypted = !config.tls_cert.empty() || config.behind_proxy;
    const bool authenticated = auth::requires_token(config) || !config.tls_client_ca.empty();
    return config.insecure || (encrypted && authenticated);
}

// Resolution of the connection timeouts.
std::chrono::steady_clock::duration timeout_check_interval(const Config& config) {
    constexpr double kPart = 0.25;  // of the shortest timeout
    constexpr Seconds kLongest{1.0};
    const Seconds shortest = std::min({config.handshake_timeout, config.idle_timeout, config.write_timeout,
                                       config.ping_interval, config.ping_timeout});
    return steady(std::min(kPart * shortest, kLongest));
}

}  // namespace

struct NetworkServer::Impl {
    enum class Phase { created, bound, running, stopped };

    Impl(const Config& config, const Clock& clock, Intake* intake, Queries* queries, AlertCommands* commands)
        : context(config, clock, intake, queries, commands), timeout_timer(io), shutdown_timer(io) {}

    void run();
    void broadcast_pending();
    void check_timeouts();
    void for_each_connection(const std::function<void(Connection&)>& visit);
    void begin_shutdown();

    // Declared first, because pending handlers in `io` refer to it and are destroyed before it.
    ServerContext context;
    net::io_context io{1};
    net::executor_work_guard<net::io_context::executor_type> work{io.get_executor()};
    Timer timeout_timer;
    Timer shutdown_timer;
    std::vector<std::shared_ptr<Listener>> listeners;
    std::optional<TokenChecker> tokens;
    bool timeout_timer_running = false;  // the timer is pending
    bool all_aborted = false;            // shutdown_timeout has expired; network thread only
    Worker worker{"network"};

    std::mutex lifecycle_mutex;  // held during each change of phase, including the join
    Phase phase = Phase::created;

    mutable std::mutex address_mutex;
    std::uint16_t port = 0;
    std::vector<std::string> endpoints;

    // The newest snapshot not yet broadcast.
    std::mutex pending_mutex;
    SnapshotPtr pending;
    std::chrono::steady_clock::time_point pending_since;
};

void NetworkServer::Impl::run() {
    while (true) {
        try {
            // Restarts what an exception may have interrupted.
            for (const auto& listener : listeners) {
                listener->run();
            }
            if (!timeout_timer_running) {
                check_timeouts();
            }
            io.run();
            return;
        } catch (const std::exception& failure) {
            // Connections and listeners handle their own exceptions. What remains is, for example, running out of
            // memory during a broadcast.
            context.counters.failures.add();
            log::kServer.error("network thread: {}", failure.what());
        }
    }
}

void NetworkServer::Impl::broadcast_pending() {
    SnapshotPtr snapshot;
    {
        const std::scoped_lock lock(pending_mutex);
        snapshot = std::move(pending);
        pending.reset();
        context.published_at = pending_since;
    }
    context.broadcaster.publish(std::move(snapshot));
    context.counters.broadcasts.add(Seconds(std::chrono::steady_clock::now() - context.published_at).count());
}

// An exception, such as out of memory, ends that connection only; the others are still visited.
void NetworkServer::Impl::for_each_connection(const std::function<void(Connection&)>& visit) {
    context.connections.for_each([this, &visit](Connection& connection) {
        try {
            visit(connection);
        } catch (const std::exception& failure) {
            context.counters.failures.add();
            log::kServer.error("a connection failed: {}", failure.what());
            connection.abort();
        }
    });
}

// One timer checks the timeouts of all connections: a timer per client would cost more than the rest of an idle client.
void NetworkServer::Impl::check_timeouts() {
    if (all_aborted || (context.stopping && context.connections.empty())) {
        return;
    }
    timeout_timer.expires_after(timeout_check_interval(context.config));
    timeout_timer.async_wait([this](const error_code& error) {
        timeout_timer_running = false;
        if (error) {
            return;
        }
        const auto now = std::chrono::steady_clock::now();
        for_each_connection([now](Connection& connection) { connection.check_timeouts(now); });
        check_timeouts();
    });
    timeout_timer_running = true;
}

void NetworkServer::Impl::begin_shutdown() {
    context.stopping = true;
    for (const auto& listener : listeners) {
        listener->close();
    }
    work.reset();
    context.on_connection_closed = [this] {
        if (context.connections.empty()) {
            shutdown_timer.cancel();
            timeout_timer.cancel();
        }
    };
    for_each_connection([](Connection& connection) { connection.shut_down(); });
    if (context.connections.empty()) {
        timeout_timer.cancel();
        return;
    }
    shutdown_timer.expires_after(steady(context.config.shutdown_timeout));
    shutdown_timer.async_wait([this](const error_code& error) {
        if (error) {
            return;
        }
        log::kServer.debug("aborting {} connections that did not close within shutdown_timeout",
                           context.connections.size());
        context.connections.for_each([](Connection& connection) { connection.abort(); });
        // Connections whose requests are still in the intake have no deadline and must not keep the thread running.
        all_aborted = true;
        timeout_timer.cancel();
    });
}

NetworkServer::NetworkServer(const Config& config, const Clock& clock, Intake* intake, Queries* queries,
                             AlertCommands* commands)
    : impl_(std::make_unique<Impl>(config, clock, intake, queries, commands)) {}

NetworkServer::~NetworkServer() {
    stop();
}

void NetworkServer::bind() {
    const std::scoped_lock lock(impl_->lifecycle_mutex);
    if (impl_->phase != Impl::Phase::created) {
        throw std::logic_error("NetworkServer::bind: bound already");
    }
    const Config& config = impl_->context.config;
    impl_->context.tls = load_tls(config);
    if (auto authenticator = auth::Authenticator::load(config)) {
        log::kServer.info("clients must authenticate: {}", authenticator->description());
        impl_->tokens.emplace(impl_->io, std::move(authenticator), impl_->context.clock);
        impl_->context.tokens = &*impl_->tokens;
    }
    auto acceptors = listen_on(impl_->io, config.host, config.port,
                               may_listen_on_network(config) ? BindScope::network : BindScope::loopback);
    const std::scoped_lock address_lock(impl_->address_mutex);
    for (auto& acceptor : acceptors) {
        const auto endpoint = acceptor.local_endpoint();
        impl_->port = endpoint.port();
        impl_->endpoints.push_back(to_string(endpoint));
        impl_->context.origin_policy.add_listener(to_ip_address(endpoint.address()));
        impl_->listeners.push_back(std::make_shared<Listener>(
            std::move(acceptor),
            [&context = impl_->context](Socket socket) { accept_connection(std::move(socket), context); }));
    }
    impl_->phase = Impl::Phase::bound;
}

void NetworkServer::start() {
    const std::scoped_lock lock(impl_->lifecycle_mutex);
    if (impl_->phase != Impl::Phase::bound) {
        throw std::logic_error("NetworkServer::start: not bound, or started already");
    }
    impl_->worker.start([impl = impl_.get()] { impl->run(); });
    impl_->phase = Impl::Phase::running;
    for (const auto& endpoint : endpoints()) {
        log::kServer.info("listening on {}", endpoint);
    }
}

void NetworkServer::publish(SnapshotPtr snapshot) {
    if (!snapshot) {
        return;
    }
    {
        const std::scoped_lock lock(impl_->pending_mutex);
        const bool already_queued = impl_->pending != nullptr;
        impl_->pending = std::move(snapshot);
        impl_->pending_since = std::chrono::steady_clock::now();
        if (already_queued) {
            return;
        }
    }
    try {
        net::post(impl_->io, [impl = impl_.get()] { impl->broadcast_pending(); });
    } catch (...) {
        const std::scoped_lock lock(impl_->pending_mutex);
        impl_->pending.reset();  // else publish() would assume that a broadcast is pending
        throw;
    }
}

void NetworkServer::reload() {
    const std::scoped_lock lock(impl_->lifecycle_mutex);
    if (impl_->phase != Impl::Phase::running) {
        return;
    }
    auto tls = load_tls(impl_->context.config);
    auto authenticator = auth::Authenticator::load(impl_->context.config);
    if (authenticator) {
        log::kServer.info("clients must authenticate: {}", authenticator->description());
    }
    net::post(impl_->io, [impl = impl_.get(), tls = std::move(tls), authenticator = std::move(authenticator)] {
        impl->context.tls = tls;
        if (authenticator) {
            impl->tokens->replace(authenticator);
            impl->for_each_connection([](Connection& connection) { connection.on_tokens_replaced(); });
        }
    });
}

void NetworkServer::stop() {
    const std::scoped_lock lock(impl_->lifecycle_mutex);
    if (impl_->phase == Impl::Phase::running) {
        net::post(impl_->io, [impl = impl_.get()] { impl->begin_shutdown(); });
        impl_->worker.stop();
        // Handlers left in `io`, such as a late verdict, are destroyed with it, after the timers.
        impl_->context.on_connection_closed = nullptr;
        log::kServer.info("stopped");
    } else {
        for (const auto& listener : impl_->listeners) {
            listener->close();
        }
    }
    impl_->phase = Impl::Phase::stopped;
}

std::uint16_t NetworkServer::port() const {
    const std::scoped_lock lock(impl_->address_mutex);
    return impl_->port;
}

std::vector<std::string> NetworkServer::endpoints() const {
    const std::scoped_lock lock(impl_->address_mutex);
    return impl_->endpoints;
}

NetworkStats NetworkServer::stats() const {
    const ServerContext& context = impl_->context;
    const Counters& counters = context.counters;
    NetworkStats stats;
    stats.websocket_clients = context.admission.clients();
    stats.http_connections = context.admission.http_connections();
    for (const auto& [refusal, name] : kRefusals) {
        stats.refused.at(static_cast<std::size_t>(refusal)) = context.admission.refused(refusal);
    }
    stats.broadcasts = counters.broadcasts.histogram();
    stats.messages_sent = counters.messages_sent.value();
    stats.messages_received = counters.messages_received.value();
    stats.bytes_sent = counters.bytes_sent.value();
    stats.updates_replaced = context.broadcaster.replaced();
    stats.hook_requests = counters.hook_requests.value();
    stats.invocation_requests = counters.invocation_requests.value();
    stats.failures = counters.failures.value();
    return stats;
}

}  // namespace session_buddy::server
