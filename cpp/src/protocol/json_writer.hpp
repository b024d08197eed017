// Appends values, members and objects as JSON. Objects of entities are written from their field lists
// (core/fields.hpp), with keys that are complete at compile time.
#pragma once

#include <concepts>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>

#include "json_text.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/fields.hpp"
#include "session_buddy/core/snapshot.hpp"

namespace session_buddy::protocol {

/// `append` is called with the text and each item.
template <typename Items, typename Append>
void append_array(std::string& out, const Items& items, Append append) {
    out += '[';
    bool first = true;
    for (const auto& item : items) {
        if (!first) {
            out += ',';
        }
        first = false;
        append(out, item);
    }
    out += ']';
}

/// A text, number, bool or time; null for an empty optional; an array for a range of them.
template <typename Value>
void append_value(std::string& out, const Value& value) {
    if constexpr (std::same_as<Value, bool>) {
        out += value ? "true" : "false";
    } else if constexpr (std::integral<Value>) {
        json_text::append_number(out, static_cast<std::int64_t>(value));
    } else if constexpr (std::floating_point<Value>) {
        json_text::append_number(out, double{value});
    } else if constexpr (std::same_as<Value, TimePoint>) {
        json_text::append_timestamp(out, value);
    } else if constexpr (std::is_enum_v<Value>) {
        json_text::append_string(out, to_string(value));
    } else if constexpr (std::convertible_to<const Value&, std::string_view>) {
        json_text::append_string(out, value);
    } else if constexpr (std::ranges::range<const Value>) {
        append_array(out, value, [](std::string& text, const auto& item) { append_value(text, item); });
    } else if (value) {
        append_value(out, *value);
    } else {
        out += "null";
    }
}

/// The key of a member after those before it in the object.
inline void append_key(std::string& out, std::string_view key) {
    out += out.back() == '{' ? "\"" : ",\"";
    out += key;
    out += "\":";
}

template <typename Value>
void append_member(std::string& out, std::string_view key, const Value& value) {
    append_key(out, key);
    append_value(out, value);
}

template <const auto& kEntity, char kBefore = ',', std::size_t kFirst = 0, typename Value>
void append_members(std::string& out, const Value& value);

/// The object of an entity, or of what a pointer to one points to; null for a null pointer.
template <const auto& kEntity, typename Value>
void append_object(std::string& out, const Value& value) {
    if constexpr (!std::is_pointer_v<Value>) {
        append_members<kEntity, '{'>(out, value);
        out += '}';
    } else if (value != nullptr) {
        append_object<kEntity>(out, *value);
    } else {
        out += "null";
    }
}

template <const auto& kEntity, typename Items>
void append_objects(std::string& out, const Items& items) {
    append_array(out, items, [](std::string& text, const auto& item) { append_object<kEntity>(text, item); });
}

/// The members of an entity from the one at index `kFirst` on, without braces, after `kBefore`.
template <const auto& kEntity, char kBefore, std::size_t kFirst, typename Value>
void append_members(std::string& out, const Value& value) {
    for_each_field<kEntity, kFirst>([&out, &value, first = true](const auto& field) mutable {
        using Field = std::remove_cvref_t<decltype(field)>;
        // NOLINTNEXTLINE(misc-redundant-expression): equal only where kBefore is the comma
        out += first ? Field::template json_key<kBefore>() : Field::template json_key<','>();
        first = false;
        if constexpr (std::is_null_pointer_v<decltype(Field::kMembers)>) {
            append_value(out, field.of(value));
        } else if constexpr (std::ranges::range<decltype(field.of(value))>) {
            append_objects<*Field::kMembers>(out, field.of(value));
        } else {
            append_object<*Field::kMembers>(out, field.of(value));
        }
    });
}

}  // namespace session_buddy::protocol
