// Reads JSON that somebody else wrote in linear time, with memory for what is wanted of it and no more, however deep
// and however wide it is.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>

namespace session_buddy::ingest {

/// What is built. A container that is nested deeper, and any array in an object, becomes an empty one of its kind.
struct ShallowShape {
    std::size_t depth = 1;           ///< objects within one another
    std::size_t max_members = 16;    ///< of an object; the first ones
    bool elements_of_array = false;  ///< the elements of the outermost array, one at a time, in place of an empty array
    /// Whether a member is built; `depth` counts from 1. Nothing: every one.
    std::function<bool(std::size_t depth, std::string_view key)> wants{};
};

/// Calls `sink` with the value of the text, or with each element of it, as they are read: also of a text that turns out
/// to be no JSON further on, for which it returns false.
[[nodiscard]] bool read_shallow_json(std::string_view text, const ShallowShape& shape,
                                     const std::function<void(nlohmann::json&&)>& sink);

}  // namespace session_buddy::ingest
