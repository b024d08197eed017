// A broadcast as one writes it with Boost.Beast: a session a client, one async_write of shared bytes each.
#include <fmt/format.h>

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>

#include "floor.hpp"
#include "handshake.hpp"

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using net::ip::tcp;

class Session;
using Sessions = std::unordered_set<Session*>;

class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(tcp::socket socket, Sessions& all) : stream_(std::move(socket)), all_(all) {
        stream_.next_layer().set_option(tcp::no_delay(true));
        stream_.text(true);
    }
    ~Session() { all_.erase(this); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void start() {
        stream_.async_accept([self = shared_from_this()](beast::error_code error) {
            if (!error) {
                self->all_.insert(self.get());
                self->read();
            }
        });
    }

    void send(const std::shared_ptr<const std::string>& message) {
        if (writing_) {
            return;
        }
        writing_ = true;
        stream_.async_write(net::buffer(*message), [self = shared_from_this(), message](
                                                       beast::error_code, std::size_t) { self->writing_ = false; });
    }

  private:
    // Clients say nothing; but a close has to be noticed.
    void read() {
        stream_.async_read(buffer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
            if (!error) {
                self->buffer_.clear();
                self->read();
            }
        });
    }

    beast::websocket::stream<tcp::socket> stream_;
    beast::flat_buffer buffer_;
    Sessions& all_;
    bool writing_ = false;
};

void accept(tcp::acceptor& acceptor, Sessions& sessions) {
    acceptor.async_accept([&](beast::error_code error, tcp::socket socket) {
        if (!error) {
            std::make_shared<Session>(std::move(socket), sessions)->start();
        }
        accept(acceptor, sessions);
    });
}

void broadcast(net::steady_timer& timer, std::chrono::nanoseconds interval, const Sessions& sessions,
               const std::shared_ptr<const std::string>& message) {
    timer.expires_at(timer.expiry() + interval);
    timer.async_wait([&timer, interval, &sessions, message](beast::error_code) {
        for (auto* session : sessions) {
            session->send(message);
        }
        broadcast(timer, interval, sessions, message);
    });
}

void run(const wire::FloorOptions& options) {
    wire::raise_file_limit();
    net::io_context context(1);
    Sessions sessions;
    tcp::acceptor acceptor(context, tcp::v4(), wire::listen_on_loopback("ws"));
    accept(acceptor, sessions);
    net::steady_timer timer(context, std::chrono::steady_clock::now());
    broadcast(timer, std::chrono::nanoseconds(static_cast<std::int64_t>(options.interval * 1e9)), sessions,
              std::make_shared<const std::string>(options.message));
    context.run();
}

}  // namespace

int main(int count, char** words) {
    try {
        run(wire::parse_floor_options(count, words, "A broadcast with plain Boost.Beast.", false));
    } catch (const std::exception& error) {
        fmt::print(stderr, "beast_broadcast: {}\n", error.what());
        return EXIT_FAILURE;
    }
}
