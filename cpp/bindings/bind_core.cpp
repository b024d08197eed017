// Timestamps, durations, the table of options, the server command.
#include <pybind11/stl.h>

#include <array>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "entities.hpp"
#include "session_buddy/app/server_command.hpp"
#include "session_buddy/core/enum_names.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::bindings {
namespace {

constexpr EnumNames kKinds{std::array{
    EnumName{options::Kind::text, "text"}, EnumName{options::Kind::path, "path"}, EnumName{options::Kind::list, "list"},
    EnumName{options::Kind::secret, "secret"}, EnumName{options::Kind::boolean, "boolean"},
    EnumName{options::Kind::integer, "integer"}, EnumName{options::Kind::number, "number"},
    EnumName{options::Kind::duration, "duration"}, EnumName{options::Kind::choice, "choice"}}};

using options::Option;

constexpr auto kOption =
    entity("OptionDescription", "", field<"name">(&Option::name), field<"group">(&Option::group),
           field<"kind">([](const Option& option) { return kKinds[option.kind]; }), field<"flag">(options::flag_of),
           field<"variable">(options::environment_of), field<"range">(options::range_of),
           field<"default">([](const Option& option) { return options::read(Config{}, option); }),
           field<"security_critical">(&Option::security_critical), field<"cli_only">(&Option::cli_only),
           field<"help">(&Option::help));

py::dict configured_settings() {
    return settings_of(options::load({}, std::nullopt, options::Environment::from_process()).config);
}

std::optional<std::int64_t> parse_timestamp_micros(std::string_view text) {
    const auto at = parse_timestamp(text);
    return at ? std::optional<std::int64_t>(at->time_since_epoch().count()) : std::nullopt;
}

py::list describe_entities() {
    py::list described;
    for (const Describe describe : described_entities()) {
        described.append(describe());
    }
    return described;
}

int run_command(const std::vector<std::string>& arguments, const std::string& program) {
    std::vector<const char*> words;
    words.reserve(arguments.size());
    for (const std::string& argument : arguments) {
        words.push_back(argument.c_str());
    }
    const py::gil_scoped_release released;
    return app::run_server_command(words, program);
}

}  // namespace

std::vector<Describe>& described_entities() {
    static std::vector<Describe> entities;
    return entities;
}

py::dict settings_of(const Config& config) {
    py::dict values;
    for (const options::Option& option : options::table()) {
        if (!option.cli_only) {
            values[py::str(option.name)] = py::cast(options::read(config, option));
        }
    }
    return values;
}

void bind_core(py::module_& module) {
    add_entity<kOption, Option>();
    module.def("parse_timestamp", &parse_timestamp_micros, py::arg("text"), py::pos_only(),
               "Microseconds since 1970-01-01T00:00:00Z of an ISO 8601 timestamp; None if it cannot be parsed.");
    module.def(
        "format_timestamp",
        [](std::int64_t micros) { return format_timestamp(TimePoint(std::chrono::microseconds(micros))); },
        py::arg("micros"), py::pos_only(), "YYYY-MM-DDTHH:MM:SSZ of microseconds since 1970-01-01T00:00:00Z.");
    module.def(
        "parse_duration",
        [](std::string_view text) {
            const auto duration = options::parse_duration(text);
            return duration ? std::optional<double>(duration->count()) : std::nullopt;
        },
        py::arg("text"), py::pos_only(), "Seconds of 2.5, 500ms, 5m, 1h or 7d; None if it cannot be parsed.");
    module.def("entities", &describe_entities,
               "The field lists of the dicts of this module and of the APIs, as they are in types and schemas.");
    module.def("options", [] { return to_dicts<kOption>(options::table()); }, "The table of options, in order.");
    module.def("configured_settings", &configured_settings,
               "The options of the class as a server would use them in this environment: variable, config file, "
               "default. Durations are seconds, secrets hidden. Raises ValueError.");
    module.def(
        "resolve_db_path",
        [](const std::optional<std::string>& given) {
            return options::resolve_db_path(given, options::Environment::from_process()).value;
        },
        py::arg("given") = py::none(), py::pos_only(),
        "The absolute path of the database: given, else variable, config file, default. Raises ValueError.");
    module.def("run_server_command", &run_command, py::arg("arguments"), py::pos_only(),
               py::arg("program") = app::kServerProgram,
               "Runs the server command with these arguments until a signal stops it; returns its exit status. "
               "`program` is its name in the help.");
}

}  // namespace session_buddy::bindings
