// The body of an HTTP response, which any number of connections may be sending.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace session_buddy::server {

/// Bytes that never change, and a share in whatever keeps them.
class Body : public std::string_view {
  public:
    Body() = default;
    // Implicit: nearly every body is a string that was made for one answer.
    Body(std::string text) : Body(std::make_shared<const std::string>(std::move(text))) {}
    Body(const char* text) : Body(std::string(text)) {}
    /// `owner` keeps `bytes`; nullptr for bytes that last as long as the program.
    Body(std::string_view bytes, std::shared_ptr<const void> owner)
        : std::string_view(bytes), owner_(std::move(owner)) {}

    [[nodiscard]] const std::shared_ptr<const void>& owner() const { return owner_; }

  private:
    explicit Body(const std::shared_ptr<const std::string>& text) : Body(std::string_view(*text), text) {}

    std::shared_ptr<const void> owner_;
};

}  // namespace session_buddy::server
