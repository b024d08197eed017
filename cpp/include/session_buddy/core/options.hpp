// The table of options: it names, documents, parses and validates every member of Config, for all sources of values
// (command line, environment, TOML file, Python keyword).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "session_buddy/core/config.hpp"

namespace session_buddy::options {

enum class Kind { text, path, list, secret, boolean, integer, number, duration, choice };

using Member = std::variant<std::string Config::*, bool Config::*, std::uint16_t Config::*, std::uint32_t Config::*,
                            std::size_t Config::*, double Config::*, Seconds Config::*>;

/// What an option accepts, and from where.
struct Accepted {
    Kind kind = Kind::text;
    double minimum = 0;  ///< of an integer, number or duration (seconds); inclusive
    double maximum = 0;
    std::string_view choices{};      ///< of a choice: the accepted words, separated by '|'
    bool cli_only = false;           ///< not an option of the Python class (log_level: Python's logging decides)
    bool security_critical = false;  ///< restricts access: an empty environment variable is an error, not "unset"
};

struct Option : Accepted {
    std::string_view name;   ///< "update_interval": the TOML key and the Python keyword
    std::string_view group;  ///< heading in the help and the docs
    Member member;
    std::string_view help;  ///< a noun phrase without a final full stop
};

[[nodiscard]] std::span<const Option> table();
[[nodiscard]] const Option* find(std::string_view name);   ///< nullptr for an unknown name
[[nodiscard]] std::string nearest(std::string_view name);  ///< the most similar name, for a typo; "" if none is similar
/// The same with a maximum edit distance (Levenshtein).
[[nodiscard]] std::string nearest(std::string_view name, std::size_t max_distance);
[[nodiscard]] std::string flag_of(const Option& option);         ///< "--update-interval"
[[nodiscard]] std::string environment_of(const Option& option);  ///< "SESSION_BUDDY_UPDATE_INTERVAL"
[[nodiscard]] std::string range_of(const Option& option);        ///< "0.01 to 3600 seconds"; "" for all kinds of text
[[nodiscard]] std::string toml_value(const Config& config, const Option& option);  ///< the value in TOML syntax

using Value = std::variant<bool, std::int64_t, double, std::string>;

/// Sets the member after checking type and range. `subject` is the name of the setting in errors ("--port",
/// "SESSION_BUDDY_PORT", "/etc/x.toml: port"). A duration is a number of seconds or a text; a list may be empty. Throws
/// ConfigError, which never contains the value of a secret.
void assign(Config& config, const Option& option, const Value& value, const std::string& subject);

/// The same for a value given as text, as on the command line and in the environment.
void assign_text(Config& config, const Option& option, std::string_view text, const std::string& subject);

/// The current value. Durations as seconds; a secret as "(hidden)" if it is set, otherwise "".
[[nodiscard]] Value read(const Config& config, const Option& option);

/// Parses a non-negative number of seconds, or a number with one of the units ms, s, m, h, d, w; nullopt for other
/// text.
[[nodiscard]] std::optional<Seconds> parse_duration(std::string_view text);

/// Checks constraints between settings. Throws ConfigError.
void check(const Config& config);

/// The minimum retention for these settings: as far back as the windows and baselines reach after a start, at least a
/// day, plus an hour of margin for clock skew and late rows.
[[nodiscard]] Seconds minimum_retention(const Config& config);

/// Throws ConfigError if `keep` is less than minimum_retention(). `subject` is the name of the value in errors.
void check_retention(const Config& config, Seconds keep, std::string_view subject);

/// The process environment that settings are resolved in, injected so that tests can supply their own.
struct Environment {
    /// Returns the value of an environment variable; nullopt if it is not set. An empty value counts as not set, except
    /// for security-critical options.
    std::function<std::optional<std::string>(const std::string&)> get;
    std::vector<std::string> variables;  ///< names of the variables that begin with SESSION_BUDDY_
    std::filesystem::path current_directory;
    bool macos = false;

    [[nodiscard]] static Environment from_process();
};

struct Resolved {
    std::string value;
    std::string source;  ///< "default", "SESSION_BUDDY_DB_PATH", "/etc/x.toml", …
};

/// The database path of a program: `given`, else SESSION_BUDDY_DB_PATH, else the config file's, else
/// default_db_path(). Absolute, with a leading "~/" expanded. Throws ConfigError.
[[nodiscard]] Resolved resolve_db_path(const std::optional<std::string>& given, const Environment& environment);

/// The database path if none is configured: ./.session-buddy/skills.db if it exists, else the user's data directory.
/// Throws ConfigError if HOME is not set.
[[nodiscard]] Resolved default_db_path(const Environment& environment);

/// Makes the values of options of kind `path` absolute and expands a leading "~/". Throws ConfigError.
void resolve_paths(Config& config, const Environment& environment);

/// Sets security-critical options that are not set yet from their environment variables, as load() does: such a
/// variable is meant for every server started in this environment. Throws ConfigError, also for a misspelt variable
/// name.
void assign_security_options(Config& config, const Environment& environment);

/// All settings, validated, and for each option of table() the source of its value.
struct Settings {
    Config config;
    std::vector<std::string> sources;
    std::string config_file;  ///< the TOML file that was read; empty if none was
};

/// A setting from the command line.
struct Flag {
    const Option* option;
    std::string text;
};

/// Resolves all settings. Precedence: flags, environment, TOML file, defaults. The file is `config_file`, else
/// SESSION_BUDDY_CONFIG, else session-buddy/config.toml in the user's config directory if it exists; a file with a
/// secret must pass check_secret_permissions(). Throws ConfigError, also for an environment variable with a misspelt
/// name.
[[nodiscard]] Settings load(std::span<const Flag> flags, const std::optional<std::string>& config_file,
                            const Environment& environment);

/// The valid settings among those requested, and the errors of the others.
struct PartialSettings {
    Config config;
    std::vector<std::string> errors;  ///< one sentence per invalid setting
};

/// Loads only the settings in `names`, for a program that must not fail because of its settings (the hook). An invalid
/// one keeps its default, and other keys of the file are ignored. Throws ConfigError if there is no location for the
/// database.
[[nodiscard]] PartialSettings load_lenient(std::span<const std::string_view> names,
                                           const std::optional<std::string>& db_path, const Environment& environment);

/// Every option with its value and source, as a TOML file that load() accepts. Empty and secret values are comments.
[[nodiscard]] std::string print(const Settings& settings);

}  // namespace session_buddy::options
