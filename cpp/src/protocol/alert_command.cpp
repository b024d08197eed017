// Validates the bodies of commands about alerts field by field.
#include "session_buddy/protocol/alert_command.hpp"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::protocol {

namespace {

using nlohmann::json;

constexpr std::size_t kMaxEchoedField = 64;  // of the name of an unknown field in an error
constexpr std::int64_t kMaxMuteSeconds = std::chrono::seconds(std::chrono::days{366}).count();

// The fields of a body; reading one removes it, and the first error is kept.
class BodyReader {
  public:
    explicit BodyReader(std::string_view body) {
        // The parser treats a NUL as the end of the text and would ignore what follows it.
        auto parsed = body.find('\0') == std::string_view::npos ? json::parse(body, nullptr, false)
                                                                : json(json::value_t::discarded);
        if (parsed.is_object()) {
            object_ = std::move(parsed);
        } else {
            reject("", parsed.is_discarded() ? "The body is not JSON" : "The body must be a JSON object");
        }
    }

    std::optional<std::int64_t> integer(const std::string& name, std::int64_t maximum) {
        const json value = take(name);
        if (value.is_null()) {
            return std::nullopt;
        }
        const bool valid = value.is_number_unsigned() && value.get<std::uint64_t>() >= 1 &&
                           value.get<std::uint64_t>() <= static_cast<std::uint64_t>(maximum);
        if (!valid) {
            reject(name, fmt::format("{} must be an integer from 1 to {}", name, maximum));
            return std::nullopt;
        }
        return value.get<std::int64_t>();
    }

    std::string note(const std::string& name) {
        return text(name, is_valid_alert_note,
                    fmt::format("a string of at most {} bytes without control characters", kMaxAlertNote))
            .value_or("");
    }

    std::optional<std::string> skill_name() {
        return text("skill_name", is_valid_skill_name,
                    fmt::format("a string of 1 to {} bytes without control characters", kMaxSkillNameBytes));
    }

    void reject(std::string field, std::string detail) {
        if (!error_) {
            error_ = BadBody{std::move(field), std::move(detail)};
        }
    }

    std::variant<AlertCommand, BadBody> result(AlertCommand command) {
        if (!object_.empty()) {
            const std::string& name = object_.begin().key();
            const std::string echoed(is_printable_utf8(name) ? utf8_prefix(name, kMaxEchoedField) : "");
            reject(echoed, fmt::format("Unknown field '{}'", echoed));
        }
        if (error_) {
            return std::move(*error_);
        }
        return command;
    }

  private:
    json take(const std::string& name) {
        const auto found = object_.find(name);
        if (found == object_.end()) {
            return nullptr;
        }
        json value = std::move(*found);
        object_.erase(found);
        return value;
    }

    std::optional<std::string> text(const std::string& name, bool (*is_valid)(std::string_view),
                                    const std::string& rule) {
        json value = take(name);
        if (value.is_null()) {
            return std::nullopt;
        }
        if (!value.is_string() || !is_valid(value.get_ref<const std::string&>())) {
            reject(name, fmt::format("{} must be {}", name, rule));
            return std::nullopt;
        }
        return std::move(value.get_ref<std::string&>());
    }

    json object_ = json::object();
    std::optional<BadBody> error_;
};

}  // namespace

std::variant<AlertCommand, BadBody> parse_acknowledge_body(std::string_view body) {
    BodyReader reader(body);
    const auto id = reader.integer("id", INT64_MAX);
    auto note = reader.note("note");
    if (!id) {
        reader.reject("id", "id is required");
    }
    return reader.result(AcknowledgeAlert{.id = id.value_or(0), .note = std::move(note)});
}

std::variant<AlertCommand, BadBody> parse_mute_body(std::string_view body) {
    BodyReader reader(body);
    auto name = reader.skill_name();
    const auto seconds = reader.integer("seconds", kMaxMuteSeconds);
    auto reason = reader.note("reason");
    if (!name) {
        reader.reject("skill_name", "skill_name is required");
    }
    return reader.result(MuteSkill{.skill_name = std::move(name).value_or(""),
                                   .time = seconds ? std::optional(std::chrono::seconds{*seconds}) : std::nullopt,
                                   .reason = std::move(reason)});
}

}  // namespace session_buddy::protocol
