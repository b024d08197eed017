// Sends one datagram to $NOTIFY_SOCKET per message.
#include "service_notifier.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "session_buddy/core/log.hpp"

namespace session_buddy::app {
namespace {

std::error_code last_error() {
    return {errno, std::generic_category()};
}

std::error_code send_datagram(const std::string& to, std::string_view message) {
    sockaddr_un address{};
    // A path needs room for a terminating NUL; an abstract name is delimited by its length.
    if ((to.front() != '/' && to.front() != '@') || to.size() >= sizeof(address.sun_path)) {
        return std::make_error_code(std::errc::address_not_available);
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, to.data(), to.size());
    std::size_t length = offsetof(sockaddr_un, sun_path) + to.size();
    if (to.front() == '@') {
        address.sun_path[0] = '\0';
    } else {
        ++length;
    }
    const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    if (descriptor < 0) {
        return last_error();
    }
    std::error_code failure;
    while (::sendto(descriptor, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                    static_cast<socklen_t>(length)) < 0) {
        if (errno != EINTR) {
            failure = last_error();
            break;
        }
    }
    ::close(descriptor);
    return failure;
}

}  // namespace

ServiceNotifier::ServiceNotifier() {
    if (const char* address = std::getenv("NOTIFY_SOCKET"); address != nullptr) {
        address_ = address;
    }
}

void ServiceNotifier::ready() const {
    send("READY=1");
}

void ServiceNotifier::reloading() const {
    // With Type=notify-reload, the CLOCK_MONOTONIC time identifies the reload request that this answers.
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    send("RELOADING=1\nMONOTONIC_USEC=" +
         std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

void ServiceNotifier::stopping() const {
    send("STOPPING=1");
}

void ServiceNotifier::send(std::string_view message) const {
    if (!active()) {
        return;
    }
    if (const std::error_code failure = send_datagram(address_, message)) {
        log::kServer.warning("cannot notify the service manager at {} of {}: {}", address_,
                             message.substr(0, message.find('=')), failure.message());
    }
}

}  // namespace session_buddy::app
