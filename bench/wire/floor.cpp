// Parses the command line of the floor programs and runs their broadcast timer.
#include "floor.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <ctime>

#include "handshake.hpp"

namespace wire {

FloorOptions parse_floor_options(int count, char** words, const char* about, bool tls) {
    CLI::App app(about);
    FloorOptions options;
    std::string file;
    app.add_option("--message", file, "file with the message to send")->required();
    app.add_option("--clients", options.clients, "clients to wait for")->required()->check(CLI::PositiveNumber);
    app.add_option("--interval", options.interval, "seconds between two broadcasts")
        ->required()
        ->check(CLI::PositiveNumber);
    if (tls) {
        app.add_option("--tls-cert", options.tls_cert, "PEM file with the certificate")->required();
        app.add_option("--tls-key", options.tls_key, "PEM file with its key")->required();
    }
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    options.message = read_whole(file);
    return options;
}

void repeat(double interval, const std::function<void()>& broadcast) {
    constexpr long kNanoseconds = 1'000'000'000;
    const auto step = static_cast<long>(interval * static_cast<double>(kNanoseconds));
    timespec next{};
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (true) {
        next.tv_nsec += step % kNanoseconds;
        next.tv_sec += step / kNanoseconds + next.tv_nsec / kNanoseconds;
        next.tv_nsec %= kNanoseconds;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr);
        broadcast();
    }
}

}  // namespace wire
