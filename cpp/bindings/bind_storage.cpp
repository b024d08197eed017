// SkillsStore and the exceptions of the storage layer.
#include <pybind11/stl.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/enum_names.hpp"
#include "session_buddy/core/timestamp.hpp"
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

void translate(std::exception_ptr failure) {  // NOLINT(performance-unnecessary-value-param): pybind11's signature
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

std::string required_text(const py::dict& fields, const char* name) {
    auto text = text_of(fields, name);
    if (!text) {
        throw py::type_error(std::string(name) + " is required");
    }
    return *std::move(text);
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

InvocationRecord to_record(const py::dict& fields) {
    InvocationRecord record;
    record.skill_name = required_text(fields, "skill_name");
    record.invoked_at = required_text(fields, "invoked_at");
    record.session_id = required_text(fields, "session_id");
    if (const auto completed = field_of(fields, "completed")) {
        record.completed = to_bool("completed", *completed);
    }
    record.duration_seconds = number_of(fields, "duration_seconds");
    record.workflow_path = text_of(fields, "workflow_path");
    record.user_query = text_of(fields, "user_query");
    record.alternatives_considered = text_of(fields, "alternatives_considered");
    record.selection_rank = integer_of(fields, "selection_rank");
    record.follow_up_actions = text_of(fields, "follow_up_actions");
    record.error_type = text_of(fields, "error_type");
    record.workflow_phase = text_of(fields, "workflow_phase");
    record.workflow_step_id = text_of(fields, "workflow_step_id");
    if (const auto embedding = field_of(fields, "embedding")) {
        if (!py::isinstance<py::bytes>(*embedding)) {
            wrong_type("embedding", "bytes", *embedding);
        }
        const auto bytes = py::reinterpret_borrow<py::bytes>(*embedding);
        const std::string_view view = bytes;
        record.embedding.emplace(view.begin(), view.end());
    }
    return record;
}

py::dict to_dict(const storage::SkillMetricsRow& row) {
    py::dict fields;
    fields["skill_name"] = to_str(row.skill_name);
    fields["total_invocations"] = row.total_invocations;
    fields["completed_invocations"] = row.completed_invocations;
    fields["abandoned_invocations"] = row.abandoned_invocations;
    fields["total_duration_seconds"] = row.total_duration_seconds;
    fields["workflow_paths"] = to_str(row.workflow_paths);
    fields["common_errors"] = to_str(row.common_errors);
    fields["follow_up_actions"] = to_str(row.follow_up_actions);
    fields["avg_selection_rank"] = row.avg_selection_rank;
    fields["recommendation_success_rate"] = row.recommendation_success_rate;
    fields["first_invoked"] = optional_str(row.first_invoked);
    fields["last_invoked"] = optional_str(row.last_invoked);
    fields["completion_rate"] = row.completion_rate;
    fields["avg_duration_seconds"] = row.avg_duration_seconds;
    fields["updated_at"] = to_str(row.updated_at);
    return fields;
}

py::dict to_dict(const storage::RealTimeRow& row) {
    py::dict fields;
    fields["skill_name"] = to_str(row.skill_name);
    fields["invocation_count"] = row.invocation_count;
    fields["completed_count"] = row.completed_count;
    fields["avg_duration"] = row.avg_duration;
    fields["last_invocation_at"] = format_timestamp(row.last_invocation_at);
    return fields;
}

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
        std::optional<storage::SkillMetricsRow> row;
        {
            const py::gil_scoped_release released;
            row = store_->metrics(skill_name);
        }
        return row ? py::object(to_dict(*row)) : py::object(py::none());
    }

    py::list all_metrics(std::int64_t limit) {
        return to_list([&] { return store_->all_metrics(limit); });
    }

    py::list real_time_metrics(std::int64_t limit, double window_seconds) {
        const std::chrono::microseconds window(std::llround(window_seconds * 1e6));
        return to_list([&] { return store_->real_time_metrics(limit, window, SystemClock().now()); });
    }

    py::object queries() { return make_queries(store_); }

    void close() { store_->close(); }

  private:
    template <typename Query>
    static py::list to_list(Query query) {
        decltype(query()) rows;
        {
            const py::gil_scoped_release released;
            rows = query();
        }
        py::list converted;
        for (const auto& row : rows) {
            converted.append(to_dict(row));
        }
        return converted;
    }

    std::shared_ptr<storage::SkillsStore> store_;
};

}  // namespace

void bind_storage(py::module_& module) {
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
    py::register_exception_translator(&translate);

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
