// Counts the bytes of ingestion requests in flight, and extends the deadlines of their bodies.
#include "intake_reservation.hpp"

#include <algorithm>

namespace session_buddy::server {

IntakeReservation::IntakeReservation(ServerContext& context, IntakeRequest::Kind kind, SteadyTime now)
    : context_(context), kind_(kind), deadline_(now + steady(context.config.handshake_timeout)) {}

bool IntakeReservation::has_capacity(const ServerContext& context, IntakeRequest::Kind kind, std::uint64_t bytes) {
    const std::size_t limit =
        context.config.max_intake_bytes + (kind == IntakeRequest::Kind::hook ? context.config.max_body_bytes : 0);
    return context.intake_bytes + bytes <= limit;
}

bool IntakeReservation::grow_to(std::size_t received, SteadyTime now) {
    const std::size_t more = received - bytes_;
    if (!has_capacity(context_, kind_, more)) {
        return false;
    }
    context_.intake_bytes += more;
    bytes_ = received;
    const auto earned = steady(Seconds(static_cast<double>(more) / static_cast<double>(context_.config.min_body_rate)));
    deadline_ = std::min(deadline_ + earned, now + steady(context_.config.handshake_timeout));
    return true;
}

}  // namespace session_buddy::server
