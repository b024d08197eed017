// The immutable body of an HTTP response, shared by the connections that send it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace session_buddy::server {

/// A view of immutable bytes with shared ownership of their storage.
class Body : public std::string_view {
  public:
    Body() = default;
    // Implicit: nearly every body is a string built for one response.
    Body(std::string text) : Body(std::make_shared<const std::string>(std::move(text))) {}
    Body(const char* text) : Body(std::string(text)) {}
    /// `owner` owns `bytes`; nullptr for static storage.
    Body(std::string_view bytes, std::shared_ptr<const void> owner)
        : std::string_view(bytes), owner_(std::move(owner)) {}

    [[nodiscard]] const std::shared_ptr<const void>& owner() const { return owner_; }

  private:
    explicit Body(const std::shared_ptr<const std::string>& text) : Body(std::string_view(*text), text) {}

    std::shared_ptr<const void> owner_;
};

}  // namespace session_buddy::server
