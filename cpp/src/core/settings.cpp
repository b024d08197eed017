// Resolves the settings from flags, environment, TOML file and defaults, and prints the result.
// toml++ asserts on inputs like "["; it also reports them as parse errors, which is the behavior we want.
#define TOML_ASSERT(condition) static_cast<void>(0)

#include <spdlog/fmt/fmt.h>
#include <toml++/toml.h>

#ifdef __APPLE__
#include <crt_externs.h>
#else
#include <unistd.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/core/small_file.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::options {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "SESSION_BUDDY_";
constexpr const char* kConfigVariable = "SESSION_BUDDY_CONFIG";

struct FileSetting {
    const Option* option;
    Value value;
};

struct ConfigFile {
    std::string path;  // empty if there is none
    std::vector<FileSetting> settings;
};

std::optional<std::string> variable(const Environment& environment, const std::string& name) {
    auto value = environment.get(name);
    if (value && value->empty()) {
        value.reset();
    }
    return value;
}

// The same, but an empty variable of a security-critical option is an error instead of unset:
// "SESSION_BUDDY_JWT_SECRET=$UNSET" asks for authentication.
std::optional<std::string> variable_of(const Option& option, const Environment& environment) {
    const std::string name = environment_of(option);
    if (const auto value = environment.get(name); option.security_critical && value && value->empty()) {
        throw ConfigError(std::string(option.name),
                          fmt::format("{} is set and empty; give it a value or unset it", name));
    }
    return variable(environment, name);
}

// A misspelt variable must not be ignored silently: "SESSION_BUDDY_AUTH_TOKEN_FIEL" would mean no authentication. Other
// programs also use our prefix, so only a name similar to that of an option is an error.
void reject_misspelt_variables(const Environment& environment, bool security_only) {
    for (const std::string& variable : environment.variables) {
        const std::string name = ascii::lower(std::string_view(variable).substr(kPrefix.size()));
        const std::size_t typing_errors = name.size() < 8 ? 1 : 2;
        const std::string meant = nearest(name, typing_errors);
        if (meant.empty() || meant == name || (security_only && !find(meant)->security_critical)) {
            continue;
        }
        throw ConfigError(meant, fmt::format("{} is not an option; did you mean {}? Rename it or unset it", variable,
                                             environment_of(*find(meant))));
    }
}

std::optional<fs::path> home(const Environment& environment) {
    if (const auto value = variable(environment, "HOME")) {
        return fs::path(*value);
    }
    return std::nullopt;
}

// The XDG directory of `name`, else `fallback` under the home directory. A relative XDG path counts as not set, as the
// XDG specification requires.
std::optional<fs::path> user_directory(const Environment& environment, const std::string& name, const char* fallback) {
    if (const auto value = variable(environment, name); value && fs::path(*value).is_absolute()) {
        return fs::path(*value);
    }
    if (const auto directory = home(environment)) {
        return *directory / fallback;
    }
    return std::nullopt;
}

std::string absolute_path(const std::string& path, const Environment& environment,
                          std::string_view option = "db_path") {
    fs::path result(path);
    if (path == "~" || path.starts_with("~/")) {
        const auto directory = home(environment);
        if (!directory) {
            throw ConfigError(std::string(option), fmt::format("cannot expand {}: HOME is not set", path));
        }
        result = *directory / path.substr(std::min<std::size_t>(2, path.size()));
    }
    return (environment.current_directory / result).lexically_normal().string();
}

Value to_value(const toml::node& node, const Option& option, const std::string& subject) {
    if (const auto truth = node.value_exact<bool>()) {
        return *truth;
    }
    if (const auto whole = node.value_exact<std::int64_t>()) {
        return *whole;
    }
    if (const auto number = node.value_exact<double>()) {
        return *number;
    }
    if (const auto words = node.value_exact<std::string>()) {
        return *words;
    }
    throw ConfigError(std::string(option.name), fmt::format("{} must be a single value", subject));
}

std::string read_text(const std::string& path) {
    errno = 0;
    std::error_code ignored;
    std::ifstream stream(path, std::ios::binary);
    if (!stream || fs::is_directory(path, ignored)) {
        const int reason = errno != 0 ? errno : EISDIR;
        throw ConfigError(
            "config", fmt::format("cannot read the config file {}: {}", path, std::generic_category().message(reason)));
    }
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

// For a program that must not block: a pipe is rejected.
std::string read_regular_file(const std::string& path) {
    try {
        return read_small_file(path);
    } catch (const FileError& error) {
        throw ConfigError("config", fmt::format("cannot read the config file {}: {}", path, error.what()));
    }
}

toml::table parse(const std::string& text, const std::string& path) {
    if (!is_valid_utf8(text)) {  // toml++ relies on it
        throw ConfigError("config", fmt::format("cannot read the config file {}: it is not UTF-8 text", path));
    }
    try {
        return toml::parse(text, path);
    } catch (const toml::parse_error& error) {
        throw ConfigError("config",
                          fmt::format("{}, line {}: {}", path, error.source().begin.line, error.description()));
    }
}

ConfigFile read_file(const std::string& path) {
    ConfigFile file{path, {}};
    const toml::table document = parse(read_text(path), path);
    Config scratch;
    for (const auto& [key, node] : document) {
        const std::string_view name = key.str();
        const Option* option = find(name);
        if (option == nullptr) {
            const std::string meant = nearest(name);
            throw ConfigError(std::string(name), fmt::format("{}: unknown key {}{}", path, name,
                                                             meant.empty() ? "" : "; did you mean " + meant + "?"));
        }
        const std::string subject = fmt::format("{}: {}", path, name);
        Value value = to_value(node, *option, subject);
        // Validated even if a flag overrides it, so that an error in the file is always reported.
        assign(scratch, *option, value, subject);
        if (option->kind == Kind::secret) {
            try {
                check_secret_permissions(path);
            } catch (const FileError& reason) {
                throw ConfigError(std::string(name), fmt::format("{} contains {}, but {}", path, name, reason.what()));
            }
        }
        file.settings.push_back({option, std::move(value)});
    }
    return file;
}

// Empty if there is none.
std::string file_to_read(const std::optional<std::string>& named, const Environment& environment) {
    if (named && named->empty()) {
        throw ConfigError("config", "--config must name a file");
    }
    if (const auto value = environment.get(kConfigVariable); value && value->empty()) {
        throw ConfigError("config", fmt::format("{} is set and empty; give it a value or unset it", kConfigVariable));
    }
    if (const auto path = named ? named : variable(environment, kConfigVariable)) {
        return absolute_path(*path, environment);
    }
    if (const auto directory = user_directory(environment, "XDG_CONFIG_HOME", ".config")) {
        const fs::path path = *directory / "session-buddy" / "config.toml";
        std::error_code ignored;
        if (fs::exists(path, ignored)) {
            return path.string();
        }
    }
    return {};
}

ConfigFile find_file(const std::optional<std::string>& named, const Environment& environment) {
    const std::string path = file_to_read(named, environment);
    return path.empty() ? ConfigFile{} : read_file(path);
}

std::string checked_db_path(const std::string& path, const Environment& environment, const std::string& subject) {
    if (path.starts_with(":") || path.starts_with("file:")) {
        throw ConfigError("db_path", fmt::format("{} must be the path of a file, not '{}'", subject, path));
    }
    // Programs written for the SkillsTracker of the Python original pass a JSON file; do not create a database with
    // that name.
    if (fs::path(path).extension() == ".json") {
        throw ConfigError("db_path",
                          fmt::format("{} must be an SQLite database, not the JSON file '{}': name another file, such "
                                      "as skills.db, or none for the default",
                                      subject, path));
    }
    return absolute_path(path, environment);
}

char** process_environment() {
#ifdef __APPLE__
    return *_NSGetEnviron();  // environ is not available in shared libraries there
#else
    return environ;
#endif
}

}  // namespace

Environment Environment::from_process() {
    Environment environment;
    environment.get = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): no code here sets variables
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    };
    for (char** entry = process_environment(); entry != nullptr && *entry != nullptr; ++entry) {
        if (const std::string_view text = *entry; text.starts_with(kPrefix)) {
            environment.variables.emplace_back(text.substr(0, text.find('=')));
        }
    }
    std::error_code ignored;
    environment.current_directory = fs::current_path(ignored);
#ifdef __APPLE__
    environment.macos = true;
#endif
    return environment;
}

Resolved default_db_path(const Environment& environment) {
    const fs::path local = environment.current_directory / ".session-buddy" / "skills.db";
    std::error_code ignored;
    if (fs::exists(local, ignored)) {
        return {local.string(), "found in the current directory"};
    }
    const auto directory = environment.macos
                               ? user_directory(environment, "XDG_DATA_HOME", "Library/Application Support")
                               : user_directory(environment, "XDG_DATA_HOME", ".local/share");
    if (!directory) {
        throw ConfigError("db_path", "no location for the database: neither db_path nor HOME is set");
    }
    return {(*directory / "session-buddy" / "skills.db").string(), "default"};
}

Resolved resolve_db_path(const std::optional<std::string>& given, const Environment& environment) {
    const Option& option = *find("db_path");
    Config config;
    if (given) {
        assign(config, option, *given, "db_path");
        return {checked_db_path(config.db_path, environment, "db_path"), "argument"};
    }
    const std::string name = environment_of(option);
    if (const auto value = variable(environment, name)) {
        assign(config, option, *value, name);
        return {checked_db_path(config.db_path, environment, name), name};
    }
    const ConfigFile file = find_file(std::nullopt, environment);
    for (const FileSetting& setting : file.settings) {
        if (setting.option == &option) {
            const std::string subject = fmt::format("{}: db_path", file.path);
            return {checked_db_path(std::get<std::string>(setting.value), environment, subject), file.path};
        }
    }
    return default_db_path(environment);
}

void resolve_paths(Config& config, const Environment& environment) {
    for (const Option& option : table()) {
        if (option.kind != Kind::path) {
            continue;
        }
        auto& file = config.*std::get<std::string Config::*>(option.member);
        if (!file.empty()) {
            file = absolute_path(file, environment, option.name);
        }
    }
}

void assign_security_options(Config& config, const Environment& environment) {
    reject_misspelt_variables(environment, true);
    for (const Option& option : table()) {
        if (!option.security_critical || !(config.*std::get<std::string Config::*>(option.member)).empty()) {
            continue;
        }
        if (const auto value = variable_of(option, environment)) {
            assign_text(config, option, *value, environment_of(option));
        }
    }
}

Settings load(std::span<const Flag> flags, const std::optional<std::string>& config_file,
              const Environment& environment) {
    reject_misspelt_variables(environment, false);
    const auto options = table();
    Settings settings;
    settings.sources.assign(options.size(), "default");
    const auto source = [&](const Option& option) -> std::string& {
        return settings.sources[static_cast<std::size_t>(&option - options.data())];
    };
    std::string db_path_subject;
    const auto note = [&](const Option& option, std::string from, const std::string& subject) {
        source(option) = std::move(from);
        if (option.name == "db_path") {
            db_path_subject = subject;
        }
    };

    const ConfigFile file = find_file(config_file, environment);
    settings.config_file = file.path;
    for (const FileSetting& setting : file.settings) {
        const std::string subject = fmt::format("{}: {}", file.path, setting.option->name);
        assign(settings.config, *setting.option, setting.value, subject);
        note(*setting.option, file.path, subject);
    }
    for (const Option& option : options) {
        const std::string name = environment_of(option);
        if (const auto value = variable_of(option, environment)) {
            assign_text(settings.config, option, *value, name);
            note(option, name, name);
        }
    }
    for (const Flag& flag : flags) {
        const std::string name = flag_of(*flag.option);
        assign_text(settings.config, *flag.option, flag.text, name);
        note(*flag.option, name, name);
    }

    if (db_path_subject.empty()) {
        Resolved found = default_db_path(environment);
        settings.config.db_path = std::move(found.value);
        source(*find("db_path")) = std::move(found.source);
    } else {
        settings.config.db_path = checked_db_path(settings.config.db_path, environment, db_path_subject);
    }
    resolve_paths(settings.config, environment);
    check(settings.config);
    return settings;
}

PartialSettings load_lenient(std::span<const std::string_view> names, const std::optional<std::string>& db_path,
                             const Environment& environment) {
    PartialSettings settings;
    std::string db_path_subject;
    const auto attempt = [&](const auto& work) {
        try {
            work();
        } catch (const ConfigError& error) {
            settings.errors.emplace_back(error.what());
        }
    };
    const auto set = [&](const Option& option, const std::string& subject, const auto& assign_value) {
        attempt([&] {
            Config changed = settings.config;
            assign_value(changed);
            if (option.name == "db_path") {
                changed.db_path = checked_db_path(changed.db_path, environment, subject);
                db_path_subject = subject;
            } else {
                check(changed);
            }
            settings.config = std::move(changed);
        });
    };
    toml::table document;
    std::string path;
    attempt([&] {
        path = file_to_read(std::nullopt, environment);
        document = path.empty() ? toml::table() : parse(read_regular_file(path), path);
    });
    for (const std::string_view name : names) {
        const Option& option = *find(name);
        if (const toml::node* node = document.get(name)) {
            const std::string subject = fmt::format("{}: {}", path, name);
            set(option, subject,
                [&](Config& config) { assign(config, option, to_value(*node, option, subject), subject); });
        }
        const std::string variable_name = environment_of(option);
        if (const auto value = variable(environment, variable_name)) {
            set(option, variable_name, [&](Config& config) { assign_text(config, option, *value, variable_name); });
        }
    }
    if (db_path) {
        const Option& option = *find("db_path");
        set(option, "--db-path", [&](Config& config) { assign_text(config, option, *db_path, "--db-path"); });
    }
    if (db_path_subject.empty()) {
        settings.config.db_path = default_db_path(environment).value;
    }
    return settings;
}

std::string print(const Settings& settings) {
    std::string text = "# Settings of the Session-Buddy server, usable as a config file. Durations are in seconds.\n";
    text += settings.config_file.empty() ? std::string("# No config file was read.\n")
                                         : fmt::format("# Config file: {}\n", settings.config_file);
    const auto options = table();
    std::string_view group;
    for (std::size_t index = 0; index < options.size(); ++index) {
        const Option& option = options[index];
        if (option.group != group) {
            group = option.group;
            text += fmt::format("\n# {}\n", group);
        }
        const std::string value = toml_value(settings.config, option);
        const bool comment = option.kind == Kind::secret || value == "\"\"";
        text += fmt::format("{:<40} # {}\n", fmt::format("{}{} = {}", comment ? "# " : "", option.name, value),
                            settings.sources[index]);
    }
    return text;
}

}  // namespace session_buddy::options
