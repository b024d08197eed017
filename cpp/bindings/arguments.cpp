// Conversion through the C API, which distinguishes the types of numbers.
#include "arguments.hpp"

#include <spdlog/fmt/fmt.h>

namespace session_buddy::bindings {

namespace py = pybind11;

void wrong_type(std::string_view name, std::string_view expected, py::handle value) {
    throw py::type_error(fmt::format("{} must be {}, not {}", name, expected, Py_TYPE(value.ptr())->tp_name));
}

bool to_bool(std::string_view name, py::handle value) {
    if (!PyBool_Check(value.ptr())) {
        wrong_type(name, "a bool", value);
    }
    return value.ptr() == Py_True;
}

double to_number(std::string_view name, py::handle value, std::string_view expected) {
    if (PyBool_Check(value.ptr()) || PyUnicode_Check(value.ptr())) {
        wrong_type(name, expected, value);
    }
    const double number = PyFloat_AsDouble(value.ptr());
    if (PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        wrong_type(name, expected, value);
    }
    return number;
}

std::int64_t to_integer(std::string_view name, py::handle value, int& overflow) {
    if (PyBool_Check(value.ptr()) || PyIndex_Check(value.ptr()) == 0) {
        wrong_type(name, "an int", value);
    }
    const auto whole = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!whole) {
        throw py::error_already_set();
    }
    return PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
}

std::string to_text(std::string_view name, py::handle value) {
    if (!py::isinstance<py::str>(value)) {
        wrong_type(name, "a str", value);
    }
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
    if (text == nullptr) {  // lone surrogates
        PyErr_Clear();
        throw py::value_error(fmt::format("{} must be valid UTF-8", name));
    }
    return {text, static_cast<std::size_t>(size)};
}

}  // namespace session_buddy::bindings
