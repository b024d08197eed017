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
    bool string(string_t& value) override {
        if (skipped_ > 0 || !is_wanted()) {
            return true;
        }
        return add(shape_.limits && !open_.empty() ? shortened(value) : std::move(value));
    }
    bool binary(binary_t& /*value*/) override { return false; }  // JSON has none

    bool start_object(std::size_t /*size*/) override {
        if (skipped_ > 0 || open_.size() == shape_.depth || !is_wanted()) {
            return skip(json::value_t::object);
        }
        open_.push_back({.built = json::object(), .key = {}, .wanted = false});
        return true;
    }
    bool key(string_t& name) override {
        if (skipped_ == 0) {
            Open& here = open_.back();
            here.wanted = (!shape_.wants || shape_.wants(open_.size(), name)) &&
                          (here.built.size() < shape_.max_members || here.built.contains(name));
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
        return close();
    }
    bool start_array(std::size_t /*size*/) override {
        if (shape_.elements_of_array && !in_array_ && skipped_ == 0 && open_.empty()) {
            in_array_ = true;
            return true;
        }
        if (skipped_ > 0 || open_.empty() || open_.size() == shape_.depth || !is_wanted() ||
            open_.back().built.is_array() || !shape_.wants_elements ||
            !shape_.wants_elements(open_.size(), open_.back().key)) {
            return skip(json::value_t::array);
        }
        open_.push_back({.built = json::array(), .key = open_.back().key, .wanted = true});
        return true;
    }
    bool end_array() override {
        if (skipped_ > 0) {
            --skipped_;
            return true;
        }
        return open_.empty() || close();
    }
    bool parse_error(std::size_t /*at*/, const std::string& /*token*/, const json::exception& /*error*/) override {
        return false;
    }

  private:
    struct Open {
        json built;       // an object or an array
        std::string key;  // of the current member; of an array, its own
        bool wanted;
    };

    [[nodiscard]] bool is_wanted() const {
        return open_.empty() || (open_.back().wanted &&
                                 (!open_.back().built.is_array() || open_.back().built.size() < shape_.max_elements));
    }

    [[nodiscard]] std::string shortened(std::string& value) const {
        const auto limit = shape_.limits(open_.size(), open_.back().key);
        if (!limit || value.size() <= limit->max_head + limit->max_tail) {
            return std::move(value);
        }
        return value.substr(0, limit->max_head) + '\n' + value.substr(value.size() - limit->max_tail);
    }

    bool close() {
        json built = std::move(open_.back().built);
        open_.pop_back();
        return add(std::move(built));
    }

    template <typename Value>
    bool add(Value&& value) {
        if (skipped_ > 0 || !is_wanted()) {
            return true;
        }
        if (open_.empty()) {
            sink_(json(std::forward<Value>(value)));
        } else if (open_.back().built.is_array()) {
            open_.back().built.push_back(std::forward<Value>(value));
        } else {
            open_.back().built[open_.back().key] = std::forward<Value>(value);
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
