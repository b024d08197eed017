// A map and a set of string keys with a maximum size and FIFO eviction.
#pragma once

#include <cstddef>
#include <iterator>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace session_buddy::ingest {

template <typename Value>
class BoundedMap {
  public:
    /// `limit`: 1 or more.
    explicit BoundedMap(std::size_t limit) : limit_(limit) {}

    [[nodiscard]] bool contains(std::string_view key) const { return index_.contains(key); }
    [[nodiscard]] std::size_t size() const { return index_.size(); }
    /// Number of entries that were evicted.
    [[nodiscard]] std::size_t evicted() const { return evicted_; }

    /// `key` must not be in the map.
    void add(std::string key, Value value) {
        if (index_.size() >= limit_) {
            index_.erase(entries_.front().first);
            entries_.pop_front();
            ++evicted_;
        }
        entries_.emplace_back(std::move(key), std::move(value));
        index_.emplace(entries_.back().first, std::prev(entries_.end()));
    }

    /// nullptr if there is none. Valid until the entry is removed.
    [[nodiscard]] Value* find(std::string_view key) {
        const auto position = index_.find(key);
        return position == index_.end() ? nullptr : &position->second->second;
    }

    /// Removes the entry and returns its value.
    [[nodiscard]] std::optional<Value> take(std::string_view key) {
        const auto position = index_.find(key);
        if (position == index_.end()) {
            return std::nullopt;
        }
        const auto entry = position->second;
        index_.erase(position);
        std::optional<Value> value(std::move(entry->second));
        entries_.erase(entry);
        return value;
    }

    /// `unwanted` is a predicate on values.
    template <typename Unwanted>
    void erase_if(const Unwanted& unwanted) {
        for (auto entry = entries_.begin(); entry != entries_.end();) {
            if (unwanted(entry->second)) {
                index_.erase(entry->first);
                entry = entries_.erase(entry);
            } else {
                ++entry;
            }
        }
    }

  private:
    using Entries = std::list<std::pair<std::string, Value>>;  // oldest first

    std::size_t limit_;
    std::size_t evicted_ = 0;
    Entries entries_;
    std::unordered_map<std::string_view, typename Entries::iterator> index_;  // keys point into entries_
};

class BoundedKeys {
  public:
    /// `limit`: 1 or more.
    explicit BoundedKeys(std::size_t limit) : keys_(limit) {}

    [[nodiscard]] bool contains(std::string_view key) const { return keys_.contains(key); }
    /// False if the key is in it already.
    bool insert(std::string_view key) {
        if (keys_.contains(key)) {
            return false;
        }
        keys_.add(std::string(key), {});
        return true;
    }

  private:
    struct Nothing {};
    BoundedMap<Nothing> keys_;
};

}  // namespace session_buddy::ingest
