// The table of options: parsing of values, precedence of the sources, errors that name the setting, and
// --print-config.
#include "session_buddy/core/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <string>

namespace session_buddy::options {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Each test has its own home and current directory, and an environment in a map.
class SettingsTest : public testing::Test {
  protected:
    SettingsTest() {
        std::string pattern = (fs::temp_directory_path() / "options_test.XXXXXX").string();
        root_ = fs::canonical(mkdtemp(pattern.data()));
        fs::create_directories(root_ / "home");
        fs::create_directories(root_ / "work");
        environment_["HOME"] = (root_ / "home").string();
    }
    ~SettingsTest() override {
        std::error_code ignored;
        fs::remove_all(root_, ignored);
    }

    std::string write(const std::string& name, const std::string& text) const {
        const fs::path path = root_ / name;
        fs::create_directories(path.parent_path());
        std::ofstream(path) << text;
        return path.string();
    }

    Environment environment() const {
        Environment result;
        result.get = [this](const std::string& name) -> std::optional<std::string> {
            const auto found = environment_.find(name);
            return found == environment_.end() ? std::nullopt : std::optional(found->second);
        };
        for (const auto& [name, value] : environment_) {
            if (name.starts_with("SESSION_BUDDY_")) {
                result.variables.push_back(name);
            }
        }
        result.current_directory = root_ / "work";
        return result;
    }

    Settings load_with(const std::vector<std::pair<std::string, std::string>>& flags,
                       const std::optional<std::string>& file = std::nullopt) const {
        std::vector<Flag> given;
        for (const auto& [name, text] : flags) {
            given.push_back({find(name), text});
        }
        return load(given, file, environment());
    }

    std::string source(const Settings& settings, std::string_view name) const {
        return settings.sources[static_cast<std::size_t>(find(name) - table().data())];
    }

    std::string error_of(const std::vector<std::pair<std::string, std::string>>& flags,
                         const std::optional<std::string>& file = std::nullopt) const {
        try {
            load_with(flags, file);
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "no error";
    }

    fs::path root_;
    std::map<std::string, std::string> environment_;
};

std::string option_rejected_by_check(const Config& config) {
    try {
        check(config);
    } catch (const ConfigError& error) {
        return error.option();
    }
    return "none";
}

TEST(OptionTable, has_unique_names_help_and_defaults_in_range) {
    std::set<std::string_view> names;
    const Config defaults;
    for (const Option& option : table()) {
        EXPECT_TRUE(names.insert(option.name).second) << option.name;
        EXPECT_FALSE(option.help.empty()) << option.name;
        EXPECT_FALSE(option.help.ends_with('.')) << option.name;
        if (option.name == "db_path") {
            continue;  // empty until it is resolved
        }
        Config copy;
        if (option.security_critical) {  // empty by default, which no source can set
            EXPECT_THROW(assign(copy, option, read(defaults, option), "default"), ConfigError) << option.name;
            continue;
        }
        EXPECT_NO_THROW(assign(copy, option, read(defaults, option), "default")) << option.name;
        EXPECT_EQ(read(copy, option), read(defaults, option)) << option.name;
    }
    EXPECT_NO_THROW(check(defaults));
}

TEST(OptionTable, derives_flag_and_variable_from_the_name) {
    const Option& option = *find("update_interval");
    EXPECT_EQ(flag_of(option), "--update-interval");
    EXPECT_EQ(environment_of(option), "SESSION_BUDDY_UPDATE_INTERVAL");
    EXPECT_EQ(range_of(option), "0.01 to 3600 seconds");
    EXPECT_EQ(range_of(*find("window")), "60 to 2678400 seconds");
    EXPECT_EQ(range_of(*find("port")), "0 to 65535");
    EXPECT_EQ(range_of(*find("anomaly_threshold")), "0.5 to 10");
    EXPECT_EQ(find("no_such_option"), nullptr);
}

TEST(OptionTable, suggests_the_nearest_name) {
    EXPECT_EQ(nearest("prot"), "port");
    EXPECT_EQ(nearest("update-intervall"), "update_interval");
    EXPECT_EQ(nearest("maxclients"), "max_clients");
    EXPECT_EQ(nearest("completely_different"), "");
}

struct DurationCase {
    const char* text;
    double seconds;
};
class Duration : public testing::TestWithParam<DurationCase> {};
TEST_P(Duration, is_parsed_with_its_unit) {
    const auto parsed = parse_duration(GetParam().text);
    ASSERT_TRUE(parsed.has_value());
    EXPECT_DOUBLE_EQ(parsed->count(), GetParam().seconds);
}
INSTANTIATE_TEST_SUITE_P(Forms, Duration,
                         testing::Values(DurationCase{"1", 1}, DurationCase{"0.25", 0.25}, DurationCase{".5", 0.5},
                                         DurationCase{"2.", 2}, DurationCase{"300ms", 0.3}, DurationCase{"2s", 2},
                                         DurationCase{"1.5m", 90}, DurationCase{"24h", 86400},
                                         DurationCase{"7d", 604800}, DurationCase{"2w", 1209600},
                                         DurationCase{"0", 0}));

class NotADuration : public testing::TestWithParam<const char*> {};
TEST_P(NotADuration, is_rejected) {
    EXPECT_FALSE(parse_duration(GetParam()).has_value());
}
INSTANTIATE_TEST_SUITE_P(Forms, NotADuration,
                         testing::Values("", "s", "ms", "-1", "+1", "1e3", "nan", "inf", "0x10", "1,5", "1 s", "1S",
                                         "1sec", "1.2.3", ".", "1y", " 1"));

struct BadValue {
    const char* option;
    const char* text;
    const char* message;
};
class BadText : public testing::TestWithParam<BadValue> {};
TEST_P(BadText, is_rejected_with_the_accepted_range) {
    Config config;
    const auto& [name, text, message] = GetParam();
    try {
        assign_text(config, *find(name), text, "--x");
        FAIL() << "accepted " << text;
    } catch (const ConfigError& error) {
        EXPECT_STREQ(error.what(), message);
        EXPECT_EQ(error.option(), name);
    }
}
INSTANTIATE_TEST_SUITE_P(
    Values, BadText,
    testing::Values(
        BadValue{"port", "65536", "--x must be an integer from 0 to 65535, not 65536"},
        BadValue{"port", "-1", "--x must be an integer from 0 to 65535, not -1"},
        BadValue{"port", "80.5", "--x must be an integer from 0 to 65535, not '80.5'"},
        BadValue{"port", "", "--x must be an integer from 0 to 65535, not ''"},
        BadValue{"port", "99999999999999999999", "--x must be an integer from 0 to 65535, not '99999999999999999999'"},
        BadValue{"update_interval", "0", "--x must be from 0.01 to 3600 seconds, not '0'"},
        BadValue{"update_interval", "2h", "--x must be from 0.01 to 3600 seconds, not '2h'"},
        BadValue{"update_interval", "soon",
                 "--x must be a number of seconds or a duration such as 500ms, 2s, 5m, 1h or 7d, not 'soon'"},
        BadValue{"anomaly_threshold", "0.4", "--x must be a number from 0.5 to 10, not 0.4"},
        BadValue{"anomaly_threshold", "10.5", "--x must be a number from 0.5 to 10, not 10.5"},
        BadValue{"anomaly_threshold", "-2", "--x must be a number from 0.5 to 10, not '-2'"},
        BadValue{"anomaly_threshold", "2s", "--x must be a number from 0.5 to 10, not '2s'"},
        BadValue{"anomaly_threshold", "nan", "--x must be a number from 0.5 to 10, not 'nan'"},
        BadValue{"anomaly_threshold", "", "--x must be a number from 0.5 to 10, not ''"},
        BadValue{"anomaly_min_samples", "1", "--x must be an integer from 2 to 50, not 1"},
        BadValue{"baseline_window", "599", "--x must be from 600 to 2678400 seconds, not '599'"},
        BadValue{"replace_triggers", "maybe", "--x must be true or false, not 'maybe'"},
        BadValue{"log_level", "loud", "--x must be one of debug, info, warning, error, off, not 'loud'"},
        BadValue{"host", "", "--x must be a non-empty string, not ''"},
        BadValue{"host", "a\nb", "--x must not contain control characters"}));

TEST(OptionAssign, truncates_a_long_value_between_characters) {
    const std::string fits(79, 'a');
    Config config;
    try {
        assign_text(config, *find("port"), fits + "éé", "--x");  // the 80th byte is the first half of a character
        FAIL();
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.what(), "--x must be an integer from 0 to 65535, not '" + fits + "…'");
    }
}

TEST(OptionAssign, accepts_the_usual_words_for_booleans) {
    for (const char* text : {"true", "True", "1", "yes", "on"}) {
        Config config;
        assign_text(config, *find("replace_triggers"), text, "x");
        EXPECT_TRUE(config.replace_triggers) << text;
    }
    for (const char* text : {"false", "0", "NO", "off"}) {
        Config config;
        config.replace_triggers = true;
        assign_text(config, *find("replace_triggers"), text, "x");
        EXPECT_FALSE(config.replace_triggers) << text;
    }
}

TEST(OptionAssign, accepts_numbers_with_and_without_a_fraction) {
    const Option& threshold = *find("anomaly_threshold");
    Config config;
    assign_text(config, threshold, "2.5", "x");
    EXPECT_DOUBLE_EQ(config.anomaly_threshold, 2.5);
    assign(config, threshold, std::int64_t{3}, "x");
    EXPECT_DOUBLE_EQ(config.anomaly_threshold, 3.0);
    EXPECT_EQ(read(config, threshold), Value(3.0));
    EXPECT_EQ(toml_value(config, threshold), "3.0");
    assign(config, threshold, 0.5, "x");
    EXPECT_DOUBLE_EQ(config.anomaly_threshold, 0.5);
    assign_text(config, threshold, "10", "x");
    EXPECT_DOUBLE_EQ(config.anomaly_threshold, 10.0);
}

TEST(OptionAssign, accepts_an_empty_list_but_no_control_characters_or_numbers) {
    Config config;
    const Option& option = *find("allow_origin");
    assign_text(config, option, "https://a.example, null", "x");
    EXPECT_EQ(config.allow_origin, "https://a.example, null");
    EXPECT_EQ(toml_value(config, option), "\"https://a.example, null\"");
    assign_text(config, option, "", "x");
    EXPECT_EQ(config.allow_origin, "");
    EXPECT_THROW(assign_text(config, option, "https://a.example,\n", "x"), ConfigError);
    EXPECT_THROW(assign(config, option, std::int64_t{1}, "x"), ConfigError);
}

TEST(OptionAssign, rejects_nan_and_other_types) {
    Config config;
    EXPECT_THROW(assign(config, *find("anomaly_threshold"), std::numeric_limits<double>::quiet_NaN(), "x"),
                 ConfigError);
    EXPECT_THROW(assign(config, *find("anomaly_threshold"), std::numeric_limits<double>::infinity(), "x"), ConfigError);
    EXPECT_THROW(assign(config, *find("anomaly_threshold"), true, "x"), ConfigError);
    EXPECT_THROW(assign(config, *find("anomaly_threshold"), std::string("2"), "x"), ConfigError);
    EXPECT_THROW(assign(config, *find("window"), std::numeric_limits<double>::quiet_NaN(), "x"), ConfigError);
    EXPECT_THROW(assign(config, *find("window"), std::numeric_limits<double>::infinity(), "x"), ConfigError);
    EXPECT_THROW(assign(config, *find("window"), true, "x"), ConfigError);
    EXPECT_THROW(assign(config, *find("port"), 80.0, "x"), ConfigError);
    EXPECT_THROW(assign(config, *find("port"), true, "x"), ConfigError);
    EXPECT_THROW(assign(config, *find("replace_triggers"), std::int64_t{1}, "x"), ConfigError);
    EXPECT_THROW(assign(config, *find("host"), std::int64_t{1}, "x"), ConfigError);
}

TEST_F(SettingsTest, are_the_defaults_if_nothing_is_set) {
    const Settings settings = load_with({});
    EXPECT_EQ(settings.config.port, 8765);
    EXPECT_EQ(settings.config.host, "localhost");
    EXPECT_EQ(settings.config.db_path, (root_ / "home/.local/share/session-buddy/skills.db").string());
    EXPECT_EQ(settings.config_file, "");
    EXPECT_EQ(source(settings, "port"), "default");
    EXPECT_EQ(source(settings, "db_path"), "default");
}

TEST_F(SettingsTest, follow_flag_then_environment_then_file_then_default) {
    const std::string file = write("c.toml", "port = 1\nmax_clients = 1\nupdate_interval = 1.5\nwindow = '2h'\n");
    environment_["SESSION_BUDDY_PORT"] = "2";
    environment_["SESSION_BUDDY_MAX_CLIENTS"] = "2";
    const Settings settings = load_with({{"port", "3"}}, file);
    EXPECT_EQ(settings.config.port, 3);
    EXPECT_EQ(source(settings, "port"), "--port");
    EXPECT_EQ(settings.config.max_clients, 2U);
    EXPECT_EQ(source(settings, "max_clients"), "SESSION_BUDDY_MAX_CLIENTS");
    EXPECT_DOUBLE_EQ(settings.config.update_interval.count(), 1.5);
    EXPECT_EQ(source(settings, "update_interval"), file);
    EXPECT_DOUBLE_EQ(settings.config.window.count(), 7200);
    EXPECT_EQ(source(settings, "host"), "default");
    EXPECT_EQ(settings.config_file, file);
}

TEST_F(SettingsTest, treat_an_empty_variable_as_unset) {
    environment_["SESSION_BUDDY_PORT"] = "";
    EXPECT_EQ(load_with({}).config.port, 8765);
}

TEST_F(SettingsTest, find_the_file_by_flag_then_variable_then_config_directory) {
    const std::string by_flag = write("flag.toml", "port = 1");
    const std::string by_variable = write("variable.toml", "port = 2");
    const std::string by_home = write("home/.config/session-buddy/config.toml", "port = 3");
    EXPECT_EQ(load_with({}).config.port, 3);
    EXPECT_EQ(load_with({}).config_file, by_home);
    const std::string by_xdg = write("xdg/session-buddy/config.toml", "port = 4");
    environment_["XDG_CONFIG_HOME"] = (root_ / "xdg").string();
    EXPECT_EQ(load_with({}).config_file, by_xdg);
    environment_["XDG_CONFIG_HOME"] = "relative";
    EXPECT_EQ(load_with({}).config_file, by_home);
    environment_["SESSION_BUDDY_CONFIG"] = by_variable;
    EXPECT_EQ(load_with({}).config.port, 2);
    EXPECT_EQ(load_with({}, by_flag).config.port, 1);
}

TEST_F(SettingsTest, find_the_database_by_flag_variable_file_current_directory_and_data_directory) {
    EXPECT_EQ(load_with({}).config.db_path, (root_ / "home/.local/share/session-buddy/skills.db").string());
    environment_["XDG_DATA_HOME"] = (root_ / "data").string();
    EXPECT_EQ(load_with({}).config.db_path, (root_ / "data/session-buddy/skills.db").string());
    const std::string local = write("work/.session-buddy/skills.db", "");
    EXPECT_EQ(load_with({}).config.db_path, local);
    EXPECT_EQ(source(load_with({}), "db_path"), "found in the current directory");
    const std::string file = write("home/.config/session-buddy/config.toml", "db_path = \"~/file.db\"");
    EXPECT_EQ(load_with({}).config.db_path, (root_ / "home/file.db").string());
    EXPECT_EQ(resolve_db_path(std::nullopt, environment()).source, file);
    environment_["SESSION_BUDDY_DB_PATH"] = "variable.db";
    EXPECT_EQ(load_with({}).config.db_path, (root_ / "work/variable.db").string());
    EXPECT_EQ(load_with({{"db_path", "../flag.db"}}).config.db_path, (root_ / "flag.db").string());
    EXPECT_EQ(resolve_db_path(std::nullopt, environment()).value, (root_ / "work/variable.db").string());
    EXPECT_EQ(resolve_db_path("given.db", environment()).value, (root_ / "work/given.db").string());
}

TEST_F(SettingsTest, use_the_library_directory_on_macos) {
    Environment mac = environment();
    mac.macos = true;
    EXPECT_EQ(resolve_db_path(std::nullopt, mac).value,
              (root_ / "home/Library/Application Support/session-buddy/skills.db").string());
}

TEST_F(SettingsTest, reject_database_names_that_are_not_files) {
    EXPECT_EQ(error_of({{"db_path", ":memory:"}}), "--db-path must be the path of a file, not ':memory:'");
    EXPECT_THROW(static_cast<void>(resolve_db_path("", environment())), ConfigError);
    environment_.erase("HOME");
    EXPECT_THAT(error_of({}), HasSubstr("neither db_path nor HOME is set"));
    EXPECT_THAT(error_of({{"db_path", "~/x.db"}}), HasSubstr("HOME is not set"));
}

TEST_F(SettingsTest, name_file_key_and_reason_of_an_error) {
    const std::string file = (root_ / "c.toml").string();
    write("c.toml", "prot = 1\n");
    EXPECT_EQ(error_of({}, file), file + ": unknown key prot; did you mean port?");
    write("c.toml", "port = \"8765\"\n");
    EXPECT_EQ(error_of({}, file), file + ": port must be an integer from 0 to 65535, not '8765'");
    write("c.toml", "port = [1]\n");
    EXPECT_EQ(error_of({}, file), file + ": port must be a single value");
    write("c.toml", "[server]\nport = 1\n");
    EXPECT_THAT(error_of({}, file), HasSubstr(file + ": unknown key server"));
    write("c.toml", "host = \"a\"\nport = \n");
    EXPECT_THAT(error_of({}, file), HasSubstr(file + ", line 2: "));
    write("c.toml", "update_interval = nan\n");
    EXPECT_THAT(error_of({}, file), HasSubstr("update_interval must be from 0.01 to 3600 seconds, not nan"));
    EXPECT_THAT(error_of({}, file + ".gone"), HasSubstr("cannot read the config file " + file + ".gone: No such file"));
    EXPECT_THAT(error_of({}, root_.string()), HasSubstr("Is a directory"));
}

TEST_F(SettingsTest, report_an_error_of_the_file_even_if_a_flag_overrides_it) {
    const std::string file = write("c.toml", "port = 70000\n");
    EXPECT_THAT(error_of({{"port", "1"}}, file), HasSubstr("port must be an integer"));
}

TEST_F(SettingsTest, name_the_variable_of_an_error) {
    environment_["SESSION_BUDDY_TOP_SKILLS"] = "ten";
    EXPECT_EQ(error_of({}), "SESSION_BUDDY_TOP_SKILLS must be an integer from 1 to 1000, not 'ten'");
}

TEST_F(SettingsTest, check_constraints_between_options) {
    EXPECT_EQ(error_of({{"ping_timeout", "10"}}), "ping_timeout must be more than ping_interval (20 seconds), not 10");
    EXPECT_EQ(error_of({{"ping_timeout", "10"}, {"ping_interval", "5"}}), "no error");
    EXPECT_EQ(error_of({{"baseline_window", "7199"}}),
              "baseline_window must be at least twice observation_window (3600 seconds), not 7199");
    EXPECT_EQ(error_of({{"baseline_window", "2h"}}), "no error");
    EXPECT_EQ(error_of({{"observation_window", "12.5h"}}),
              "baseline_window must be at least twice observation_window (45000 seconds), not 86400");
    EXPECT_EQ(error_of({{"allow_origin", "null,example.org"}}),
              "allow_origin must not contain 'example.org': write it with its scheme, such as https://app.example.org");
    EXPECT_THAT(error_of({{"allow_host", std::string(1000, 'a')}}), HasSubstr("aaa…': write only the name"));
    EXPECT_EQ(error_of({{"retention", "90d"}}), "no error");
    EXPECT_EQ(error_of({{"retention", "49h"}}), "no error");
    EXPECT_EQ(error_of({{"retention", "0"}}), "no error");
    EXPECT_EQ(error_of({{"retention", "2d"}}),
              "retention must be at least 176400 seconds (49 h), so that window, baseline_window and a day are "
              "complete after a start, not 172800");
    EXPECT_THAT(error_of({{"retention", "90d"}, {"baseline_window", "31d"}}), "no error");
    EXPECT_THAT(error_of({{"retention", "62d"}, {"baseline_window", "31d"}}), HasSubstr("at least 5360400 seconds"));
    EXPECT_THAT(error_of({{"retention", "31d"}, {"window", "31d"}}), HasSubstr("at least 2682000 seconds"));
    EXPECT_THAT(error_of({{"retention", "24h"}, {"window", "60"}, {"baseline_window", "2h"}}),
                HasSubstr("at least 90000 seconds (25 h)"));
    Config config;
    config.baseline_window = Seconds(7199);
    EXPECT_EQ(option_rejected_by_check(config), "baseline_window");
}

TEST_F(SettingsTest, accept_tools_as_command_skill_pairs) {
    EXPECT_EQ(load_with({{"tools", "just test=just-test, run --mode=fast=fast"}}).config.tools,
              "just test=just-test, run --mode=fast=fast");
    EXPECT_EQ(load_with({}, write("tools.toml", "tools = \"a=b\"\n")).config.tools, "a=b");
    EXPECT_EQ(load_with({{"tools", ""}}, write("tools.toml", "tools = \"a=b\"\n")).config.tools, "");
    EXPECT_EQ(error_of({{"tools", "a=b, just test"}}),
              "tools must be comma-separated command=skill pairs, such as just test=just-test, but 'just test' is not "
              "one");
    EXPECT_THAT(error_of({{"tools", "a=b,"}}), HasSubstr("but '' is not one"));
    EXPECT_THAT(error_of({{"tools", "a=" + std::string(257, 'x')}}), HasSubstr("x…' is not one"))
        << "a long item is truncated";
    Config config;
    config.tools = "=x";
    EXPECT_EQ(option_rejected_by_check(config), "tools");
}

TEST_F(SettingsTest, require_an_intake_of_at_least_one_body) {
    const std::string reason = "max_intake_bytes must be at least max_body_bytes (4097), not 4096";
    EXPECT_EQ(error_of({{"max_body_bytes", "4097"}, {"max_intake_bytes", "4096"}}), reason);
    EXPECT_EQ(error_of({{"max_body_bytes", "4096"}, {"max_intake_bytes", "4096"}}), "no error");
    EXPECT_EQ(error_of({{"max_intake_bytes", "1048576"}}),
              "max_intake_bytes must be at least max_body_bytes (8388608), not 1048576")
        << "the default of the other option applies";
    EXPECT_EQ(error_of({{"max_body_bytes", "1023"}}),
              "--max-body-bytes must be an integer from 1024 to 67108864, not 1023");
    EXPECT_EQ(error_of({{"max_intake_bytes", "1073741825"}}),
              "--max-intake-bytes must be an integer from 1024 to 1073741824, not 1073741825");
    Config config;
    config.max_body_bytes = config.max_intake_bytes + 1;
    EXPECT_EQ(option_rejected_by_check(config), "max_intake_bytes");
}

TEST_F(SettingsTest, are_printed_as_a_file_that_round_trips) {
    const Settings settings = load_with({{"port", "0"},
                                         {"db_path", "a \"quoted\" \\ name.db"},
                                         {"update_interval", "250ms"},
                                         {"anomaly_threshold", "2.25"},
                                         {"anomaly_min_samples", "8"},
                                         {"allow_origin", "https://a.example,null"},
                                         {"replace_triggers", "yes"},
                                         {"log_level", "debug"}});
    const std::string text = print(settings);
    for (const Option& option : table()) {
        const auto value = toml_value(settings.config, option);
        EXPECT_THAT(text, HasSubstr(fmt::format("\n{}{} = ", value == "\"\"" ? "# " : "", option.name)));
    }
    EXPECT_THAT(text, HasSubstr("# --port\n"));
    EXPECT_THAT(text, HasSubstr("# default\n"));
    const Settings again = load_with({}, write("printed.toml", text));
    for (const Option& option : table()) {
        EXPECT_EQ(read(again.config, option), read(settings.config, option)) << option.name;
    }
}

}  // namespace
TEST_F(SettingsTest, a_misspelt_environment_variable_is_an_error_that_names_the_right_one) {
    for (const auto& [misspelt, meant] :
         std::map<std::string, std::string>{{"SESSION_BUDDY_PRT", "SESSION_BUDDY_PORT"},
                                            {"SESSION_BUDDY_AUTH_TOKEN_FIEL", "SESSION_BUDDY_AUTH_TOKEN_FILE"},
                                            {"SESSION_BUDDY_TLSCERT", "SESSION_BUDDY_TLS_CERT"},
                                            {"SESSION_BUDDY_update_interval_", "SESSION_BUDDY_UPDATE_INTERVAL"}}) {
        environment_ = {{"HOME", root_}, {misspelt, "1"}};
        EXPECT_EQ(error_of({}), misspelt + " is not an option; did you mean " + meant + "? Rename it or unset it");
    }
}

TEST_F(SettingsTest, variables_of_other_programs_with_our_prefix_are_ignored) {
    for (const char* name : {"TOKEN", "WEBHOOK", "WEBHOOK_AUTHORIZATION", "CONFIG", "SKILL", "EVENT_ID", "TYPE", "TEXT",
                             "TEST_STRICT", "TEST_DATA", "TEST_LOAD_SECONDS"}) {
        environment_["SESSION_BUDDY_" + std::string(name)] = name == std::string("CONFIG") ? write("c.toml", "") : "x";
    }
    EXPECT_EQ(error_of({}), "no error");
}

TEST_F(SettingsTest, an_embedded_server_rejects_a_misspelt_variable_that_would_have_asked_for_authentication) {
    Config config;
    environment_["SESSION_BUDDY_PRT"] = "1";
    EXPECT_NO_THROW(assign_security_options(config, environment()));
    environment_["SESSION_BUDDY_JWT_SECRETT"] = "x";
    EXPECT_THROW(assign_security_options(config, environment()), ConfigError);
}

}  // namespace session_buddy::options
