// Measures the rate of pipelined requests on one connection.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "frames.hpp"
#include "handshake.hpp"
#include "process_usage.hpp"

namespace {

using wire::checked;
using wire::now_seconds;

constexpr double kWarmUpSeconds = 0.5;
constexpr std::size_t kPipelined = 64;  // maximum outstanding requests

struct Options {
    std::uint16_t port = 0;
    std::string skill;
    double seconds = 5.0;
    pid_t server = 0;
};

Options parse(int count, char** words) {
    CLI::App app("Sends get_metrics on one connection without waiting for each answer.");
    Options options;
    app.add_option("--port", options.port, "port of the server on 127.0.0.1")->required();
    app.add_option("--skill", options.skill, "skill to request")->required();
    app.add_option("--seconds", options.seconds, "duration of the measurement in seconds")->check(CLI::PositiveNumber);
    app.add_option("--server-pid", options.server, "process whose CPU time is measured")->required();
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    return options;
}

/// A blocking connection that parses frames.
class Connection {
  public:
    explicit Connection(std::uint16_t port) : socket_(checked(socket(AF_INET, SOCK_STREAM, 0), "socket")) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        checked(connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
        const int on = 1;
        checked(setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
        send(wire::upgrade_request(false));
        std::size_t end = 0;
        while ((end = received_.find(wire::kEndOfHeader)) == std::string::npos) {
            receive();
        }
        if (!received_.starts_with("HTTP/1.1 101 ")) {
            throw std::runtime_error("the server rejected the connection");
        }
        received_.erase(0, end + wire::kEndOfHeader.size());
    }

    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            bytes.remove_prefix(static_cast<std::size_t>(
                checked(static_cast<int>(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL)), "send")));
        }
    }

    /// Waits for data and returns the number of responses in it, not counting updates.
    std::size_t read_answers() {
        receive();
        std::string_view bytes = received_;
        std::size_t answers = 0;
        for (wire::Frame frame; wire::parse_frame(bytes, frame);) {
            if (frame.opcode == wire::Opcode::ping) {
                send(wire::client_frame(wire::Opcode::pong, frame.payload));
            } else if (frame.opcode == wire::Opcode::close || frame.payload.starts_with(R"({"type":"error")")) {
                throw std::runtime_error(fmt::format("the server responded with an error: {}", frame.payload));
            } else if (!frame.payload.starts_with(R"({"type":"metrics_update")")) {
                ++answers;
            }
        }
        received_.erase(0, received_.size() - bytes.size());
        return answers;
    }

  private:
    void receive() {
        const auto count = recv(socket_, buffer_.data(), buffer_.size(), 0);
        if (count <= 0) {
            throw std::runtime_error("the server closed the connection");
        }
        received_.append(buffer_.data(), static_cast<std::size_t>(count));
    }

    int socket_;
    std::vector<char> buffer_ = std::vector<char>(1 << 17);
    std::string received_;
};

nlohmann::ordered_json run(const Options& options) {
    Connection connection(options.port);
    const nlohmann::ordered_json request = {{"type", "get_metrics"}, {"skill_name", options.skill}};
    const std::string frame = wire::client_frame(wire::Opcode::text, request.dump());
    std::string frames;
    for (std::size_t number = 0; number < kPipelined; ++number) {
        frames += frame;
    }
    connection.send(frames);
    const auto exchange_for = [&](double seconds) {
        std::int64_t answered = 0;
        for (const double end = now_seconds() + seconds; now_seconds() < end;) {
            const std::size_t answers = connection.read_answers();
            connection.send(std::string_view(frames).substr(0, answers * frame.size()));
            answered += static_cast<std::int64_t>(answers);
        }
        return answered;
    };
    exchange_for(kWarmUpSeconds);
    const double start = now_seconds();
    const double cpu = wire::cpu_seconds(options.server);
    const double own = wire::cpu_seconds(0);
    const auto answered = static_cast<double>(exchange_for(options.seconds));
    const double seconds = now_seconds() - start;
    return {{"requests", answered},
            {"seconds", seconds},
            {"requests_per_second", answered / seconds},
            {"server_cpu_us_per_request", (wire::cpu_seconds(options.server) - cpu) / answered * 1e6},
            {"client_cpu_share", (wire::cpu_seconds(0) - own) / seconds}};
}

}  // namespace

int main(int count, char** words) {
    try {
        fmt::print("{}\n", run(parse(count, words)).dump(2));
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        fmt::print(stderr, "request_client: {}\n", error.what());
        return EXIT_FAILURE;
    }
}
