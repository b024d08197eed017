// Flow control of one ingestion request: how much of its body may be received, and how fast it must come.
#pragma once

#include <cstddef>
#include <cstdint>

#include "asio.hpp"
#include "context.hpp"
#include "session_buddy/server/intake.hpp"

namespace session_buddy::server {

/// The share of ServerContext::intake_bytes held from the first byte of a body to the response of the intake. Counts
/// received bytes, not Content-Length, so that announced bodies cannot block other clients.
class IntakeReservation {
  public:
    /// `context` must outlive it. `now` is the start of the body.
    IntakeReservation(ServerContext& context, IntakeRequest::Kind kind, SteadyTime now);
    ~IntakeReservation() { context_.intake_bytes -= bytes_; }
    IntakeReservation(const IntakeReservation&) = delete;
    IntakeReservation& operator=(const IntakeReservation&) = delete;

    /// Whether max_intake_bytes allows a request of this kind to add as many bytes. Hook events are small, users wait
    /// for them, and hooks do not retry: they may exceed the limit by one body.
    [[nodiscard]] static bool has_capacity(const ServerContext& context, IntakeRequest::Kind kind, std::uint64_t bytes);
    /// Counts `received` bytes, of the whole body. Returns false and counts nothing more if they exceed the limit.
    [[nodiscard]] bool grow_to(std::size_t received, SteadyTime now);
    /// When the next bytes must have come. Received bytes extend it at min_body_rate, but no pause may exceed
    /// handshake_timeout.
    [[nodiscard]] SteadyTime deadline() const { return deadline_; }

  private:
    ServerContext& context_;
    const IntakeRequest::Kind kind_;
    std::size_t bytes_ = 0;
    SteadyTime deadline_;
};

}  // namespace session_buddy::server
