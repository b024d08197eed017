// Passes log records from native threads to Python's logging. Native threads never wait for the interpreter.
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "bindings.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::bindings {
namespace {

struct Entry {
    log::Level level;
    std::string logger;
    std::string message;
    double created;  // seconds since 1970, as LogRecord.created
};

struct Records {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Entry> entries;
    std::size_t capacity = 0;
    std::uint64_t dropped = 0;
    bool closed = false;

    void push(const log::Record& record) {
        const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
        {
            const std::lock_guard lock(mutex);
            if (closed) {
                return;
            }
            if (entries.size() >= capacity) {
                ++dropped;  // drop the newest: the records that led to the flood are worth more
                return;
            }
            entries.push_back({record.level, std::string(record.logger), std::string(record.message), now.count()});
        }
        wake.notify_one();
    }
};

class LogQueue {
  public:
    explicit LogQueue(std::size_t capacity) : records_(std::make_shared<Records>()) {
        records_->capacity = capacity;
        // The sink shares ownership of the queue, so that a thread inside the sink may outlive this object.
        log::set_sink([records = records_](const log::Record& record) { records->push(record); });
    }
    ~LogQueue() {
        if (::getpid() == owner_) {
            close();
        } else {
            // In a forked child: leak the queue, as a condition variable that a thread of the parent waits on cannot be
            // destroyed.
            static_cast<void>(new (std::nothrow)
                                  std::shared_ptr<Records>(records_));  // NOLINT(cppcoreguidelines-owning-memory)
        }
    }
    LogQueue(const LogQueue&) = delete;
    LogQueue& operator=(const LogQueue&) = delete;

    py::tuple next(double timeout) {
        std::deque<Entry> entries;
        std::uint64_t dropped = 0;
        bool closed = false;
        {
            const py::gil_scoped_release released;
            std::unique_lock lock(records_->mutex);
            records_->wake.wait_for(lock, std::chrono::duration<double>(timeout),
                                    [this] { return records_->closed || !records_->entries.empty(); });
            entries.swap(records_->entries);
            dropped = std::exchange(records_->dropped, 0);
            closed = records_->closed;
        }
        py::list converted;
        for (const Entry& entry : entries) {
            converted.append(py::make_tuple(static_cast<int>(entry.level), to_str(entry.logger), to_str(entry.message),
                                            entry.created));
        }
        return py::make_tuple(converted, dropped, closed);
    }

    // Drops all further records; a waiting next() returns the remaining ones.
    void close() {
        {
            const std::lock_guard lock(records_->mutex);
            if (std::exchange(records_->closed, true)) {
                return;
            }
        }
        log::set_sink(nullptr);
        records_->wake.notify_all();
    }

  private:
    std::shared_ptr<Records> records_;
    pid_t owner_ = ::getpid();
};

}  // namespace

void bind_log_queue(py::module_& module) {
    py::class_<LogQueue>(module, "LogQueue", "Receives all native log records from its construction to close().")
        .def(py::init<std::size_t>(), py::arg("capacity"))
        .def("next", &LogQueue::next, py::arg("timeout"),
             "Waits up to timeout seconds; returns ([(level, logger, message, created)], dropped, closed).")
        .def("close", &LogQueue::close);
    module.def(
        "set_log_level",
        [](int level) {
            const auto native = level <= 10   ? log::Level::debug
                                : level <= 20 ? log::Level::info
                                : level <= 30 ? log::Level::warning
                                : level <= 40 ? log::Level::error
                                              : log::Level::off;
            log::set_level(native);
        },
        py::arg("level"), py::pos_only(), "Sets the level of native records, as a number of Python's logging.");
}

}  // namespace session_buddy::bindings
