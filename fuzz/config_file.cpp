// Fuzzes the config file: errors have a message, and valid settings survive --print-config and a reload.
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "check.hpp"
#include "session_buddy/core/options.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::fuzz {
namespace {

options::Environment test_environment() {
    return {.get = [](const std::string& name) -> std::optional<std::string> {
                return name == "HOME" ? std::optional<std::string>("/home/user") : std::nullopt;
            },
            .variables = {},
            .current_directory = "/somewhere"};
}

/// Loads a text as a config file through a pipe. Returns nothing if the text exceeds the capacity of a pipe.
std::optional<options::Settings> load(std::string_view text) {
    constexpr std::size_t kMinPipeCapacity = 16384;
    std::array<int, 2> ends{};
    if (text.size() > kMinPipeCapacity) {
        return std::nullopt;
    }
    check(::pipe(ends.data()) == 0, "a pipe can be created");
    check(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()),
          "the text fits into the pipe");
    ::close(ends[1]);
    struct Closer {
        int end;
        ~Closer() { ::close(end); }
    } const closer{ends[0]};
    return options::load({}, "/dev/fd/" + std::to_string(ends[0]), test_environment());
}

void check_reload(const options::Settings& settings) {
    try {
        const auto again = load(options::print(settings));
        check(again.has_value(), "printed settings fit into the pipe");
        for (const auto& option : options::table()) {
            check(options::read(again->config, option) == options::read(settings.config, option), option.name);
        }
    } catch (const ConfigError& error) {
        check(false, error.what());
    }
}

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy;
    std::optional<options::Settings> settings;
    try {
        settings = fuzz::load({reinterpret_cast<const char*>(data), size});
    } catch (const ConfigError& error) {
        const std::string_view message = error.what();
        fuzz::check(!message.empty() && is_valid_utf8(message), "an error message is valid UTF-8");
    }
    if (settings) {
        fuzz::check_reload(*settings);
    }
    return 0;
}
