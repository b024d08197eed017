// Parses client messages with a SAX parser, so that only the values of known keys are stored.
#include "session_buddy/protocol/request.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "session_buddy/core/enum_names.hpp"
#include "session_buddy/core/invocation.hpp"
#include "session_buddy/core/utf8.hpp"

namespace session_buddy::protocol {

namespace {

// Maximum length of an unknown type in an error message.
constexpr std::size_t kMaxEchoedTypeBytes = 64;

// The value of one top-level key.
struct Field {
    enum class Kind : std::uint8_t { absent, null, string, number, boolean, array, other };
    Kind kind = Kind::absent;
    std::string text;                // of a string
    double number = 0.0;             // of a number; finite, as the parser rejects others
    bool truth = false;              // of a boolean
    std::vector<std::string> items;  // of an array, at most kMaxSkillNames
    std::size_t item_count = 0;
    bool only_strings = true;

    [[nodiscard]] bool present() const { return kind != Kind::absent; }
    [[nodiscard]] bool is(Kind wanted) const { return kind == wanted; }
};

struct Fields {
    Field type;
    Field request_id;
    Field skill_name;
    Field skill;
    Field skill_names;
    Field token;
    Field min_deviation;
    Field details;
};

// A SAX handler for nlohmann::json. Skips everything below the top level, except the items of an array that is the
// value of a known key.
class FieldReader final : public nlohmann::json_sax<nlohmann::json> {
  public:
    [[nodiscard]] bool root_is_object() const { return root_is_object_; }
    [[nodiscard]] Fields& fields() { return fields_; }

    bool null() override { return value(Field::Kind::null); }
    bool boolean(bool truth) override {
        if (depth_ == 1 && field_ != nullptr) {
            field_->truth = truth;
        }
        return value(Field::Kind::boolean);
    }
    bool number_integer(number_integer_t whole) override { return number(static_cast<double>(whole)); }
    bool number_unsigned(number_unsigned_t whole) override { return number(static_cast<double>(whole)); }
    bool number_float(number_float_t real, const string_t& /*text*/) override { return number(real); }
    bool binary(binary_t& /*value*/) override { return value(Field::Kind::other); }

    bool string(string_t& text) override {
        if (depth_ == 1 && field_ != nullptr) {
            field_->text = std::move(text);
        } else if (is_item() && field_->item_count < kMaxSkillNames) {
            field_->items.push_back(std::move(text));
        }
        return value(Field::Kind::string);
    }

    bool start_object(std::size_t /*elements*/) override {
        root_is_object_ = root_is_object_ || depth_ == 0;
        value(Field::Kind::other);
        ++depth_;
        return true;
    }
    bool end_object() override {
        --depth_;
        return true;
    }
    bool start_array(std::size_t /*elements*/) override {
        value(Field::Kind::array);
        ++depth_;
        return true;
    }
    bool end_array() override {
        --depth_;
        return true;
    }

    bool key(string_t& name) override {
        if (depth_ == 1) {
            field_ = field_named(name);
            if (field_ != nullptr) {
                *field_ = Field{};
            }
        }
        return true;
    }

    bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                     const nlohmann::json::exception& /*error*/) override {
        return false;
    }

  private:
    Field* field_named(std::string_view name) {
        static constexpr std::array<std::pair<std::string_view, Field Fields::*>, 8> kKnown{{
            {"type", &Fields::type},
            {"request_id", &Fields::request_id},
            {"skill_name", &Fields::skill_name},
            {"skill", &Fields::skill},
            {"skill_names", &Fields::skill_names},
            {"token", &Fields::token},
            {"min_deviation", &Fields::min_deviation},
            {"details", &Fields::details},
        }};
        for (const auto& [known, field] : kKnown) {
            if (name == known) {
                return &(fields_.*field);
            }
        }
        return nullptr;
    }

    [[nodiscard]] bool is_item() const { return depth_ == 2 && field_ != nullptr && field_->is(Field::Kind::array); }

    bool number(double real) {
        if (depth_ == 1 && field_ != nullptr) {
            field_->number = real;
        }
        return value(Field::Kind::number);
    }

    // Called for every value, including the start of a container, at the depth of the value.
    bool value(Field::Kind kind) {
        if (depth_ == 1 && root_is_object_ && field_ != nullptr) {
            field_->kind = kind;
        } else if (is_item()) {
            ++field_->item_count;
            field_->only_strings = field_->only_strings && kind == Field::Kind::string;
        }
        return true;
    }

    Fields fields_;
    Field* field_ = nullptr;  // the known key whose value is being read
    std::size_t depth_ = 0;
    bool root_is_object_ = false;
};

ErrorReply invalid_message(std::string message, RequestId request_id) {
    return {.code = ErrorCode::invalid_message, .message = std::move(message), .request_id = std::move(request_id)};
}

// Reads min_deviation and details into the request; returns an error message, empty if they are valid.
std::string_view read_anomaly_view(const Fields& fields, Subscribe& request) {
    if (const auto& field = fields.min_deviation; field.present()) {
        if (!field.is(Field::Kind::number) || field.number < 0.0) {
            return "min_deviation must be a number of 0 or more";
        }
        request.min_deviation = field.number;
    }
    if (const auto& field = fields.details; field.present()) {
        if (!field.is(Field::Kind::boolean)) {
            return "details must be true or false";
        }
        request.details = field.truth;
    }
    return {};
}

Subscription subscription_to(std::vector<std::string> names, const Subscribe& request) {
    return Subscription(std::move(names), {.min_deviation = request.min_deviation.value_or(0.0),
                                           .details = request.details.value_or(false)});
}

ParsedRequest read_skill_names(Fields& fields, Subscribe request) {
    auto& list = fields.skill_names;
    if (fields.skill_name.present() || fields.skill.present()) {
        return invalid_message("Use either skill_name or skill_names, not both", std::move(request.request_id));
    }
    if (!list.is(Field::Kind::array) || !list.only_strings || list.item_count < 1 || list.item_count > kMaxSkillNames) {
        return invalid_message("skill_names must be an array of 1 to " + std::to_string(kMaxSkillNames) + " strings",
                               std::move(request.request_id));
    }
    for (const auto& name : list.items) {
        if (!is_valid_skill_name(name)) {
            return invalid_skill_name(name, std::move(request.request_id));
        }
    }
    request.subscription = subscription_to(list.items, request);
    request.name_key = NameKey::skill_names;
    request.names_as_sent = std::move(list.items);
    return request;
}

ParsedRequest read_subscribe(Fields& fields, RequestId request_id) {
    Subscribe request;
    request.request_id = std::move(request_id);
    if (const auto error = read_anomaly_view(fields, request); !error.empty()) {
        return invalid_message(std::string(error), std::move(request.request_id));
    }
    if (fields.skill_names.present()) {
        return read_skill_names(fields, std::move(request));
    }
    const bool legacy = !fields.skill_name.present() && fields.skill.present();
    auto& name = legacy ? fields.skill : fields.skill_name;
    request.name_key = legacy ? NameKey::skill : NameKey::skill_name;
    if (name.is(Field::Kind::string)) {
        if (!is_valid_skill_name(name.text)) {
            return invalid_skill_name(name.text, std::move(request.request_id));
        }
        request.names_as_sent = {std::move(name.text)};
    } else if (name.present() && !name.is(Field::Kind::null)) {
        return invalid_message(legacy ? "skill must be a string or null" : "skill_name must be a string or null",
                               std::move(request.request_id));
    }
    request.subscription = subscription_to(request.names_as_sent, request);
    return request;
}

ParsedRequest read_get_metrics(Fields& fields, RequestId request_id) {
    const bool legacy = !fields.skill_name.present() && fields.skill.present();
    auto& name = legacy ? fields.skill : fields.skill_name;
    if (!name.is(Field::Kind::string)) {
        return invalid_message("skill_name is required in get_metrics and must be a string", std::move(request_id));
    }
    if (!is_valid_skill_name(name.text)) {
        return invalid_skill_name(name.text, std::move(request_id));
    }
    return GetMetrics{.skill_name = std::move(name.text), .legacy_key = legacy, .request_id = std::move(request_id)};
}

ParsedRequest read_authenticate(Fields& fields, RequestId request_id) {
    if (!fields.token.is(Field::Kind::string) || fields.token.text.empty()) {
        return invalid_message("token is required in auth and must be a non-empty string", std::move(request_id));
    }
    return Authenticate{.token = std::move(fields.token.text), .request_id = std::move(request_id)};
}

}  // namespace

std::string_view to_string(ErrorCode code) {
    static constexpr EnumNames kNames{std::array{
        EnumName{ErrorCode::invalid_json, "invalid_json"}, EnumName{ErrorCode::invalid_message, "invalid_message"},
        EnumName{ErrorCode::unknown_type, "unknown_type"},
        EnumName{ErrorCode::invalid_skill_name, "invalid_skill_name"},
        EnumName{ErrorCode::rate_limited, "rate_limited"}, EnumName{ErrorCode::unauthorized, "unauthorized"},
        EnumName{ErrorCode::internal_error, "internal_error"}}};
    return kNames[code];
}

ErrorReply invalid_skill_name(std::string_view name, RequestId request_id) {
    return {.code = ErrorCode::invalid_skill_name,
            .message = "Invalid skill name: " + std::string(utf8_prefix(name, kMaxSkillNameBytes)),
            .request_id = std::move(request_id)};
}

ParsedRequest parse_request(std::string_view text) {
    FieldReader reader;
    // A span, because no other source passes its iterator to the parser. The linker keeps one copy of the parser for
    // each type, and one from a unity build, in which GCC inlines less, takes up to 10 % more instructions.
    const std::span<const char> characters(text);
    // The parser treats a NUL as the end of the text and would ignore what follows it.
    const bool readable = text.find('\0') == std::string_view::npos &&
                          nlohmann::json::sax_parse(characters.begin(), characters.end(), &reader);
    if (!readable) {
        return ErrorReply{.code = ErrorCode::invalid_json, .message = "Invalid JSON", .request_id = std::nullopt};
    }
    if (!reader.root_is_object()) {
        return invalid_message("A message must be a JSON object", std::nullopt);
    }
    auto& fields = reader.fields();
    RequestId request_id;
    if (fields.request_id.present()) {
        if (!fields.request_id.is(Field::Kind::string) || fields.request_id.text.size() > kMaxRequestIdBytes) {
            return invalid_message(
                "request_id must be a string of at most " + std::to_string(kMaxRequestIdBytes) + " bytes",
                std::nullopt);
        }
        request_id = std::move(fields.request_id.text);
    }
    if (!fields.type.is(Field::Kind::string)) {
        return invalid_message("type is required and must be a string", std::move(request_id));
    }
    const std::string& type = fields.type.text;
    if (type == "subscribe") {
        return read_subscribe(fields, std::move(request_id));
    }
    if (type == "get_metrics") {
        return read_get_metrics(fields, std::move(request_id));
    }
    if (type == "ping") {
        return Ping{std::move(request_id)};
    }
    if (type == "unsubscribe") {
        return Unsubscribe{std::move(request_id)};
    }
    if (type == "subscribe_sessions") {
        return SubscribeSessions{std::move(request_id)};
    }
    if (type == "auth") {
        return read_authenticate(fields, std::move(request_id));
    }
    return ErrorReply{.code = ErrorCode::unknown_type,
                      .message = "Unknown message type: " + std::string(utf8_prefix(type, kMaxEchoedTypeBytes)),
                      .request_id = std::move(request_id)};
}

}  // namespace session_buddy::protocol
