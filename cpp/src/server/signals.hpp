// Signals are handled by the main thread only; other threads block them.
#pragma once

#include <csignal>

namespace session_buddy::server {

/// Blocks signals in the calling thread, except for synchronous faults and SIGPROF.
inline void block_signals() {
    sigset_t signals;
    sigfillset(&signals);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) {
        sigdelset(&signals, fault);
    }
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace session_buddy::server
