// The bytes of the alert detectors' state, in a fixed order, between a version and a checksum. Integers are LEB128, as
// most are small, signed ones by zigzag; floating-point numbers are little-endian.
// One function per type lists its fields, for writing and for reading.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "session_buddy/core/clock.hpp"

namespace session_buddy::anomaly {

/// Increase it when the meaning of any byte changes: older states are then discarded.
inline constexpr std::uint8_t kAlertStateVersion = 1;

/// Largest number of bytes of one text, and of elements of one list. More is damage.
inline constexpr std::size_t kMaxArchivedItems = 4096;

/// Shared by both directions: takes composed types apart. `Self` has integer(uint64), bits(uint64, bytes), size(size_t)
/// and text(string).
template <typename Self>
class AlertArchive {
  public:
    template <typename... T>
    void operator()(T&... values) {
        (value(values), ...);
    }

  private:
    Self& self() { return static_cast<Self&>(*this); }

    template <typename T>
        requires std::unsigned_integral<T> || std::is_enum_v<T>
    void value(T& number) {
        auto bits = static_cast<std::uint64_t>(number);
        self().integer(bits);
        number = static_cast<T>(bits);
    }
    void value(std::int64_t& number) {
        const auto sign = static_cast<std::uint64_t>(number >> 63);
        std::uint64_t bits = (static_cast<std::uint64_t>(number) << 1U) ^ sign;
        self().integer(bits);
        number = static_cast<std::int64_t>((bits >> 1U) ^ (~(bits & 1U) + 1U));
    }
    void value(double& number) {
        auto bits = std::bit_cast<std::uint64_t>(number);
        self().bits(bits, sizeof bits);
        number = std::bit_cast<double>(bits);
    }
    void value(float& number) {
        std::uint64_t bits = std::bit_cast<std::uint32_t>(number);
        self().bits(bits, sizeof number);
        number = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    }
    void value(TimePoint& time) {
        std::int64_t micros = time.time_since_epoch().count();
        value(micros);
        time = TimePoint{std::chrono::microseconds{micros}};
    }
    void value(std::string& text) { self().text(text); }
    template <typename T, std::size_t N>
    void value(std::array<T, N>& values) {
        for (T& each : values) {
            value(each);
        }
    }
    template <typename T>
    void value(std::vector<T>& values) {
        std::size_t size = values.size();
        self().size(size);
        values.resize(size);
        for (T& each : values) {
            value(each);
        }
    }
    template <typename T>
    void value(std::optional<T>& optional) {
        bool has = optional.has_value();
        value(has);
        if (has && !optional) {
            optional.emplace();
        }
        if (has) {
            value(*optional);
        }
    }
    template <typename T>
    void value(std::unique_ptr<T>& pointer) {
        bool has = pointer != nullptr;
        value(has);
        if (has && pointer == nullptr) {
            pointer = std::make_unique<T>();
        }
        if (has) {
            value(*pointer);
        }
    }
    template <typename T>
        requires std::is_class_v<T> && requires(T& value, Self& self) { value.archive(self); }
    void value(T& composed) {
        composed.archive(self());
    }
};

class AlertStateWriter : public AlertArchive<AlertStateWriter> {
  public:
    AlertStateWriter() : bytes_(1, static_cast<char>(kAlertStateVersion)) {}
    /// The bytes, complete. Call it once.
    [[nodiscard]] std::string finish();

    void integer(std::uint64_t& number) {
        std::uint64_t rest = number;
        for (; rest >= 0x80U; rest >>= 7U) {
            bytes_.push_back(static_cast<char>(rest | 0x80U));
        }
        bytes_.push_back(static_cast<char>(rest));
    }
    void bits(std::uint64_t& bits, std::size_t bytes) {
        for (std::size_t index = 0; index < bytes; ++index) {
            bytes_.push_back(static_cast<char>(bits >> (8 * index)));
        }
    }
    void size(std::size_t& size) {
        std::uint64_t number = size;
        integer(number);
    }
    void text(std::string& text) {
        std::size_t bytes = text.size();
        size(bytes);
        bytes_ += text;
    }

  private:
    std::string bytes_;
};

class AlertStateReader : public AlertArchive<AlertStateReader> {
  public:
    /// `bytes` must outlive the reader.
    explicit AlertStateReader(std::string_view bytes);
    /// Whether version and checksum were right, and everything was read, no more and no less.
    [[nodiscard]] bool is_complete() const { return ok_ && rest_.empty(); }
    [[nodiscard]] bool is_ok() const { return ok_; }

    void integer(std::uint64_t& number) {
        number = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            std::uint64_t byte = 0;
            bits(byte, 1);
            number |= (byte & 0x7fU) << shift;
            if (byte < 0x80U) {
                return;
            }
        }
        ok_ = false;
    }
    void bits(std::uint64_t& bits, std::size_t bytes) {
        bits = 0;
        if (rest_.size() < bytes) {
            ok_ = false;
            return;
        }
        for (std::size_t index = 0; index < bytes; ++index) {
            bits |= std::uint64_t{static_cast<unsigned char>(rest_[index])} << (8 * index);
        }
        rest_.remove_prefix(bytes);
    }
    void size(std::size_t& size) {
        std::uint64_t number = 0;
        integer(number);
        ok_ = ok_ && number <= kMaxArchivedItems;
        size = ok_ ? static_cast<std::size_t>(number) : 0;
    }
    void text(std::string& text) {
        std::size_t bytes = 0;
        size(bytes);
        ok_ = ok_ && bytes <= rest_.size();
        text.assign(rest_.substr(0, ok_ ? bytes : 0));
        rest_.remove_prefix(text.size());
    }

  private:
    std::string_view rest_;
    bool ok_ = false;
};

}  // namespace session_buddy::anomaly
