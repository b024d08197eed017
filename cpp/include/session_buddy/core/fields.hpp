// The members of an entity as its readers see them, listed once. JSON, Python dicts, Python types, JSON Schemas and
// tables of the documentation are made from these lists (scripts/write_entities.py), so they cannot diverge.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "session_buddy/core/enum_names.hpp"

namespace session_buddy {

/// What a value means, where its type does not say it. Decides the type and range in schemas.
enum class Kind : std::uint8_t {
    plain,       ///< nothing but its type
    skill_name,  ///< a valid skill name
    positive,    ///< an integer, at least 1
    amount,      ///< a number, at least 0
    seconds,     ///< a duration, at least 0
    fraction,    ///< a number from 0 to 1
};

inline constexpr EnumNames kFieldKinds{std::array{
    EnumName{Kind::plain, "plain"}, EnumName{Kind::skill_name, "skill_name"}, EnumName{Kind::positive, "positive"},
    EnumName{Kind::amount, "amount"}, EnumName{Kind::seconds, "seconds"}, EnumName{Kind::fraction, "fraction"}}};

/// A string literal as a template argument.
template <std::size_t kSize>
struct FixedString {
    std::array<char, kSize> text{};
    // NOLINTNEXTLINE(google-explicit-constructor,cppcoreguidelines-avoid-c-arrays): converts from literals
    consteval FixedString(const char (&literal)[kSize]) { std::copy_n(literal, kSize, text.begin()); }
};

/// The name of a field with its quotes and colon, after `kBefore`, as JSON has it: `,"name":`.
template <FixedString kName, char kBefore>
inline constexpr auto kJsonKey = [] {
    std::array<char, kName.text.size() + 3> key{kBefore, '"'};
    auto end = std::copy_n(kName.text.begin(), kName.text.size() - 1, key.begin() + 2);
    *end++ = '"';
    *end = ':';
    return key;
}();

/// One member. `Get` is a pointer to a member, or a function of the entity. `kEntity` points to the list of an object,
/// or of the objects of an array; it is nullptr for other values.
template <FixedString kName, auto kEntity, typename Get>
struct Field {
    Get get;
    Kind kind = Kind::plain;
    std::string_view meaning;
    bool optional = false;  ///< may be absent; nullable is what has a std::optional

    static constexpr auto kMembers = kEntity;
    static constexpr std::string_view name{kName.text.data(), kName.text.size() - 1};

    template <char kBefore>
    [[nodiscard]] static constexpr std::string_view json_key() {
        return {kJsonKey<kName, kBefore>.data(), kJsonKey<kName, kBefore>.size()};
    }
    template <typename Value>
    [[nodiscard]] constexpr decltype(auto) of(const Value& entity) const {
        return std::invoke(get, entity);
    }
};

/// `meaning` is a noun phrase or a sentence with its unit; it may be empty if name and kind say everything.
template <FixedString kName, auto kEntity = nullptr, typename Get>
[[nodiscard]] consteval auto field(Get get, Kind kind = Kind::plain, std::string_view meaning = {}) {
    return Field<kName, kEntity, Get>{get, kind, meaning, false};
}
template <FixedString kName, auto kEntity = nullptr, typename Get>
[[nodiscard]] consteval auto field(Get get, std::string_view meaning) {
    return Field<kName, kEntity, Get>{get, Kind::plain, meaning, false};
}
/// A field that may be absent.
template <FixedString kName, auto kEntity = nullptr, typename Get>
[[nodiscard]] consteval auto optional_field(Get get, Kind kind = Kind::plain, std::string_view meaning = {}) {
    return Field<kName, kEntity, Get>{get, kind, meaning, true};
}

/// The accessor of a member of a member.
template <typename Outer, typename Inner>
struct Within {
    Outer outer;
    Inner inner;
    template <typename Value>
    constexpr decltype(auto) operator()(const Value& entity) const {
        return std::invoke(inner, std::invoke(outer, entity));
    }
};
template <typename Outer, typename Inner>
[[nodiscard]] constexpr Within<Outer, Inner> within(Outer outer, Inner inner) {
    return {outer, inner};
}

template <typename Outer, FixedString kName, auto kEntity, typename Get>
[[nodiscard]] constexpr auto within(Outer outer, const Field<kName, kEntity, Get>& field) {
    return Field<kName, kEntity, Within<Outer, Get>>{{outer, field.get}, field.kind, field.meaning, field.optional};
}
/// The fields of a member as fields of the entity.
template <typename Outer, typename... Fields>
[[nodiscard]] constexpr auto within_all(Outer outer, const std::tuple<Fields...>& fields) {
    return std::apply([outer](const Fields&... each) { return std::tuple{within(outer, each)...}; }, fields);
}

/// For a member that is an object made of members of the entity itself.
inline constexpr auto kSelf = [](const auto& entity) -> const auto& { return entity; };

template <typename... Fields>
struct Entity {
    std::string_view name;     ///< of the type in Python and in schemas
    std::string_view meaning;  ///< a sentence
    std::tuple<Fields...> fields;
};

template <typename... Fields>
[[nodiscard]] consteval auto entity(std::string_view name, std::string_view meaning, Fields... fields) {
    return Entity<Fields...>{name, meaning, {fields...}};
}
template <typename... Fields>
[[nodiscard]] consteval auto entity(std::string_view name, std::string_view meaning, std::tuple<Fields...> fields) {
    return Entity<Fields...>{name, meaning, fields};
}

/// Calls `visit` with each field, in order, from the one at index `kFirst` on.
template <const auto& kEntity, std::size_t kFirst = 0, typename Visit>
constexpr void for_each_field(Visit visit) {
    constexpr std::size_t kCount = std::tuple_size_v<std::remove_cvref_t<decltype(kEntity.fields)>>;
    [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
        (visit(std::get<kFirst + kIndex>(kEntity.fields)), ...);
    }(std::make_index_sequence<kCount - kFirst>{});
}

}  // namespace session_buddy
