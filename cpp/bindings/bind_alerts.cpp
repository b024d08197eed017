// Alerts, acknowledgements and mutes of a database, without a server (session-buddy alerts).
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "bindings.hpp"
#include "entities.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/protocol/entities.hpp"
#include "session_buddy/storage/alert_store.hpp"

namespace session_buddy::bindings {
namespace {

constexpr std::chrono::milliseconds kBusyTimeout{5000};

TimePoint now() {
    return SystemClock().now();
}

py::dict alerts(const std::string& db_path, std::optional<bool> open, std::optional<std::string> skill,
                std::int64_t limit) {
    const storage::AlertFilter filter{.open = open, .skill_name = std::move(skill), .limit = limit};
    const auto page = without_gil([&] { return storage::read_alerts(db_path, filter, now(), kBusyTimeout); });
    py::dict found;
    found["total"] = page.total;
    found["alerts"] = to_dicts<protocol::kAlert>(page.alerts);
    found["mutes"] = to_dicts<protocol::kMute>(page.mutes);
    return found;
}

py::object acknowledge_alert(const std::string& db_path, std::int64_t id, const std::string& note) {
    const auto alert =
        without_gil([&] { return storage::AlertStore(db_path, kBusyTimeout).acknowledge(id, note, now()); });
    return to_object<protocol::kAlert>(alert);
}

py::dict mute_skill(const std::string& db_path, const std::string& skill, std::optional<std::int64_t> until,
                    const std::string& reason) {
    const auto end = until ? std::optional(TimePoint(std::chrono::microseconds(*until))) : std::nullopt;
    const auto mute =
        without_gil([&] { return storage::AlertStore(db_path, kBusyTimeout).mute(skill, end, reason, now()); });
    return to_dict<protocol::kMute>(mute);
}

bool unmute_skill(const std::string& db_path, const std::string& skill) {
    return without_gil([&] { return storage::AlertStore(db_path, kBusyTimeout).unmute(skill, now()); });
}

}  // namespace

void bind_alerts(py::module_& module) {
    module.def("alerts", &alerts, py::arg("db_path"), py::kw_only(), py::arg("open"), py::arg("skill"),
               py::arg("limit"), "The newest alerts, and the mutes in effect; None matches all.");
    module.def("acknowledge_alert", &acknowledge_alert, py::arg("db_path"), py::arg("id"), py::arg("note"),
               "The alert as it is then, or None if there is none with this id.");
    module.def("mute_skill", &mute_skill, py::arg("db_path"), py::arg("skill"), py::arg("until"), py::arg("reason"),
               "The mute. `until` in microseconds since 1970; None: until it is removed.");
    module.def("unmute_skill", &unmute_skill, py::arg("db_path"), py::arg("skill"), "False if it is not muted.");
}

}  // namespace session_buddy::bindings
