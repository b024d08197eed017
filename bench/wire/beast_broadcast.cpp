// A straightforward broadcast server with Boost.Beast: one connection object per client, one async_write of shared
// bytes each.
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

class Connection;
using Connections = std::unordered_set<Connection*>;

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(tcp::socket socket, Connections& all) : stream_(std::move(socket)), all_(all) {
        stream_.next_layer().set_option(tcp::no_delay(true));
        stream_.text(true);
    }
    ~Connection() { all_.erase(this); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

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
    // Clients send nothing, but reading detects a close.
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
    Connections& all_;
    bool writing_ = false;
};

void accept(tcp::acceptor& acceptor, Connections& connections) {
    acceptor.async_accept([&](beast::error_code error, tcp::socket socket) {
        if (!error) {
            std::make_shared<Connection>(std::move(socket), connections)->start();
        }
        accept(acceptor, connections);
    });
}

void broadcast(net::steady_timer& timer, std::chrono::nanoseconds interval, const Connections& connections,
               const std::shared_ptr<const std::string>& message) {
    timer.expires_at(timer.expiry() + interval);
    timer.async_wait([&timer, interval, &connections, message](beast::error_code) {
        for (auto* connection : connections) {
            connection->send(message);
        }
        broadcast(timer, interval, connections, message);
    });
}

void run(const wire::FloorOptions& options) {
    wire::raise_file_limit();
    net::io_context context(1);
    Connections connections;
    tcp::acceptor acceptor(context, tcp::v4(), wire::listen_on_loopback("ws"));
    accept(acceptor, connections);
    net::steady_timer timer(context, std::chrono::steady_clock::now());
    broadcast(timer, std::chrono::nanoseconds(static_cast<std::int64_t>(options.interval * 1e9)), connections,
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
