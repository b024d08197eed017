// Shared by the two floor programs. The floor is the minimum work of any server for a broadcast: one system call (or
// one SSL_write) per client, with prepared bytes.
#pragma once

#include <functional>
#include <string>

namespace wire {

struct FloorOptions {
    std::string message;    ///< payload of the broadcast
    int clients = 0;        ///< number of clients to wait for; no more are accepted
    double interval = 0.0;  ///< seconds between two broadcasts
    std::string tls_cert;
    std::string tls_key;
};

/// Parses the command line; exits if it is invalid. `tls` adds --tls-cert and --tls-key.
FloorOptions parse_floor_options(int count, char** words, const char* about, bool tls);

/// Calls `broadcast` forever, every `interval` seconds.
[[noreturn]] void repeat(double interval, const std::function<void()>& broadcast);

}  // namespace wire
