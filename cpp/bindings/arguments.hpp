// Values from Python as those of C++, checked. Errors name the argument.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace session_buddy::bindings {

/// Throws TypeError: "port must be an int, not str".
[[noreturn]] void wrong_type(std::string_view name, std::string_view expected, pybind11::handle value);

/// Each of these throws TypeError for a value of another type; a bool is not a number.
[[nodiscard]] bool to_bool(std::string_view name, pybind11::handle value);
[[nodiscard]] double to_number(std::string_view name, pybind11::handle value, std::string_view expected = "a number");
/// Sets `overflow` to -1 or 1 if the number is below or above the range of the result.
[[nodiscard]] std::int64_t to_integer(std::string_view name, pybind11::handle value, int& overflow);
/// Also throws ValueError for lone surrogates.
[[nodiscard]] std::string to_text(std::string_view name, pybind11::handle value);

}  // namespace session_buddy::bindings
