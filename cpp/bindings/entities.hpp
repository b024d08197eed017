// Conversion of entities to Python by their field lists (core/fields.hpp), and the description of these lists, from
// which scripts/write_entities.py writes types, schemas and tables.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "bindings.hpp"
#include "session_buddy/core/alert.hpp"
#include "session_buddy/core/clock.hpp"
#include "session_buddy/core/fields.hpp"
#include "session_buddy/core/snapshot.hpp"
#include "session_buddy/core/timestamp.hpp"

namespace session_buddy::bindings {

using Bytes = std::vector<std::uint8_t>;
using Counts = std::map<std::string, std::int64_t>;

template <typename Value>
concept NullPointer = std::is_null_pointer_v<Value>;
template <typename Value>
inline constexpr bool kIsOptional = false;
template <typename Value>
inline constexpr bool kIsOptional<std::optional<Value>> = true;
template <typename Value>
inline constexpr bool kIsVariant = false;
template <typename... Values>
inline constexpr bool kIsVariant<std::variant<Values...>> = true;

template <const auto& kEntity, typename Value>
[[nodiscard]] py::dict to_dict(const Value& value);

/// None for a null pointer.
template <const auto& kEntity, typename Value>
[[nodiscard]] py::object to_object(const Value* value) {
    return value != nullptr ? py::object(to_dict<kEntity>(*value)) : py::object(py::none());
}

/// A list of dicts.
template <const auto& kEntity, typename Items>
[[nodiscard]] py::list to_dicts(const Items& items) {
    py::list list;
    for (const auto& item : items) {
        list.append(to_dict<kEntity>(item));
    }
    return list;
}

/// None for an empty optional; times as YYYY-MM-DDTHH:MM:SSZ.
template <typename Value>
[[nodiscard]] py::object to_python(const Value& value) {
    if constexpr (kIsOptional<Value>) {
        return value ? py::object(to_python(*value)) : py::object(py::none());
    } else if constexpr (std::same_as<Value, TimePoint>) {
        return to_str(format_timestamp(value));
    } else if constexpr (std::is_enum_v<Value>) {
        return to_str(to_string(value));
    } else if constexpr (std::convertible_to<const Value&, std::string_view>) {
        return to_str(value);
    } else if constexpr (std::same_as<Value, Bytes>) {
        return py::bytes(reinterpret_cast<const char*>(value.data()), value.size());
    } else if constexpr (std::same_as<Value, Counts>) {
        py::dict counts;
        for (const auto& [name, count] : value) {
            counts[to_str(name)] = count;
        }
        return counts;
    } else {
        return py::cast(value);
    }
}

template <const auto& kEntity, typename Value>
py::dict to_dict(const Value& value) {
    py::dict fields;
    for_each_field<kEntity>([&](const auto& field) {
        using Field = std::remove_cvref_t<decltype(field)>;
        const py::str name(Field::name.data(), Field::name.size());
        if constexpr (NullPointer<decltype(Field::kMembers)>) {
            fields[name] = to_python(field.of(value));
        } else if constexpr (std::ranges::range<decltype(field.of(value))>) {
            fields[name] = to_dicts<*Field::kMembers>(field.of(value));
        } else if constexpr (std::is_pointer_v<std::remove_cvref_t<decltype(field.of(value))>>) {
            fields[name] = to_object<*Field::kMembers>(field.of(value));
        } else {
            fields[name] = to_dict<*Field::kMembers>(field.of(value));
        }
    });
    return fields;
}

/// None for nullopt.
template <const auto& kEntity, typename Value>
[[nodiscard]] py::object to_object(const std::optional<Value>& value) {
    return value ? py::object(to_dict<kEntity>(*value)) : py::object(py::none());
}

/// Of a result with a member `longest_lock`.
inline constexpr auto kLongestLockMs = [](const auto& result) {
    return std::chrono::duration<double, std::milli>(result.longest_lock).count();
};

// ---- Description

template <typename Value>
[[nodiscard]] constexpr std::string_view type_word() {
    if constexpr (kIsOptional<Value>) {
        return type_word<typename Value::value_type>();
    } else if constexpr (std::same_as<Value, bool>) {
        return "bool";
    } else if constexpr (std::integral<Value>) {
        return "int";
    } else if constexpr (std::floating_point<Value>) {
        return "float";
    } else if constexpr (std::same_as<Value, TimePoint>) {
        return "time";
    } else if constexpr (std::same_as<Value, Bytes>) {
        return "bytes";
    } else if constexpr (std::same_as<Value, Counts>) {
        return "dict[str, int]";
    } else if constexpr (kIsVariant<Value>) {
        return "bool | int | float | str";
    } else {
        return "str";
    }
}

/// The names of the values of an enumeration.
template <const auto& kNames>
[[nodiscard]] py::list names_of() {
    py::list names;
    for (const std::string_view name : kNames.names()) {
        names.append(to_str(name));
    }
    return names;
}

/// The description of an entity whose values are of type `Value`.
template <const auto& kEntity, typename Value>
[[nodiscard]] py::dict describe() {
    py::list fields;
    for_each_field<kEntity>([&](const auto& field) {
        using Field = std::remove_cvref_t<decltype(field)>;
        using Member = std::remove_cvref_t<decltype(field.of(std::declval<const Value&>()))>;
        constexpr bool kIsEntity = !NullPointer<decltype(Field::kMembers)>;
        py::dict entry;
        entry["name"] = to_str(Field::name);
        entry["type"] = to_str(type_word<Member>());
        entry["entity"] = py::none();
        entry["array"] = kIsEntity && std::ranges::range<Member>;
        entry["nullable"] = kIsOptional<Member> || std::is_pointer_v<Member>;
        entry["optional"] = field.optional;
        entry["kind"] = to_str(kFieldKinds[field.kind]);
        entry["meaning"] = to_str(field.meaning);
        entry["values"] = py::list();  // of an enumeration
        if constexpr (std::same_as<Member, AnomalyType>) {
            entry["values"] = names_of<kAnomalyTypes>();
        } else if constexpr (std::same_as<Member, AlertKind>) {
            entry["values"] = names_of<kAlertKinds>();
        } else if constexpr (std::same_as<Member, std::optional<AlertEnd>>) {
            entry["values"] = names_of<kAlertEnds>();
        }
        if constexpr (kIsEntity) {
            entry["entity"] = to_str(Field::kMembers->name);
        }
        fields.append(std::move(entry));
    });
    py::dict described;
    described["name"] = to_str(kEntity.name);
    described["meaning"] = to_str(kEntity.meaning);
    described["fields"] = std::move(fields);
    return described;
}

using Describe = py::dict (*)();
/// What _native.entities() describes, in order.
[[nodiscard]] std::vector<Describe>& described_entities();

template <const auto& kEntity, typename Value>
void add_entity() {
    described_entities().push_back(&describe<kEntity, Value>);
}

}  // namespace session_buddy::bindings
