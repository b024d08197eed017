// Tells a service manager how the server is doing: systemd's Type=notify, by the protocol of sd_notify(3).
// That is one datagram a message, too little to depend on libsystemd for, which macOS lacks.
#pragma once

#include <string>
#include <string_view>

namespace session_buddy::app {

/// Silent where no service manager listens (NOTIFY_SOCKET is not set). A message that cannot be sent is logged: it must
/// not keep the server from serving.
class ServiceNotifier {
  public:
    /// Reads NOTIFY_SOCKET: an absolute path, or "@" and a name of Linux' abstract namespace.
    ServiceNotifier();

    [[nodiscard]] bool active() const { return !address_.empty(); }

    void ready() const;      ///< serving, after a start or a reload
    void reloading() const;  ///< ready() must follow
    void stopping() const;

  private:
    void send(std::string_view message) const;

    std::string address_;
};

}  // namespace session_buddy::app
