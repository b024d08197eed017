// A load client with thousands of connections in one thread: counts the messages of broadcasts and measures the CPU
// time and memory of the server.
//
// It connects, waits until every client is subscribed and some broadcasts have passed, and then measures over a number
// of complete broadcasts: it starts and ends in the pause between two of them. The report is one JSON object.
#include <fmt/format.h>
#include <sys/epoll.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "clients.hpp"
#include "handshake.hpp"
#include "process_usage.hpp"

namespace {

using nlohmann::ordered_json;
using wire::now_seconds;

// Time after its first message when a broadcast is over, in intervals: if every client has received it, or not.
constexpr double kOverIfComplete = 0.5;
constexpr double kOverIfIncomplete = 0.9;
constexpr double kDeadlineSeconds = 60.0;  // maximum time without a broadcast, or until all clients are ready
constexpr int kMemorySamples = 10;
constexpr double kConnectionsPerSecond = 2000.0;
constexpr std::size_t kMaxConnecting = 64;
constexpr int kWarmUpBroadcasts = 2;
// The measurement starts and ends after a broadcast that every client has received; it waits this many more for one.
constexpr int kMaxExtraBroadcasts = 5;

struct Options {
    std::uint16_t port = 0;
    bool tls = false;
    bool compression = false;
    std::size_t clients = 0;
    std::vector<std::string> skills;
    double interval = 1.0;
    int broadcasts = 0;
    pid_t server = 0;
    std::string message_file;
};

Options parse(int count, char** words) {
    CLI::App app("Connects many clients to a server that broadcasts, and measures both.");
    Options options;
    app.add_option("--port", options.port, "port of the server on 127.0.0.1")->required();
    app.add_flag("--tls", options.tls, "connect with TLS; accepts any certificate");
    app.add_flag("--compression", options.compression, "request permessage-deflate");
    app.add_option("--clients", options.clients, "number of clients")->required()->check(CLI::PositiveNumber);
    app.add_option("--skills", options.skills, "each client subscribes to one of these in turn")->delimiter(',');
    app.add_option("--interval", options.interval, "seconds between two broadcasts")->check(CLI::PositiveNumber);
    app.add_option("--broadcasts", options.broadcasts, "number of broadcasts to measure")
        ->required()
        ->check(CLI::PositiveNumber);
    app.add_option("--server-pid", options.server, "process whose CPU time and memory are measured")->required();
    app.add_option("--save-message", options.message_file, "file to save the last message of a broadcast to");
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    return options;
}

ordered_json summary(std::vector<double> values) {
    std::ranges::sort(values);
    return {{"min", values.front()}, {"median", values[values.size() / 2]}, {"max", values.back()}};
}

class Load {
  public:
    explicit Load(const Options& options)
        : options_(options),
          tls_(options.tls ? wire::make_client_context() : nullptr),
          epoll_(wire::checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
          memory_without_clients_(wire::resident_bytes(options.server)),
          started_(now_seconds()),
          last_message_at_(started_) {}

    ordered_json run() {
        std::array<epoll_event, 512> events{};
        std::vector<char> buffer(1 << 17);
        const wire::Client::OnFrame on_frame = [this](wire::Client& client, const wire::Frame& frame) {
            this->on_frame(client, frame);
        };
        while (!end_) {
            connect_more();
            const int count =
                epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds_to_wait());
            for (const auto& event : std::span(events).first(static_cast<std::size_t>(std::max(count, 0)))) {
                auto& client = clients_[event.data.u32];
                const bool was_open = client.open();
                client.advance(buffer, on_frame);
                if (!was_open && client.open()) {
                    on_open(client);
                }
                if (client.closed()) {
                    on_close();
                }
            }
            on_tick();
        }
        return report();
    }

  private:
    /// CPU times at one moment between two broadcasts.
    struct Reading {
        double time = now_seconds();
        double server_cpu;
        double own_cpu;

        explicit Reading(pid_t server) : server_cpu(wire::cpu_seconds(server)), own_cpu(wire::cpu_seconds(0)) {}
    };

    void connect_more() {
        const double allowed = 1.0 + (now_seconds() - started_) * kConnectionsPerSecond;
        while (clients_.size() < options_.clients && static_cast<double>(clients_.size()) < allowed &&
               clients_.size() - opened_ < kMaxConnecting) {
            clients_.emplace_back(wire::Target{options_.port, tls_.get(), options_.compression}, epoll_,
                                  static_cast<std::uint32_t>(clients_.size()));
        }
    }

    void on_open(wire::Client& client) {
        if (!options_.skills.empty()) {
            const ordered_json request = {{"type", "subscribe"},
                                          {"skill_name", options_.skills[opened_ % options_.skills.size()]}};
            client.send(wire::client_frame(wire::Opcode::text, request.dump()));
        }
        if (++opened_ == options_.clients && client.ssl() != nullptr) {
            cipher_ = fmt::format("{} {}", SSL_get_version(client.ssl()), SSL_get_cipher_name(client.ssl()));
        }
    }

    void on_close() {
        if (!begin_) {
            throw std::runtime_error("the server closed a connection before the measurement started");
        }
        ++closed_;
    }

    bool ready() const {
        return opened_ == options_.clients && (options_.skills.empty() || confirmed_ == options_.clients);
    }

    void on_frame(wire::Client& client, const wire::Frame& frame) {
        // A compressed frame is a broadcast: other messages are too short for compression.
        if (!frame.compressed && !frame.payload.starts_with(R"({"type":"metrics_update")")) {
            confirmed_ += frame.payload.starts_with(R"({"type":"subscription_confirmed")") ? 1U : 0U;
            return;
        }
        const double now = now_seconds();
        if (in_progress_ && all_have_it()) {
            finish_broadcast();  // it was so slow that the next one has started
        }
        if (end_) {
            return;
        }
        if (!in_progress_) {
            in_progress_ = true;
            ++broadcast_;
            received_ = 0;
            began_ = now;
            first_ = frame.arrived;
            last_ = frame.arrived;
        }
        first_ = std::min(first_, frame.arrived);
        last_ = std::max(last_, frame.arrived);
        last_message_at_ = now;
        if (client.last_broadcast == broadcast_) {
            ++overlapping_;
        } else {
            client.last_broadcast = broadcast_;
            ++received_;
        }
        ++client.messages;
        bytes_ += frame.wire_bytes;
        if (!options_.message_file.empty() && !frame.compressed) {
            message_.assign(frame.payload);
        }
    }

    bool all_have_it() const { return received_ >= opened_ - closed_; }

    double over_at() const {
        return began_ + options_.interval * (all_have_it() ? kOverIfComplete : kOverIfIncomplete);
    }

    int milliseconds_to_wait() const {
        if (opened_ < options_.clients) {
            return 1;
        }
        const double wait = in_progress_ ? over_at() - now_seconds() : kDeadlineSeconds;
        return static_cast<int>(std::ceil(std::max(0.0, wait) * 1000.0));
    }

    void on_tick() {
        const double now = now_seconds();
        if (in_progress_ && now >= over_at()) {
            finish_broadcast();
        }
        if (now - last_message_at_ > kDeadlineSeconds || (!begin_ && now - started_ > kDeadlineSeconds)) {
            throw std::runtime_error(
                fmt::format("timed out: {} of {} clients are connected", opened_, options_.clients));
        }
    }

    void finish_broadcast() {
        in_progress_ = false;
        if (!begin_) {
            if (ready() && ++warm_ > kWarmUpBroadcasts + (all_have_it() ? 0 : kMaxExtraBroadcasts)) {
                for (auto& client : clients_) {
                    client.messages = 0;
                }
                overlapping_ = 0;
                bytes_ = 0;
                memory_.push_back(wire::resident_bytes(options_.server));
                begin_.emplace(options_.server);
            }
            return;
        }
        spreads_.push_back((last_ - first_) * 1000.0);
        const auto done = static_cast<int>(spreads_.size());
        if (done >= options_.broadcasts + (all_have_it() ? 0 : kMaxExtraBroadcasts)) {
            end_.emplace(options_.server);
        }
        if (done % std::max(1, options_.broadcasts / kMemorySamples) == 0) {
            memory_.push_back(wire::resident_bytes(options_.server));
        }
    }

    ordered_json report() const {
        if (!options_.message_file.empty()) {
            std::ofstream(options_.message_file, std::ios::binary) << message_;
        }
        // Derived from the messages: if the machine stalls, one broadcast can be mistaken for two.
        std::int64_t broadcasts = 0;
        std::int64_t received = 0;
        for (const auto& client : clients_) {
            broadcasts = std::max(broadcasts, client.messages);
            received += client.messages;
        }
        const auto clients = static_cast<std::int64_t>(options_.clients);
        const double cpu = end_->server_cpu - begin_->server_cpu;
        const auto messages = static_cast<double>(received);
        return {{"clients", clients},
                {"cipher", cipher_},
                {"closed", closed_},
                {"seconds", end_->time - begin_->time},
                {"broadcasts", broadcasts},
                {"messages", received},
                {"lost", broadcasts * clients - received},
                {"overlapping", overlapping_},
                {"bytes_per_message", static_cast<double>(bytes_) / messages},
                {"server_cpu_seconds", cpu},
                {"server_cpu_us_per_message", cpu / messages * 1e6},
                {"client_cpu_us_per_message", (end_->own_cpu - begin_->own_cpu) / messages * 1e6},
                {"spread_ms", summary(spreads_)},
                {"resident_bytes_without_clients", memory_without_clients_},
                {"resident_bytes", memory_}};
    }

    Options options_;
    wire::SslContext tls_;
    int epoll_;
    std::int64_t memory_without_clients_;
    double started_;
    double last_message_at_;  // time of the last message
    std::deque<wire::Client> clients_;
    std::size_t opened_ = 0;
    std::size_t confirmed_ = 0;
    std::string cipher_;
    int warm_ = 0;
    std::int64_t broadcast_ = -1;
    bool in_progress_ = false;  // whether a broadcast is being received
    std::size_t received_ = 0;  // clients that have received it
    double began_ = 0.0;        // time of its first message in this process
    double first_ = 0.0;        // arrival at the socket
    double last_ = 0.0;
    std::optional<Reading> begin_;
    std::optional<Reading> end_;
    std::int64_t overlapping_ = 0;  // messages that arrived while other clients still waited for the previous one
    std::size_t closed_ = 0;
    std::size_t bytes_ = 0;
    std::vector<double> spreads_;
    std::vector<std::int64_t> memory_;
    std::string message_;
};

}  // namespace

int main(int count, char** words) {
    try {
        const Options options = parse(count, words);
        wire::raise_file_limit();
        fmt::print("{}\n", Load(options).run().dump(2));
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        fmt::print(stderr, "load_client: {}\n", error.what());
        return EXIT_FAILURE;
    }
}
