// The entry point of session_buddy._native, and the translation of C++ exceptions to Python exceptions.
#include <pybind11/pybind11.h>

#include <system_error>

#include "bindings.hpp"
#include "session_buddy/auth/authenticator.hpp"
#include "session_buddy/core/config.hpp"
#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/version.hpp"
#include "session_buddy/server/network_server.hpp"

namespace session_buddy::bindings {

py::str to_str(std::string_view text) {
    PyObject* decoded = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
    if (decoded == nullptr) {
        throw py::error_already_set();
    }
    return py::reinterpret_steal<py::str>(decoded);
}

bool report_progress(const py::object& progress, std::uint64_t done, std::uint64_t total) {
    const py::gil_scoped_acquire acquired;
    if (PyErr_CheckSignals() != 0) {
        throw py::error_already_set();
    }
    return progress.is_none() || progress(done, total).cast<bool>();
}

namespace {

void translate(std::exception_ptr failure) {  // NOLINT(performance-unnecessary-value-param): pybind11's signature
    try {
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const ConfigError& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const auth::AuthError& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const server::TlsError& error) {
        // The exception that Python's ssl module raises for such a file, an OSError.
        const py::object kind = py::module_::import("ssl").attr("SSLError");
        PyErr_SetObject(kind.ptr(), py::make_tuple(1, to_str(error.what())).ptr());  // 1: SSL_ERROR_SSL
    } catch (const std::system_error& error) {
        // OSError picks its subclass (PermissionError, …) by the number, so it must be a real errno.
        const std::error_condition condition = error.code().default_error_condition();
        const int number = condition.category() == std::generic_category() ? condition.value() : EIO;
        const py::tuple arguments = py::make_tuple(number, to_str(error.what()));
        PyErr_SetObject(PyExc_OSError, arguments.ptr());
    }
}

}  // namespace
}  // namespace session_buddy::bindings

PYBIND11_MODULE(_native, module) {
    using namespace session_buddy;
    module.doc() = "The native part of session_buddy. Private: use the modules around it.";
    module.attr("__version__") = kVersion;
    module.attr("MAX_DURATION_SECONDS") = kMaxDurationSeconds;
    module.attr("DURATION_RULE") = kDurationRule;
    module.attr("SKILL_NAME_RULE") = kSkillNameRule;
    pybind11::register_exception_translator(&bindings::translate);
    bindings::bind_core(module);
    bindings::bind_log_queue(module);
    bindings::bind_storage(module);
    bindings::bind_queries(module);
    bindings::bind_ingest(module);
    bindings::bind_prune(module);
    bindings::bind_corrections(module);
    bindings::bind_evidence(module);
    bindings::bind_anomaly(module);
    bindings::bind_alerts(module);
    bindings::bind_server(module);
}
