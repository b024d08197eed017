// Signals are for the main thread, which knows what to do about them.
#pragma once

#include <csignal>

namespace session_buddy::server {

/// For the calling thread; its own faults still reach it.
inline void block_signals() {
    sigset_t signals;
    sigfillset(&signals);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) {
        sigdelset(&signals, fault);
    }
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace session_buddy::server
