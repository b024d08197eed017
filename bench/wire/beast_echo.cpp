// A straightforward echo server with Boost.Beast: read a message, send it back, read the next.
#include <fmt/format.h>

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>

#include "handshake.hpp"

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using net::ip::tcp;

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    explicit Connection(tcp::socket socket) : stream_(std::move(socket)) {
        stream_.next_layer().set_option(tcp::no_delay(true));
        stream_.text(true);
    }

    void start() {
        stream_.async_accept([self = shared_from_this()](beast::error_code error) {
            if (!error) {
                self->read();
            }
        });
    }

  private:
    void read() {
        stream_.async_read(buffer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
            if (!error) {
                self->write();
            }
        });
    }

    void write() {
        stream_.async_write(buffer_.data(), [self = shared_from_this()](beast::error_code error, std::size_t) {
            if (!error) {
                self->buffer_.clear();
                self->read();
            }
        });
    }

    beast::websocket::stream<tcp::socket> stream_;
    beast::flat_buffer buffer_;
};

void accept(tcp::acceptor& acceptor) {
    acceptor.async_accept([&](beast::error_code error, tcp::socket socket) {
        if (!error) {
            std::make_shared<Connection>(std::move(socket))->start();
        }
        accept(acceptor);
    });
}

}  // namespace

int main() {
    try {
        net::io_context context(1);
        tcp::acceptor acceptor(context, tcp::v4(), wire::listen_on_loopback("ws"));
        accept(acceptor);
        context.run();
    } catch (const std::exception& error) {
        fmt::print(stderr, "beast_echo: {}\n", error.what());
        return EXIT_FAILURE;
    }
}
