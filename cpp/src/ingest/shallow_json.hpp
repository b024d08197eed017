// Parses untrusted JSON in linear time and builds only the requested parts, so that memory is bounded for any depth and
// width.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace session_buddy::ingest {

/// What is built. A container nested deeper, and an array that is not wanted, becomes an empty one of its kind.
struct ShallowShape {
    std::size_t depth = 1;           ///< maximum nesting of objects and of arrays that are built
    std::size_t max_members = 16;    ///< per object; further members are ignored
    bool elements_of_array = false;  ///< pass each element of the outermost array to the sink
    /// Whether a member is built; `depth` counts from 1, arrays that are built included. If empty, all are.
    std::function<bool(std::size_t depth, std::string_view key)> wants{};
    /// Whether the elements of a member that is an array are built. If empty, none are.
    std::function<bool(std::size_t depth, std::string_view key)> wants_elements{};
    std::size_t max_elements = 0;  ///< per array; further elements are ignored
    /// Of a longer string, only the first `max_head` and the last `max_tail` bytes are built, with a newline between
    /// them; these may be parts of a character. nullopt: the whole string. If empty, all are.
    struct Limit {
        std::size_t max_head = 0;
        std::size_t max_tail = 0;
    };
    std::function<std::optional<Limit>(std::size_t depth, std::string_view key)> limits{};
};

/// Calls `sink` with the value, or with each element, as it is parsed. Returns false if the text is not valid JSON; the
/// sink may have been called for the part before the error.
[[nodiscard]] bool read_shallow_json(std::string_view text, const ShallowShape& shape,
                                     const std::function<void(nlohmann::json&&)>& sink);

}  // namespace session_buddy::ingest
