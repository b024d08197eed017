// What the two floor programs share. A floor is the least that any server has to do for a broadcast: one system call
// (or one SSL_write) for each client, with bytes that were made before.
#pragma once

#include <functional>
#include <string>

namespace wire {

struct FloorOptions {
    std::string message;    ///< the payload that is sent
    int clients = 0;        ///< so many are waited for, then no more accepted
    double interval = 0.0;  ///< seconds between two broadcasts
    std::string tls_cert;
    std::string tls_key;
};

/// Reads the command line; ends the program where it is wrong. `tls` adds --tls-cert and --tls-key.
FloorOptions parse_floor_options(int count, char** words, const char* about, bool tls);

/// Calls `broadcast` for ever, `interval` seconds apart.
[[noreturn]] void repeat(double interval, const std::function<void()>& broadcast);

}  // namespace wire
