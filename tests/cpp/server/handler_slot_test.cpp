// The inline storage for one operation, and the heap fallback.
#include "server/handler_slot.hpp"

#include <gtest/gtest.h>

#include <boost/asio/bind_allocator.hpp>
#include <cstddef>
#include <memory>

#include "server/asio.hpp"

namespace session_buddy::server {
namespace {

bool is_inside(const HandlerSlot& slot, const void* memory) {
    const auto* first = reinterpret_cast<const std::byte*>(&slot);
    const auto* at = static_cast<const std::byte*>(memory);
    return at >= first && at < first + sizeof slot;
}

TEST(HandlerSlot, holds_one_operation_at_a_time_and_none_that_is_too_large) {
    HandlerSlot slot;
    void* const first = slot.acquire(64);
    EXPECT_TRUE(is_inside(slot, first));
    void* const second = slot.acquire(64);
    EXPECT_FALSE(is_inside(slot, second));
    slot.release(first);
    void* const large = slot.acquire(sizeof(HandlerSlot) + 1);
    EXPECT_FALSE(is_inside(slot, large));
    slot.release(large);
    slot.release(second);
    void* const again = slot.acquire(64);
    EXPECT_EQ(again, first);
    slot.release(again);
}

// Otherwise each client would need a larger heap allocation for its wait.
TEST(HandlerSlot, fits_the_wait_for_a_socket) {
    net::io_context io;
    Socket socket(io, tcp::v4());
    HandlerSlot slot;
    socket.async_wait(Socket::wait_read, net::bind_allocator(HandlerSlot::Allocator<void>(slot),
                                                             [held = std::make_shared<int>()](const error_code&) {}));
    void* const next = slot.acquire(8);
    EXPECT_FALSE(is_inside(slot, next)) << "the wait is not in the slot";
    slot.release(next);
    socket.close();
    io.run();
}

}  // namespace
}  // namespace session_buddy::server
