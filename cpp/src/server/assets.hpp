// The dashboard's files, which are part of the program: cmake/Dashboard.cmake embeds them.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

namespace session_buddy::server {

struct EmbeddedFile {
    std::string_view path;  ///< below the dashboard's folder: "index.html", "assets/app.js"
    std::string_view bytes;
};

/// Made by the build; in the order of their paths.
[[nodiscard]] std::span<const EmbeddedFile> dashboard_files();

struct Asset {
    std::string_view content_type;
    std::string_view bytes;
    std::string gzip;  ///< the same, compressed; empty where that is not smaller
    std::string etag;  ///< of `bytes`, in quotes
    bool is_page = false;
};

class Assets {
  public:
    /// Hashes and compresses them. What `files` refers to must outlive this.
    explicit Assets(std::span<const EmbeddedFile> files);

    /// By the path of a request; "/" is index.html. nullptr where there is none.
    [[nodiscard]] const Asset* find(std::string_view path) const;

  private:
    std::map<std::string, Asset, std::less<>> assets_;  // by the path of the request
};

/// The dashboard, prepared by the first call.
[[nodiscard]] const Assets& dashboard();

}  // namespace session_buddy::server
