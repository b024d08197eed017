// Requests submitted by a server under test, queued until the test responds.
#pragma once

#include <functional>
#include <utility>

#include "support/arrivals.hpp"

namespace session_buddy::test {

template <typename Request, typename Answer>
struct PendingRequest {
    Request request;
    std::function<void(Answer)> done;
};

/// For a test double of Intake, Queries or AlertCommands.
template <typename Request, typename Answer>
using PendingRequests = Arrivals<PendingRequest<Request, Answer>>;

}  // namespace session_buddy::test
