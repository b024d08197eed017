// Parses extension offers and wraps zlib's raw deflate format.
#include "deflate.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "session_buddy/core/ascii.hpp"

namespace session_buddy::server {
namespace {

// Higher values shrink our messages by less than 1 %; level 1 makes them 10 to 50 % larger.
constexpr int kLevel = 6;
constexpr int kMemoryLevel = 5;
// Negative: raw deflate, without zlib header and checksum.
constexpr int kWriteWindow = -kDeflateWindowBits;
constexpr int kReadWindow = -MAX_WBITS;
// The end of every sync flush, which a sender omits (RFC 7692, 7.2.1).
constexpr std::string_view kFlushTail("\x00\x00\xff\xff", 4);
// With less output space than this zlib may repeat the flush marker (zlib.h).
constexpr std::size_t kFlushRoom = 16;
// Initial output buffer; large enough for a small message.
constexpr std::size_t kFirstRoom = 1024;

void set_input(z_stream& stream, std::string_view input) {
    if (input.size() > std::numeric_limits<uInt>::max()) {
        throw std::length_error("a message of 4 GiB or more cannot be compressed");
    }
    stream.next_in = reinterpret_cast<const Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
}

// Sets the output to `buffer` from `written` to its end.
void set_output(z_stream& stream, std::string& buffer, std::size_t written) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data() + written);
    stream.avail_out =
        static_cast<uInt>(std::min<std::size_t>(buffer.size() - written, std::numeric_limits<uInt>::max()));
}

std::size_t output_end(const z_stream& stream, const std::string& buffer) {
    return static_cast<std::size_t>(reinterpret_cast<const char*>(stream.next_out) - buffer.data());
}

void require_initialized(int result) {
    if (result == Z_MEM_ERROR) {
        throw std::bad_alloc();
    }
    if (result != Z_OK) {
        throw std::logic_error("the zlib library does not match the headers this was compiled with");
    }
}

bool is_token_character(char character) {
    return ascii::is_alphanumeric_or("!#$%&'*+-.^_`|~", character);
}

struct Parameter {
    std::string name;
    std::optional<std::string> value;
};

struct Offer {
    std::string extension;
    std::vector<Parameter> parameters;
};

// Parses a list of extensions (RFC 6455, 9.1). Beast's parser cannot distinguish an error from the end of the list.
class OfferReader {
  public:
    explicit OfferReader(std::string_view text) : rest_(text) {}

    // The next offer; nullopt at the end of the list or at a syntax error.
    std::optional<Offer> next() {
        while (consume(',')) {  // HTTP lists may have empty elements
        }
        auto extension = token();
        if (!extension) {
            return std::nullopt;
        }
        Offer offer{std::move(*extension), {}};
        while (consume(';')) {
            auto name = token();
            if (!name) {
                return std::nullopt;
            }
            offer.parameters.push_back({std::move(*name), std::nullopt});
            if (consume('=')) {
                auto value = consume('"') ? quoted() : token();
                if (!value) {
                    return std::nullopt;
                }
                offer.parameters.back().value = std::move(value);
            }
        }
        skip_space();
        return rest_.empty() || rest_.front() == ',' ? std::optional(std::move(offer)) : std::nullopt;
    }

  private:
    void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }

    bool consume(char wanted) {
        skip_space();
        if (rest_.empty() || rest_.front() != wanted) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }

    std::optional<std::string> token() {
        skip_space();
        const auto* const end = std::find_if_not(rest_.begin(), rest_.end(), is_token_character);
        std::string text(rest_.begin(), end);
        rest_.remove_prefix(text.size());
        return text.empty() ? std::nullopt : std::optional(std::move(text));
    }

    // A quoted string, after its opening quote. Its content must be a token, too.
    std::optional<std::string> quoted() {
        std::string text;
        while (!rest_.empty() && rest_.front() != '"') {
            if (rest_.front() == '\\') {
                rest_.remove_prefix(1);
            }
            if (rest_.empty() || !is_token_character(rest_.front())) {
                return std::nullopt;
            }
            text += rest_.front();
            rest_.remove_prefix(1);
        }
        return consume('"') && !text.empty() ? std::optional(std::move(text)) : std::nullopt;
    }

    std::string_view rest_;
};

// 8 to 15 in decimal, without leading zeros; nullopt for anything else.
std::optional<int> window_bits(const std::string& text) {
    constexpr std::array<std::string_view, 8> kSizes{"8", "9", "10", "11", "12", "13", "14", "15"};
    const auto* const found = std::find(kSizes.begin(), kSizes.end(), text);
    return found == kSizes.end() ? std::nullopt : std::optional(8 + static_cast<int>(found - kSizes.begin()));
}

// The response that accepts this offer; nullopt if it must be declined (RFC 7692, 7.1).
std::optional<std::string> accept(const Offer& offer) {
    // Both parameters are allowed for any offer. client_max_window_bits is not used, so the response omits it.
    std::string answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (auto parameter = offer.parameters.begin(); parameter != offer.parameters.end(); ++parameter) {
        const auto& [name, value] = *parameter;
        if (std::any_of(offer.parameters.begin(), parameter, [&](const auto& other) { return other.name == name; })) {
            return std::nullopt;
        }
        if (name == "server_no_context_takeover" || name == "client_no_context_takeover") {
            if (value) {
                return std::nullopt;
            }
        } else if (name == "client_max_window_bits") {
            if (value && !window_bits(*value)) {
                return std::nullopt;
            }
        } else if (name == "server_max_window_bits") {
            const auto bits = value ? window_bits(*value) : std::nullopt;
            if (!bits || *bits < kDeflateWindowBits) {
                return std::nullopt;
            }
            answer += "; server_max_window_bits=" + *value;
        } else {
            return std::nullopt;
        }
    }
    return answer;
}

}  // namespace

std::optional<std::string> negotiate_deflate(std::string_view offers) {
    OfferReader reader(offers);
    while (const auto offer = reader.next()) {
        if (offer->extension == "permessage-deflate") {
            if (auto answer = accept(*offer)) {
                return answer;
            }
        }
    }
    return std::nullopt;
}

Deflater::Deflater() {
    require_initialized(deflateInit2(&stream_, kLevel, Z_DEFLATED, kWriteWindow, kMemoryLevel, Z_DEFAULT_STRATEGY));
}

Deflater::~Deflater() {
    deflateEnd(&stream_);
}

std::string Deflater::deflate(std::string_view text) {
    deflateReset(&stream_);
    set_input(stream_, text);
    std::string payload;
    std::size_t written = 0;
    do {
        payload.resize(written + deflateBound(&stream_, stream_.avail_in) + kFlushRoom);
        set_output(stream_, payload, written);
        ::deflate(&stream_, Z_SYNC_FLUSH);  // cannot fail: the stream is valid and there is output space
        written = output_end(stream_, payload);
    } while (stream_.avail_out == 0);
    payload.resize(written - kFlushTail.size());
    payload.shrink_to_fit();  // it is kept until every client has received it
    return payload;
}

Inflater::Inflater() {
    require_initialized(inflateInit2(&stream_, kReadWindow));
}

Inflater::~Inflater() {
    inflateEnd(&stream_);
}

std::variant<std::string, InflateError> Inflater::inflate(std::string_view compressed, std::size_t max_bytes) {
    inflateReset(&stream_);
    written_ = 0;
    ended_ = false;
    std::string text;
    // Some senders encode the empty message without any block; then kFlushTail would start one.
    if (compressed.empty()) {
        return text;
    }
    // A stream that was finished instead of flushed needs no tail.
    const bool complete = feed(compressed, text, max_bytes) && (ended_ || feed(kFlushTail, text, max_bytes));
    if (written_ > max_bytes) {
        return InflateError::too_big;
    }
    // zlib sets this bit when it expects the header of a block next.
    constexpr int kBetweenBlocks = 128;
    if (!complete || (!ended_ && (stream_.data_type & kBetweenBlocks) == 0)) {
        return InflateError::invalid;
    }
    text.resize(written_);
    return text;
}

bool Inflater::feed(std::string_view input, std::string& text, std::size_t max_bytes) {
    set_input(stream_, input);
    for (;;) {
        if (written_ == text.size()) {
            // One byte over the limit distinguishes a text that is too long from one that just fits.
            text.resize(std::min(std::max(kFirstRoom, text.size() * 2), max_bytes + 1));
        }
        set_output(stream_, text, written_);
        const int result = ::inflate(&stream_, Z_SYNC_FLUSH);
        written_ = output_end(stream_, text);
        if (result == Z_MEM_ERROR) {
            throw std::bad_alloc();
        }
        ended_ = result == Z_STREAM_END;
        if (written_ > max_bytes || (result != Z_OK && result != Z_BUF_ERROR && !ended_)) {
            return false;
        }
        if (ended_ && stream_.avail_in > 0) {
            inflateReset(&stream_);  // blocks may follow one that is marked as final
        } else if (stream_.avail_out > 0) {
            return true;
        }
    }
}

}  // namespace session_buddy::server
