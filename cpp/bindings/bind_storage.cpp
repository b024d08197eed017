// SkillsStore and the exceptions of the storage layer.
#include <pybind11/stl.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "entities.hpp"
#include "invocation_fields.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/enum_names.hpp"
#include "session_buddy/protocol/entities.hpp"
#include "session_buddy/storage/error.hpp"
#include "session_buddy/storage/skills_store.hpp"

namespace session_buddy::bindings {
namespace {

using storage::InvocationRecord;
using storage::StorageErrc;
using storage::StorageError;

// Never released: the translator may run until the interpreter exits.
struct ExceptionTypes {
    PyObject* base = nullptr;
    PyObject* busy = nullptr;
    PyObject* invalid = nullptr;
};
ExceptionTypes exception_types;

constexpr EnumNames kCodes{std::array{
    EnumName{StorageErrc::missing, "missing"}, EnumName{StorageErrc::not_a_database, "not_a_database"},
    EnumName{StorageErrc::damaged, "damaged"}, EnumName{StorageErrc::foreign_database, "foreign_database"},
    EnumName{StorageErrc::newer_version, "newer_version"}, EnumName{StorageErrc::incompatible, "incompatible"},
    EnumName{StorageErrc::read_only, "read_only"}, EnumName{StorageErrc::busy, "busy"}, EnumName{StorageErrc::io, "io"},
    EnumName{StorageErrc::invalid_argument, "invalid_argument"}}};

PyObject* type_of(StorageErrc code) {
    switch (code) {
        case StorageErrc::busy:
            return exception_types.busy;
        case StorageErrc::invalid_argument:
            return exception_types.invalid;
        default:
            return exception_types.base;
    }
}

void translate_storage_error(
    std::exception_ptr failure) {  // NOLINT(performance-unnecessary-value-param): pybind11's signature
    try {
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const StorageError& error) {
        const auto type = py::reinterpret_borrow<py::object>(type_of(error.code()));
        const py::object raised = type(to_str(error.what()));
        raised.attr("code") = kCodes[error.code()];
        raised.attr("path") = to_str(error.path());
        PyErr_SetObject(type.ptr(), raised.ptr());
    }
}

PyObject* add_exception(py::module_& module, const char* name, const char* text, const py::tuple& bases) {
    const std::string qualified = std::string("session_buddy.storage.") + name;
    PyObject* type = PyErr_NewExceptionWithDoc(qualified.c_str(), text, bases.ptr(), nullptr);
    if (type == nullptr) {
        throw py::error_already_set();
    }
    module.add_object(name, type);
    return type;
}

// None and an absent key are the same: NULL or the default of the column.
std::optional<py::object> field_of(const py::dict& fields, const char* name) {
    PyObject* value = PyDict_GetItemString(fields.ptr(), name);
    if (value == nullptr || value == Py_None) {
        return std::nullopt;
    }
    return py::reinterpret_borrow<py::object>(value);
}

std::optional<std::string> text_of(const py::dict& fields, const char* name) {
    const auto value = field_of(fields, name);
    return value ? std::optional(to_text(name, *value)) : std::nullopt;
}

std::optional<double> number_of(const py::dict& fields, const char* name) {
    const auto value = field_of(fields, name);
    return value ? std::optional(to_number(name, *value)) : std::nullopt;
}

std::optional<std::int64_t> integer_of(const py::dict& fields, const char* name) {
    const auto value = field_of(fields, name);
    int overflow = 0;
    const auto number = value ? std::optional(to_integer(name, *value, overflow)) : std::nullopt;
    if (overflow != 0) {
        throw py::value_error(std::string(name) + " is too large");
    }
    return number;
}

// One overload for each type of a field; they throw TypeError or ValueError with the name.
void read(const py::dict& fields, const char* name, std::string& into) {
    auto text = text_of(fields, name);
    if (!text) {
        throw py::type_error(std::string(name) + " is required");
    }
    into = *std::move(text);
}

void read(const py::dict& fields, const char* name, bool& into) {
    if (const auto value = field_of(fields, name)) {
        into = to_bool(name, *value);
    }
}

void read(const py::dict& fields, const char* name, std::optional<std::string>& into) {
    into = text_of(fields, name);
}

void read(const py::dict& fields, const char* name, std::optional<double>& into) {
    into = number_of(fields, name);
}

void read(const py::dict& fields, const char* name, std::optional<std::int64_t>& into) {
    into = integer_of(fields, name);
}

void read(const py::dict& fields, const char* name, std::optional<Bytes>& into) {
    if (const auto value = field_of(fields, name)) {
        if (!py::isinstance<py::bytes>(*value)) {
            wrong_type(name, "bytes", *value);
        }
        const auto bytes = py::reinterpret_borrow<py::bytes>(*value);
        const std::string_view view = bytes;
        into.emplace(view.begin(), view.end());
    }
}

InvocationRecord to_record(const py::dict& fields) {
    InvocationRecord record;
    for_each_field<kInvocationRecord>([&](const auto& field) { read(fields, field.name.data(), record.*field.get); });
    return record;
}

using storage::SkillMetricsRow;

constexpr auto kSkillMetrics = entity(
    "SkillMetricsRow", "", field<"skill_name">(&SkillMetricsRow::skill_name),
    field<"total_invocations">(&SkillMetricsRow::total_invocations),
    field<"completed_invocations">(&SkillMetricsRow::completed_invocations),
    field<"abandoned_invocations">(&SkillMetricsRow::abandoned_invocations),
    field<"total_duration_seconds">(&SkillMetricsRow::total_duration_seconds),
    field<"workflow_paths">(&SkillMetricsRow::workflow_paths), field<"common_errors">(&SkillMetricsRow::common_errors),
    field<"follow_up_actions">(&SkillMetricsRow::follow_up_actions),
    field<"avg_selection_rank">(&SkillMetricsRow::avg_selection_rank),
    field<"recommendation_success_rate">(&SkillMetricsRow::recommendation_success_rate),
    field<"first_invoked">(&SkillMetricsRow::first_invoked), field<"last_invoked">(&SkillMetricsRow::last_invoked),
    field<"completion_rate">(&SkillMetricsRow::completion_rate),
    field<"avg_duration_seconds">(&SkillMetricsRow::avg_duration_seconds),
    field<"updated_at">(&SkillMetricsRow::updated_at));

// Wraps SkillsStore: everything that may wait for the database releases the GIL.
class Store {
  public:
    Store(const std::string& path, double busy_timeout)
        : store_(std::make_shared<storage::SkillsStore>(
              path, std::chrono::milliseconds(std::llround(busy_timeout * 1000)))) {}

    std::int64_t store(const py::dict& fields) {
        const InvocationRecord record = to_record(fields);
        const py::gil_scoped_release released;
        return store_->store(record);
    }

    std::vector<std::int64_t> store_many(const std::vector<py::dict>& many) {
        std::vector<InvocationRecord> records;
        records.reserve(many.size());
        for (const py::dict& fields : many) {
            const auto with_index = [&records](const char* text) {
                return "record " + std::to_string(records.size()) + ": " + text;
            };
            try {
                records.push_back(to_record(fields));
            } catch (const py::type_error& error) {
                throw py::type_error(with_index(error.what()));
            } catch (const py::value_error& error) {
                throw py::value_error(with_index(error.what()));
            }
        }
        const py::gil_scoped_release released;
        return store_->store_many(records);
    }

    py::object metrics(const std::string& skill_name) {
        return to_object<kSkillMetrics>(without_gil([&] { return store_->metrics(skill_name); }));
    }

    py::list all_metrics(std::int64_t limit) {
        return to_dicts<kSkillMetrics>(without_gil([&] { return store_->all_metrics(limit); }));
    }

    py::list real_time_metrics(std::int64_t limit, double window_seconds) {
        const std::chrono::microseconds window(std::llround(window_seconds * 1e6));
        return to_dicts<protocol::kPlainTopSkill>(
            without_gil([&] { return store_->real_time_metrics(limit, window, SystemClock().now()); }));
    }

    py::object queries() { return make_queries(store_); }

    void close() { store_->close(); }

  private:
    std::shared_ptr<storage::SkillsStore> store_;
};

}  // namespace

void bind_storage(py::module_& module) {
    add_entity<kSkillMetrics, SkillMetricsRow>();
    const auto builtin = [](PyObject* type) { return py::reinterpret_borrow<py::object>(type); };
    exception_types.base = add_exception(
        module, "StorageError",
        "A database that cannot be opened, read or written. `code` is the reason in one word, `path` the file.",
        py::make_tuple(builtin(PyExc_Exception)));
    exception_types.busy = add_exception(module, "DatabaseBusyError",
                                         "Another process kept the database locked for longer than the timeout.",
                                         py::make_tuple(builtin(exception_types.base)));
    exception_types.invalid = add_exception(module, "InvalidRecordError", "A value that cannot be stored.",
                                            py::make_tuple(builtin(exception_types.base), builtin(PyExc_ValueError)));
    py::register_exception_translator(&translate_storage_error);

    module.def(
        "validation_error", [](const py::dict& fields) { return validation_error(to_record(fields)); },
        py::arg("fields"), py::pos_only(),
        "Why SkillsStore.store() would reject these fields; empty if it would not. Raises TypeError or ValueError.");
    py::class_<Store>(module, "SkillsStore", "Writes and queries a skills database; safe to share between threads.")
        .def(py::init<const std::string&, double>(), py::arg("path"), py::arg("busy_timeout"),
             py::call_guard<py::gil_scoped_release>())
        .def("store", &Store::store, py::arg("fields"))
        .def("store_many", &Store::store_many, py::arg("many"))
        .def("metrics", &Store::metrics, py::arg("skill_name"))
        .def("all_metrics", &Store::all_metrics, py::arg("limit"))
        .def("real_time_metrics", &Store::real_time_metrics, py::arg("limit"), py::arg("window_seconds"))
        .def("queries", &Store::queries)
        .def("close", &Store::close, py::call_guard<py::gil_scoped_release>());
}

}  // namespace session_buddy::bindings
