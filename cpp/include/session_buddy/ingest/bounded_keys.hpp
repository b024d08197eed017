// A map and a set of string keys with a maximum size and FIFO eviction.
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
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
    BoundedMap(const BoundedMap&) = delete;  // entries point to one another
    BoundedMap& operator=(const BoundedMap&) = delete;

    [[nodiscard]] bool contains(std::string_view key) const { return entries_.contains(key); }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    /// Number of entries that were evicted.
    [[nodiscard]] std::size_t evicted() const { return evicted_; }

    /// `key` must not be in the map.
    void add(std::string key, Value value) {
        if (entries_.size() >= limit_) {
            remove(entries_.find(oldest_->first));
            ++evicted_;
        }
        Node* const added = &*entries_.try_emplace(std::move(key), std::move(value), newest_).first;
        (newest_ != nullptr ? newest_->second.newer : oldest_) = added;
        newest_ = added;
    }

    /// nullptr if there is none. Valid until the entry is removed.
    [[nodiscard]] Value* find(std::string_view key) {
        const auto entry = entries_.find(key);
        return entry == entries_.end() ? nullptr : &entry->second.value;
    }

    /// Removes the entry and returns its value.
    [[nodiscard]] std::optional<Value> take(std::string_view key) {
        const auto entry = entries_.find(key);
        if (entry == entries_.end()) {
            return std::nullopt;
        }
        std::optional<Value> value(std::move(entry->second.value));
        remove(entry);
        return value;
    }

    /// `unwanted` is a predicate on values.
    template <typename Unwanted>
    void erase_if(const Unwanted& unwanted) {
        for (auto entry = entries_.begin(); entry != entries_.end();) {
            entry = unwanted(entry->second.value) ? remove(entry) : std::next(entry);
        }
    }

  private:
    struct Entry;
    using Node = std::pair<const std::string, Entry>;
    /// The order of age is a list through the entries: tens of thousands of keys are remembered, and a separate list
    /// would take a fifth more memory.
    struct Entry {
        Entry(Value&& held, Node* before) : value(std::move(held)), older(before) {}

        Value value;
        Node* older;
        Node* newer = nullptr;
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
    };
    using Entries = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;

    typename Entries::iterator remove(typename Entries::iterator position) {
        const Entry& entry = position->second;
        (entry.older != nullptr ? entry.older->second.newer : oldest_) = entry.newer;
        (entry.newer != nullptr ? entry.newer->second.older : newest_) = entry.older;
        return entries_.erase(position);
    }

    std::size_t limit_;
    std::size_t evicted_ = 0;
    Entries entries_;
    Node* oldest_ = nullptr;
    Node* newest_ = nullptr;
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
