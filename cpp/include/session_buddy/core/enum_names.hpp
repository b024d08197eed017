// Tables that tie the values of an enumeration to their names. A table that lacks a value does not compile.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace session_buddy {

template <typename Enum>
struct EnumName {
    Enum value;
    std::string_view name;
};
template <typename Enum>
EnumName(Enum, const char*) -> EnumName<Enum>;

namespace detail {

// Values below this are looked for; each costs the compiler some microseconds.
inline constexpr std::size_t kEnumLimit = 16;

// GCC and Clang print a value without an enumerator as a cast, "(Color)7", and another as "Color::red".
template <auto value>
consteval bool is_enumerator() {
    const std::string_view text = __PRETTY_FUNCTION__;
    const char behind_type = text[text.rfind(')') + 1];
    return behind_type < '0' || behind_type > '9';
}

template <typename Enum, std::size_t... values>
consteval std::size_t count_enumerators(std::index_sequence<values...> /*values*/) {
    return (std::size_t{is_enumerator<static_cast<Enum>(values)>()} + ...);
}

}  // namespace detail

/// The names of all values of `Enum`, in the order of the table; that none below 16 is missing is checked. Iterates
/// over EnumName.
template <typename Enum, std::size_t count>
class EnumNames {
  public:
    consteval explicit EnumNames(const std::array<EnumName<Enum>, count>& table) : table_(table) {
        for (std::size_t i = 0; i < count; ++i) {
            for (std::size_t j = 0; j < i; ++j) {
                if (table[i].value == table[j].value || table[i].name == table[j].name) {
                    throw "a value or a name is listed twice";
                }
            }
        }
        std::size_t listed = 0;
        for (const auto& entry : table) {
            listed += static_cast<std::size_t>(entry.value) < detail::kEnumLimit ? 1 : 0;
        }
        if (detail::count_enumerators<Enum>(std::make_index_sequence<detail::kEnumLimit>()) != listed) {
            throw "a value is missing";
        }
    }

    [[nodiscard]] constexpr std::string_view operator[](Enum value) const noexcept {
        for (const auto& entry : table_) {
            if (entry.value == value) {
                return entry.name;
            }
        }
        return {};  // only for a value without an enumerator
    }
    [[nodiscard]] constexpr std::optional<Enum> find(std::string_view name) const noexcept {
        for (const auto& entry : table_) {
            if (entry.name == name) {
                return entry.value;
            }
        }
        return std::nullopt;
    }
    [[nodiscard]] constexpr std::array<std::string_view, count> names() const noexcept {
        std::array<std::string_view, count> names;
        for (std::size_t i = 0; i < count; ++i) {
            names[i] = table_[i].name;
        }
        return names;
    }
    [[nodiscard]] constexpr auto begin() const noexcept { return table_.begin(); }
    [[nodiscard]] constexpr auto end() const noexcept { return table_.end(); }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return count; }

  private:
    std::array<EnumName<Enum>, count> table_;
};

}  // namespace session_buddy
