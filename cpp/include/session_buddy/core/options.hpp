// The one table of settings: it names, documents, reads and checks every member of Config, wherever a value comes from
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

struct Option {
    std::string_view name;   ///< "update_interval": the TOML key and the Python keyword
    std::string_view group;  ///< heading in help and docs
    Kind kind;
    Member member;
    double minimum;  ///< integer, number and duration (seconds), both ends included
    double maximum;
    std::string_view choices;  ///< choice: the words, separated by '|'
    bool cli_only;             ///< has no meaning inside a Python program (there logging is Python's)
    bool security_critical;    ///< keeps somebody out: an empty variable is an error and not the same as none
    std::string_view help;     ///< a noun phrase without a final full stop
};

[[nodiscard]] std::span<const Option> table();
[[nodiscard]] const Option* find(std::string_view name);   ///< nullptr where there is none
[[nodiscard]] std::string nearest(std::string_view name);  ///< the name a typing error meant, or ""
/// The same with at most so many characters added, removed or changed.
[[nodiscard]] std::string nearest(std::string_view name, std::size_t max_distance);
[[nodiscard]] std::string flag_of(const Option& option);         ///< "--update-interval"
[[nodiscard]] std::string environment_of(const Option& option);  ///< "SESSION_BUDDY_UPDATE_INTERVAL"
[[nodiscard]] std::string range_of(const Option& option);        ///< "0.01 to 3600 seconds", "" for texts of all kinds
[[nodiscard]] std::string toml_value(const Config& config, const Option& option);  ///< the value as TOML writes it

using Value = std::variant<bool, std::int64_t, double, std::string>;

/// Sets the member after checking type and range. `subject` is how the error names the setting ("--port",
/// "SESSION_BUDDY_PORT", "/etc/x.toml: port"). A duration takes a number (seconds) or a text; a list may be empty
/// (none). Throws ConfigError, without the value where that is a secret.
void assign(Config& config, const Option& option, const Value& value, const std::string& subject);

/// The same for a value that is only a text, as on the command line and in the environment.
void assign_text(Config& config, const Option& option, std::string_view text, const std::string& subject);

/// Durations as seconds; of a secret no more than whether it is set: "(hidden)" or "".
[[nodiscard]] Value read(const Config& config, const Option& option);

/// A number of seconds, or a number with one of the units ms, s, m, h, d, w. Not negative. Nothing for another text.
[[nodiscard]] std::optional<Seconds> parse_duration(std::string_view text);

/// What depends on more than one setting. Throws ConfigError.
void check(const Config& config);

/// How long rows must be kept for a server with these settings: as far as its windows and comparisons look back after a
/// start, at least a day, and an hour for clocks and late rows.
[[nodiscard]] Seconds minimum_retention(const Config& config);

/// Throws ConfigError where rows are to be kept for less. `subject` is how the error names the time.
void check_retention(const Config& config, Seconds keep, std::string_view subject);

/// What the settings depend on outside of the program; tests hand in their own.
struct Environment {
    /// The value of an environment variable; nothing where it is not set. An empty one counts as not set.
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
/// ./.session-buddy/skills.db where it exists, else the user's data directory. Absolute, a leading "~/" expanded.
/// Throws ConfigError.
[[nodiscard]] Resolved resolve_db_path(const std::optional<std::string>& given, const Environment& environment);

/// The path where nothing names one: ./.session-buddy/skills.db where it exists, else the user's data directory. Throws
/// ConfigError where there is none.
[[nodiscard]] Resolved default_db_path(const Environment& environment);

/// Makes the files that the settings of kind `path` name absolute, a leading "~/" expanded. Throws ConfigError.
void resolve_paths(Config& config, const Environment& environment);

/// Takes the security_critical options that are not set from their environment variables, as load() does: whoever sets
/// one means it for every server that is started there. Throws ConfigError, also where the name of one is misspelt.
void assign_security_options(Config& config, const Environment& environment);

/// All settings, complete and checked, and for each option of table() where its value came from.
struct Settings {
    Config config;
    std::vector<std::string> sources;
    std::string config_file;  ///< the TOML file that was read; empty for none
};

/// A setting of the command line.
struct Flag {
    const Option* option;
    std::string text;
};

/// Flags before environment before TOML file before defaults. A file with a secret in it must be secret
/// (small_file.hpp). The file is `config_file`, else SESSION_BUDDY_CONFIG,
/// else session-buddy/config.toml in the user's config directory where it exists. Throws ConfigError, also for an
/// environment variable whose name is almost that of an option.
[[nodiscard]] Settings load(std::span<const Flag> flags, const std::optional<std::string>& config_file,
                            const Environment& environment);

/// Of some settings, what can be used of them.
struct PartialSettings {
    Config config;
    std::vector<std::string> errors;  ///< what cannot, each a whole sentence
};

/// For a program that goes on whatever stands in its settings: those of `names` alone, from the default places. One
/// that cannot be used stays as it was, and what stands beside them in the file does not matter. Throws ConfigError
/// where there is no place for the database.
[[nodiscard]] PartialSettings load_lenient(std::span<const std::string_view> names,
                                           const std::optional<std::string>& db_path, const Environment& environment);

/// Every option, its value and its origin, as a TOML file that load() reads again. What is empty or secret is a
/// comment.
[[nodiscard]] std::string print(const Settings& settings);

}  // namespace session_buddy::options
