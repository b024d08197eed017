// RealTimeServer and its snapshots for Python.
#include <pybind11/stl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "arguments.hpp"
#include "bindings.hpp"
#include "entities.hpp"
#include "session_buddy/app/real_time_server.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/protocol/entities.hpp"
#include "session_buddy/protocol/open_alerts.hpp"

namespace session_buddy::bindings {
namespace {

using ServerPtr = std::shared_ptr<app::RealTimeServer>;

constexpr auto kDatabaseHealth = entity(
    "DatabaseHealth", "Whether the last cycle could read the database.", field<"readable">(&DatabaseHealth::readable),
    field<"reason">(&DatabaseHealth::reason, "A short sentence; empty if readable."));

py::list top_skills(const Snapshot& snapshot) {
    py::list skills;
    for (const std::uint32_t index : snapshot.skills->top()) {
        skills.append(to_dict<protocol::kTopSkill>(snapshot.skills->at(index)));
    }
    return skills;
}

py::list anomalies(const Snapshot& snapshot) {
    const protocol::OpenAlerts open(*snapshot.alerts);
    py::list items;
    for (const Anomaly& anomaly : *snapshot.anomalies) {
        items.append(to_dict<protocol::kAnomaly>(open.item(anomaly)));
    }
    return items;
}

// The message `metrics_update` of the WebSocket API, with additional members for embedding programs.
py::dict snapshot_dict(const Snapshot& snapshot) {
    py::dict data;
    data["top_skills"] = top_skills(snapshot);
    data["anomalies"] = anomalies(snapshot);
    data["alerts"] = to_dicts<protocol::kAlert>(*snapshot.alerts);
    py::dict fields;
    fields["type"] = "metrics_update";
    fields["timestamp"] = format_timestamp(snapshot.at);
    fields["data"] = std::move(data);
    fields["sequence"] = snapshot.sequence;
    fields["sessions"] = to_dicts<protocol::kActiveSession>(*snapshot.sessions);
    fields["database"] = to_dict<kDatabaseHealth>(snapshot.database);
    return fields;
}

py::object metrics_of(const Snapshot& snapshot, const std::string& skill_name) {
    const SkillMetrics* skill = snapshot.skills->find(skill_name);
    return skill == nullptr ? py::object(py::none()) : py::object(to_dict<protocol::kSkillSummary>(*skill));
}

options::Value to_value(const options::Option& option, py::handle value) {
    switch (option.kind) {
        case options::Kind::boolean:
            return to_bool(option.name, value);
        case options::Kind::integer: {
            int overflow = 0;
            const std::int64_t number = to_integer(option.name, value, overflow);
            return overflow == 0 ? number : overflow * INT64_MAX;  // out of every range either way
        }
        case options::Kind::number:
            return to_number(option.name, value);
        case options::Kind::duration:
            return to_number(option.name, value, "a number of seconds");
        default:
            return to_text(option.name, value);
    }
}

// Where an empty text is an error, None stands for "not set".
bool is_optional(const options::Option& option) {
    return option.security_critical || option.name == "db_path";
}

Config to_config(const py::dict& settings) {
    Config config;
    for (const auto& [key, value] : settings) {
        const auto name = key.cast<std::string>();
        const options::Option* option = options::find(name);
        if (option == nullptr) {
            throw py::type_error("unexpected setting " + name);
        }
        if (is_optional(*option) && value.is_none()) {
            continue;
        }
        const bool is_path = is_optional(*option) && py::hasattr(value, "__fspath__");
        const auto given = is_path ? py::reinterpret_steal<py::object>(PyOS_FSPath(value.ptr()))
                                   : py::reinterpret_borrow<py::object>(value);
        if (!given) {
            throw py::error_already_set();
        }
        options::assign(config, *option, to_value(*option, given), name);
    }
    options::assign_security_options(config, options::Environment::from_process());
    const auto given = config.db_path.empty() ? std::nullopt : std::optional(config.db_path);
    config.db_path = options::resolve_db_path(given, options::Environment::from_process()).value;
    options::resolve_paths(config, options::Environment::from_process());
    options::check(config);
    return config;
}

class Server {
  public:
    explicit Server(const py::dict& settings)
        : server_(std::make_shared<app::RealTimeServer>(to_config(settings))), owner_(::getpid()) {}
    ~Server() { drop(server_, owner_); }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Releases the GIL, as dropping the last reference stops the server. In a forked child the threads that a stop
    // would join do not exist, so the reference is leaked there.
    static void drop(ServerPtr& server, pid_t owner) {
        if (::getpid() != owner) {
            static_cast<void>(new (std::nothrow)
                                  ServerPtr(std::move(server)));  // NOLINT(cppcoreguidelines-owning-memory)
            return;
        }
        const py::gil_scoped_release released;
        server.reset();
    }

    void start() { server_->start(); }
    void stop() { server_->stop(); }
    void reload() { server_->reload(); }
    [[nodiscard]] std::uint16_t port() const { return server_->port(); }
    [[nodiscard]] std::vector<std::string> endpoints() const { return server_->endpoints(); }
    [[nodiscard]] py::dict snapshot() const { return snapshot_dict(*server_->latest()); }
    [[nodiscard]] py::object metrics(const std::string& skill_name) const {
        return metrics_of(*server_->latest(), skill_name);
    }
    [[nodiscard]] py::dict settings() const { return settings_of(server_->config()); }
    [[nodiscard]] const ServerPtr& shared() const { return server_; }
    [[nodiscard]] pid_t owner() const { return owner_; }

  private:
    ServerPtr server_;
    pid_t owner_;
};

// A snapshot as returned by the feed; converted to a dict only on request.
struct SnapshotHandle {
    SnapshotPtr snapshot;
};

struct Pending {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<SnapshotPtr> snapshots;
    std::size_t capacity = 0;
    std::uint64_t dropped = 0;
    bool closed = false;

    void push(const SnapshotPtr& snapshot) {
        {
            const std::lock_guard lock(mutex);
            if (snapshots.size() >= capacity) {
                snapshots.pop_front();
                ++dropped;
            }
            snapshots.push_back(snapshot);
        }
        wake.notify_one();
    }
};

/// Queues the newest `capacity` snapshots of a server until Python fetches them.
class SnapshotFeed {
  public:
    SnapshotFeed(const Server& server, std::size_t capacity)
        : server_(server.shared()), owner_(server.owner()), pending_(std::make_shared<Pending>()) {
        pending_->capacity = capacity;
        const py::gil_scoped_release released;
        listener_ =
            server_->add_listener([pending = pending_](const SnapshotPtr& snapshot) { pending->push(snapshot); });
    }
    ~SnapshotFeed() {
        if (::getpid() == owner_) {
            close();
        }
        Server::drop(server_, owner_);
    }
    SnapshotFeed(const SnapshotFeed&) = delete;
    SnapshotFeed& operator=(const SnapshotFeed&) = delete;

    std::optional<SnapshotHandle> next(double timeout) {
        const py::gil_scoped_release released;
        std::unique_lock lock(pending_->mutex);
        pending_->wake.wait_for(lock, std::chrono::duration<double>(timeout),
                                [this] { return pending_->closed || !pending_->snapshots.empty(); });
        if (pending_->closed || pending_->snapshots.empty()) {
            return std::nullopt;
        }
        SnapshotHandle handle{std::move(pending_->snapshots.front())};
        pending_->snapshots.pop_front();
        return handle;
    }

    void close() {
        const py::gil_scoped_release released;
        {
            const std::lock_guard lock(pending_->mutex);
            if (std::exchange(pending_->closed, true)) {
                return;
            }
        }
        pending_->wake.notify_all();
        server_->remove_listener(listener_);
    }

    [[nodiscard]] bool closed() const {
        const std::lock_guard lock(pending_->mutex);
        return pending_->closed;
    }

    [[nodiscard]] std::uint64_t dropped() const {
        const std::lock_guard lock(pending_->mutex);
        return pending_->dropped;
    }

  private:
    ServerPtr server_;
    pid_t owner_;
    std::shared_ptr<Pending> pending_;
    std::size_t listener_ = 0;
};

}  // namespace

void bind_server(py::module_& module) {
    add_entity<protocol::kPlainTopSkill, SkillMetrics>();
    add_entity<protocol::kTopSkill, SkillMetrics>();
    add_entity<protocol::kErrorCount, std::pair<std::string, std::int64_t>>();
    add_entity<protocol::kAlertLevel, AlertLevel>();
    add_entity<protocol::kGrownError, GrownError>();
    add_entity<protocol::kAlert, Alert>();
    add_entity<protocol::kMute, Mute>();
    add_entity<protocol::kAnomalyDetails, protocol::AnomalyItem>();
    add_entity<protocol::kAnomaly, protocol::AnomalyItem>();
    add_entity<protocol::kActiveSession, SessionMetrics>();
    add_entity<protocol::kSkillSummary, SkillMetrics>();
    add_entity<kDatabaseHealth, DatabaseHealth>();
    add_entity<protocol::kWindow, WindowMetrics>();
    add_entity<protocol::kLifetime, LifetimeMetrics>();
    add_entity<protocol::kLifetimeSums, LifetimeMetrics>();
    add_entity<protocol::kGroup, protocol::SkillGroup>();
    add_entity<protocol::kOpenAnomaly, protocol::AnomalyItem>();
    add_entity<protocol::kPhase, PhaseCount>();
    add_entity<protocol::kPoint, protocol::SeriesItem>();
    add_entity<protocol::kEpisode, protocol::EpisodeItem>();
    module.def("skill_sorts", &names_of<protocol::kSkillSorts>, "The sort keys of GET /api/v1/skills.");
    py::class_<SnapshotHandle>(module, "Snapshot", "An immutable published state.")
        .def("to_dict", [](const SnapshotHandle& handle) { return snapshot_dict(*handle.snapshot); });

    py::class_<Server>(module, "RealTimeServer", "The native server; start() and stop() block and are thread-safe.")
        .def(py::init<const py::dict&>(), py::arg("settings"))
        .def("start", &Server::start, py::call_guard<py::gil_scoped_release>())
        .def("stop", &Server::stop, py::call_guard<py::gil_scoped_release>())
        .def("reload", &Server::reload, py::call_guard<py::gil_scoped_release>())
        .def("port", &Server::port, py::call_guard<py::gil_scoped_release>())
        .def("endpoints", &Server::endpoints, py::call_guard<py::gil_scoped_release>())
        .def("snapshot", &Server::snapshot)
        .def("metrics", &Server::metrics, py::arg("skill_name"))
        .def("settings", &Server::settings);

    py::class_<SnapshotFeed>(module, "SnapshotFeed",
                             "A queue of the newest snapshots of a server, from its construction on.")
        .def(py::init<const Server&, std::size_t>(), py::arg("server"), py::arg("capacity"))
        .def("next", &SnapshotFeed::next, py::arg("timeout"),
             "Waits up to timeout seconds; None after the timeout or if closed.")
        .def("close", &SnapshotFeed::close)
        .def_property_readonly("closed", &SnapshotFeed::closed)
        .def_property_readonly("dropped", &SnapshotFeed::dropped);
}

}  // namespace session_buddy::bindings
