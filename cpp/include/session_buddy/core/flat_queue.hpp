// A FIFO queue in contiguous memory that also supports insertion in the middle.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

namespace session_buddy {

/// An empty std::deque of libstdc++ allocates 576 bytes, too much for many thousand skills; an empty FlatQueue
/// allocates nothing. Like std::deque it releases memory as it shrinks. push_back() and pop_front() take amortized
/// constant time; insert() moves the elements of the shorter side. Strong exception guarantee: if an allocation fails,
/// the queue is unchanged.
template <typename T>
class FlatQueue {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    using iterator = typename std::vector<T>::iterator;
    using const_iterator = typename std::vector<T>::const_iterator;

    [[nodiscard]] std::size_t size() const { return storage_.size() - front_; }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] iterator begin() { return storage_.begin() + static_cast<std::ptrdiff_t>(front_); }
    [[nodiscard]] iterator end() { return storage_.end(); }
    [[nodiscard]] const_iterator begin() const { return storage_.begin() + static_cast<std::ptrdiff_t>(front_); }
    [[nodiscard]] const_iterator end() const { return storage_.end(); }
    [[nodiscard]] T& operator[](std::size_t index) { return storage_[front_ + index]; }
    [[nodiscard]] const T& operator[](std::size_t index) const { return storage_[front_ + index]; }
    [[nodiscard]] T& front() { return storage_[front_]; }
    [[nodiscard]] const T& front() const { return storage_[front_]; }
    [[nodiscard]] const T& back() const { return storage_.back(); }

    void push_back(const T& element) { storage_.push_back(element); }

    void insert(std::size_t index, const T& element) {
        if (front_ > 0 && index < size() / 2) {
            --front_;
            std::move(begin() + 1, begin() + 1 + static_cast<std::ptrdiff_t>(index), begin());
            (*this)[index] = element;
        } else {
            storage_.insert(begin() + static_cast<std::ptrdiff_t>(index), element);
        }
    }

    void pop_front(std::size_t count = 1) {
        front_ += count;
        if (front_ >= kMinGap && front_ >= size()) {
            storage_.erase(storage_.begin(), begin());
            front_ = 0;
            if (storage_.size() < storage_.capacity() / 4) {
                storage_.shrink_to_fit();
            }
        }
    }

  private:
    // Popped elements that may accumulate before the rest is moved, so that a short queue is not moved on every pop.
    static constexpr std::size_t kMinGap = 16;

    std::vector<T> storage_;
    std::size_t front_ = 0;  // index of the first element; those before it are popped
};

}  // namespace session_buddy
