// A server with small limits and sample metrics, without threads and ports, and a check of the frames that it sends.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "check.hpp"
#include "protocol/sample_snapshot.hpp"
#include "server/context.hpp"

namespace session_buddy::fuzz {

inline Config small_limits() {
    Config config;
    config.behind_proxy = true;
    config.max_header_bytes = 1024;
    config.max_message_bytes = 1024;
    config.max_pending_bytes = 4096;
    config.max_connections_per_second = 10;
    config.max_messages_per_second = 10;
    config.max_subscriptions = 5;
    return config;
}

/// An input of a connection.
struct Script {
    explicit Script(std::string_view input) {
        if (input.empty()) {
            return;
        }
        const auto first = static_cast<unsigned char>(input.front());
        input.remove_prefix(1);
        piece_size = first & 0x7FU;
        shuts_down = (first & 0x80U) != 0;
        constexpr std::size_t kMaxPieces = 32;
        const std::size_t size = std::max(piece_size == 0 ? input.size() : piece_size, input.size() / kMaxPieces + 1);
        for (; !input.empty(); input.remove_prefix(std::min(size, input.size()))) {
            pieces.push_back(input.substr(0, size));
        }
    }
    std::vector<std::string_view> pieces;
    std::size_t piece_size = 0;  ///< the low 7 bits of the first byte; 0 for one piece
    bool shuts_down = false;     ///< its top bit: the server shuts down after the last piece
};

struct Server {
    Server() : context(small_limits(), clock) {
        [[maybe_unused]] static const bool once = [] {
            forbid_logged_errors();
            return true;
        }();
        publish();
    }

    void publish() {
        auto snapshot = test::snapshot_of(++published, {test::skill("pytest-run", 5), test::skill("idle", 0)});
        snapshot->sessions = std::make_shared<std::vector<SessionMetrics>>(1, test::session("morning", 5));
        snapshot->sessions_version = published;
        context.published_at = std::chrono::steady_clock::now();
        context.broadcaster.publish(std::move(snapshot));
    }

    void check_released() const {
        check(context.admission.clients() == 0, "the slot of the client is released");
        check(context.broadcaster.group_count() == 0, "its subscription is removed");
    }

    const SystemClock clock;
    server::ServerContext context;
    std::uint64_t published = 0;
};

/// Checks that server frames are complete, unmasked and unfragmented, and that text is JSON.
inline void check_frames(std::string_view bytes) {
    while (!bytes.empty()) {
        check(bytes.size() >= 2, "a frame has a complete header");
        const auto first = static_cast<unsigned char>(bytes[0]);
        std::size_t length = static_cast<unsigned char>(bytes[1]);
        bytes.remove_prefix(2);
        check(length <= 127, "a server frame is not masked");
        check((first & 0xF0U) == 0x80U, "a frame is an unfragmented message without extensions");
        if (const std::size_t wide = length == 126 ? 2 : length == 127 ? 8 : 0; wide > 0) {
            check(bytes.size() >= wide, "an extended length is complete");
            length = 0;
            for (const char byte : bytes.substr(0, wide)) {
                length = length << 8U | static_cast<unsigned char>(byte);
            }
            bytes.remove_prefix(wide);
        }
        check(length <= bytes.size(), "a frame is complete");
        const unsigned opcode = first & 0x0FU;
        check(opcode == 1 || (opcode >= 8 && opcode <= 10 && length < 126),
              "a frame is a text or a short control frame");
        check(opcode != 1 || nlohmann::json::accept(bytes.substr(0, length)), "a text is JSON");
        bytes.remove_prefix(length);
    }
}

}  // namespace session_buddy::fuzz
