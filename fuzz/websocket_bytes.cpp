// Fuzzes the bytes after a valid upgrade: valid and invalid frames, and their messages. Drives the state machine of the
// connection, without a socket. With pieces of odd size the output of every second piece waits for the next one.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "server.hpp"
#include "server/websocket_protocol.hpp"

namespace session_buddy::fuzz {
namespace {

using server::WebSocketProtocol;

class Connection final : private server::Client::Sender {
  public:
    explicit Connection(Server& server)
        : protocol_(kPeer, std::get<server::Admission::Slot>(server.context.admission.admit_client(kPeer, now_)), *this,
                    server.context, now_) {
        protocol_.start("", false, server::Admitted{}, now_);
    }

    void receive(std::string_view bytes) {
        now_ += std::chrono::milliseconds{20};
        unread_ += bytes;
        advance();
    }
    void block() { blocking_ = true; }
    void unblock() {
        blocking_ = false;
        protocol_.on_writable(now_);
        advance();
    }
    void shut_down() {
        protocol_.shut_down(now_);
        advance();
    }
    /// Checks that the state machine has sent what it should.
    void check_end() {
        using State = WebSocketProtocol::State;
        check(protocol_.check_timeouts(now_).empty(), "no timeout has expired");
        check(protocol_.accepts_input() == (protocol_.state() != State::lingering), "it reads until the client ends");
        check(unread_.empty(), "no input is left");
        check_frames(sent_);
        protocol_.end();
    }

  private:
    inline static const server::Peer kPeer{.address = *IpAddress::parse("127.0.0.1"), .name = "127.0.0.1:1"};

    bool send(const server::Frame& frame) override {
        if (!protocol_.may_send()) {
            return false;
        }
        write(protocol_.has_control_frames() ? protocol_.take_with(frame) : frame->frame());
        return true;
    }
    void write(std::string_view bytes) {
        sent_ += bytes;
        if (blocking_) {
            protocol_.on_blocked(now_);
        }
    }
    void advance() {
        do {
            std::span<char> input = unread_;
            protocol_.receive(input, now_);
            unread_.erase(0, unread_.size() - input.size());
            for (auto next = protocol_.next_output(); !next.empty(); next = protocol_.next_output()) {
                write(next.frame ? next.frame->frame() : next.bytes);
            }
        } while (!unread_.empty() && protocol_.accepts_input());
    }

    server::SteadyTime now_{std::chrono::hours{1}};
    WebSocketProtocol protocol_;
    std::string unread_;
    std::string sent_;
    bool blocking_ = false;
};

}  // namespace
}  // namespace session_buddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace session_buddy::fuzz;
    Server server;
    {
        Connection connection(server);
        const Script script({reinterpret_cast<const char*>(data), size});
        bool blocked = false;
        for (const auto piece : script.pieces) {
            if (std::exchange(blocked, !blocked && script.piece_size % 2 == 1)) {
                connection.unblock();
            } else if (blocked) {
                connection.block();
            }
            connection.receive(piece);
            server.publish();
        }
        connection.unblock();
        if (script.shuts_down) {
            connection.shut_down();
        }
        connection.check_end();
    }
    server.check_released();
    return 0;
}
