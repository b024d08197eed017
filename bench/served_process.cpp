// Spawns the server and connects a blocking WebSocket client that waits for a single message.
#include "served_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <spdlog/fmt/fmt.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "measuring.hpp"

namespace session_buddy::bench {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using tcp = net::ip::tcp;

constexpr double kTimeoutSeconds = 120.0;

std::uint16_t free_port() {
    net::io_context io;
    return tcp::acceptor(io, {net::ip::address_v4::loopback(), 0}).local_endpoint().port();
}

tcp::socket connect_when_bound(net::io_context& io, std::uint16_t port, double deadline) {
    for (;;) {
        tcp::socket socket(io);
        boost::system::error_code error;
        socket.connect({net::ip::address_v4::loopback(), port}, error);
        if (!error) {
            return socket;
        }
        if (wall_seconds() > deadline) {
            throw std::runtime_error("the server did not start to listen in time");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
}

pid_t spawn(const std::string& server, const std::string& database, std::uint16_t port) {
    std::array<std::string, 10> words{server,      "--host", "127.0.0.1",           "--port", std::to_string(port),
                                      "--db-path", database, "--handshake-timeout", "600",    "--log-level=warning"};
    std::array<char*, 11> arguments{};
    for (std::size_t i = 0; i < words.size(); ++i) {
        arguments[i] = words[i].data();
    }
    // Keep the output of the server out of the results on stdout.
    posix_spawn_file_actions_t actions{};
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    pid_t process = -1;
    const int error = ::posix_spawn(&process, server.c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        throw std::system_error(error, std::generic_category(), server);
    }
    return process;
}

}  // namespace

ServedProcess::ServedProcess(const std::string& server, const std::string& database) {
    const std::uint16_t port = free_port();
    const double start = wall_seconds();
    process_ = spawn(server, database, port);
    try {
        net::io_context io;
        beast::websocket::stream<tcp::socket> client(connect_when_bound(io, port, start + kTimeoutSeconds));
        client.handshake("127.0.0.1", "/");
        beast::flat_buffer buffer;
        client.read(buffer);
        seconds_ = wall_seconds() - start;
        update_ = nlohmann::json::parse(beast::buffers_to_string(buffer.data()));
    } catch (...) {
        ::kill(process_, SIGTERM);
        ::waitpid(process_, nullptr, 0);
        throw;
    }
}

ServedProcess::~ServedProcess() {
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
}

double ServedProcess::megabytes(const std::string& name) const {
    std::ifstream status(fmt::format("/proc/{}/status", process_));
    for (std::string word; status >> word;) {
        if (word == name + ":") {
            double kilobytes = 0.0;
            status >> kilobytes;
            return kilobytes / 1024.0;
        }
    }
    throw std::runtime_error(name + " is missing in /proc/PID/status");
}

double ServedProcess::cpu_seconds() const {
    double nanoseconds = 0.0;
    for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process_))) {
        std::ifstream schedule(thread.path() / "schedstat");
        double on_cpu = 0.0;
        schedule >> on_cpu;
        nanoseconds += on_cpu;
    }
    return nanoseconds * 1e-9;
}

}  // namespace session_buddy::bench
