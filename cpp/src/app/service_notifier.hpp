// Notifies a service manager of the server's state (systemd Type=notify, the sd_notify(3) protocol). The protocol is
// one datagram per message, so libsystemd, which macOS lacks, is not needed.
#pragma once

#include <string>
#include <string_view>

namespace session_buddy::app {

/// Does nothing if NOTIFY_SOCKET is not set. A message that cannot be sent is only logged, so that the server keeps
/// running.
class ServiceNotifier {
  public:
    /// Reads NOTIFY_SOCKET: an absolute path, or "@" and a name in Linux' abstract namespace.
    ServiceNotifier();

    [[nodiscard]] bool active() const { return !address_.empty(); }

    void ready() const;      ///< after a start or a reload
    void reloading() const;  ///< ready() must follow
    void stopping() const;

  private:
    void send(std::string_view message) const;

    std::string address_;
};

}  // namespace session_buddy::app
