// Waits with poll() for a pipe, which interrupt() writes to, and for file system notifications.
#include "session_buddy/storage/database_watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "file_events.hpp"
#include "session_buddy/core/log.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// The timeout for poll(): rounded up, so that no wait ends early, and at most an hour.
int milliseconds_until(DatabaseWatch::Time time) {
    constexpr milliseconds kLongest{std::chrono::hours{1}};
    const auto left = time - std::min(time, steady_clock::now());
    return static_cast<int>(left >= kLongest ? kLongest.count() : std::chrono::ceil<milliseconds>(left).count());
}

}  // namespace

struct DatabaseWatch::Impl {
    std::string path;
    FileDescriptor interruption_reader;
    FileDescriptor interruption_writer;
    FileEvents events;
    FileEvents removals{FileEvents::Kind::removals};
    std::function<void()> on_removal;
    bool notified = true;  // whether notifications work, so that a failure is logged once

    Impl(std::string database, std::function<void()> removal)
        : path(std::move(database)), on_removal(std::move(removal)) {
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0) {
            throw std::system_error(errno, std::generic_category(), "pipe");
        }
        interruption_reader = FileDescriptor(ends[0]);
        interruption_writer = FileDescriptor(ends[1]);
        for (const int end : ends) {
            ::fcntl(end, F_SETFD, FD_CLOEXEC);
            ::fcntl(end, F_SETFL, O_NONBLOCK);
        }
    }

    /// Returns true if changes were not watched before, so that some may have been missed.
    bool watch(FileEvents& which) {
        try {
            const bool missed = which.watch(path);
            if (!std::exchange(notified, true)) {
                log::kStorage.info("watching database \"{}\" for changes again", path);
            }
            return missed;
        } catch (const std::system_error& error) {
            // The follower reports a missing folder.
            if (error.code() != std::errc::no_such_file_or_directory && std::exchange(notified, false)) {
                log::kStorage.warning("cannot watch database \"{}\" for changes, polling at the interval instead: {}",
                                      path, error.what());
            }
            return false;
        }
    }
};

DatabaseWatch::DatabaseWatch(std::string path, std::function<void()> on_removal)
    : impl_(std::make_unique<Impl>(std::move(path), std::move(on_removal))) {}

DatabaseWatch::~DatabaseWatch() = default;

bool DatabaseWatch::wait(Time until, Time listen_from) {
    bool listening = false;
    if (impl_->on_removal && impl_->watch(impl_->removals)) {
        impl_->on_removal();
    }
    for (;;) {
        const Time now = steady_clock::now();
        if (!listening && now >= listen_from) {
            listening = true;
            if (impl_->watch(impl_->events)) {
                return true;
            }
        }
        const Time next = listening ? until : std::min(until, listen_from);
        std::array<pollfd, 3> sources{
            pollfd{.fd = impl_->interruption_reader.get(), .events = POLLIN, .revents = 0},
            pollfd{.fd = listening ? impl_->events.descriptor() : -1, .events = POLLIN, .revents = 0},
            pollfd{.fd = impl_->removals.descriptor(), .events = POLLIN, .revents = 0}};
        if (::poll(sources.data(), sources.size(), milliseconds_until(next)) < 0 && errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "poll");
        }
        if (sources[0].revents != 0) {
            std::array<char, 64> written{};
            while (::read(impl_->interruption_reader.get(), written.data(), written.size()) > 0) {
            }
            return false;
        }
        if (sources[2].revents != 0 && impl_->removals.drain()) {
            impl_->on_removal();
        }
        if (sources[1].revents != 0 && impl_->events.drain()) {
            return true;
        }
        if (steady_clock::now() >= until) {
            return false;
        }
    }
}

void DatabaseWatch::interrupt() noexcept {
    const char any = 0;
    // If the pipe is full, an interruption is pending already.
    [[maybe_unused]] const auto written = ::write(impl_->interruption_writer.get(), &any, 1);
}

}  // namespace session_buddy::storage
