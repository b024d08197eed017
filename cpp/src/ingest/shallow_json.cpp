// A SAX handler for nlohmann::json. Its own filter is quadratic in the elements of an array, and its tree takes up to
// 75 times the size of the text.
#include "shallow_json.hpp"

#include <string>
#include <utility>
#include <vector>

namespace session_buddy::ingest {
namespace {

using nlohmann::json;

class Builder final : public nlohmann::json_sax<json> {
  public:
    Builder(const ShallowShape& shape, const std::function<void(json&&)>& sink) : shape_(shape), sink_(sink) {}

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, const string_t& /*text*/) override { return add(value); }
    bool string(string_t& value) override { return skipped_ > 0 || add(std::move(value)); }
    bool binary(binary_t& /*value*/) override { return false; }  // JSON has none

    bool start_object(std::size_t /*size*/) override {
        if (skipped_ > 0 || open_.size() == shape_.depth || !is_wanted()) {
            return skip(json::value_t::object);
        }
        open_.push_back({.object = json::object(), .key = {}, .wanted = false});
        return true;
    }
    bool key(string_t& name) override {
        if (skipped_ == 0) {
            Open& here = open_.back();
            here.wanted = (!shape_.wants || shape_.wants(open_.size(), name)) &&
                          (here.object.size() < shape_.max_members || here.object.contains(name));
            if (here.wanted) {
                here.key = std::move(name);
            }
        }
        return true;
    }
    bool end_object() override {
        if (skipped_ > 0) {
            --skipped_;
            return true;
        }
        json object = std::move(open_.back().object);
        open_.pop_back();
        return add(std::move(object));
    }
    bool start_array(std::size_t /*size*/) override {
        if (shape_.elements_of_array && !in_array_ && skipped_ == 0 && open_.empty()) {
            in_array_ = true;
            return true;
        }
        return skip(json::value_t::array);
    }
    bool end_array() override {
        if (skipped_ > 0) {
            --skipped_;
        }
        return true;
    }
    bool parse_error(std::size_t /*at*/, const std::string& /*token*/, const json::exception& /*error*/) override {
        return false;
    }

  private:
    struct Open {
        json object;
        std::string key;  // of the current member
        bool wanted;
    };

    [[nodiscard]] bool is_wanted() const { return open_.empty() || open_.back().wanted; }

    template <typename Value>
    bool add(Value&& value) {
        if (skipped_ > 0 || !is_wanted()) {
            return true;
        }
        if (open_.empty()) {
            sink_(json(std::forward<Value>(value)));
        } else {
            open_.back().object[open_.back().key] = std::forward<Value>(value);
        }
        return true;
    }
    bool skip(json::value_t kind) {
        if (skipped_ == 0) {
            add(json(kind));
        }
        ++skipped_;
        return true;
    }

    const ShallowShape& shape_;
    const std::function<void(json&&)>& sink_;
    std::vector<Open> open_;
    std::size_t skipped_ = 0;  // depth inside a container that is not built
    bool in_array_ = false;    // inside the outermost array, whose elements are passed to the sink
};

}  // namespace

bool read_shallow_json(std::string_view text, const ShallowShape& shape, const std::function<void(json&&)>& sink) {
    if (text.find('\0') != std::string_view::npos) {
        return false;  // the parser would stop there and ignore the rest
    }
    Builder builder(shape, sink);
    return json::sax_parse(text, &builder);
}

}  // namespace session_buddy::ingest
