// Prepares the embedded files: content type, entity tag and a compressed copy of each.
#include "assets.hpp"

#include <array>
#include <utility>

#include "session_buddy/server/representation.hpp"

namespace session_buddy::server {

namespace {

constexpr int kBestCompression = 9;

struct ContentType {
    std::string_view suffix;
    std::string_view type;
};

constexpr std::array kContentTypes{
    ContentType{.suffix = ".html", .type = "text/html; charset=utf-8"},
    ContentType{.suffix = ".js", .type = "text/javascript; charset=utf-8"},
    ContentType{.suffix = ".css", .type = "text/css; charset=utf-8"},
    ContentType{.suffix = ".svg", .type = "image/svg+xml"},
    ContentType{.suffix = ".png", .type = "image/png"},
    ContentType{.suffix = ".ico", .type = "image/x-icon"},
    ContentType{.suffix = ".webmanifest", .type = "application/manifest+json"},
    ContentType{.suffix = ".txt", .type = "text/plain; charset=utf-8"},
};

std::string_view content_type_for(std::string_view path) {
    for (const auto& [suffix, type] : kContentTypes) {
        if (path.ends_with(suffix)) {
            return type;
        }
    }
    return "application/octet-stream";
}

}  // namespace

Assets::Assets(std::span<const EmbeddedFile> files) {
    for (const auto& file : files) {
        Asset asset{.content_type = content_type_for(file.path),
                    .bytes = file.bytes,
                    .gzip = gzip_compress(file.bytes, kBestCompression),
                    .etag = '"' + etag_digest({file.bytes}) + '"',
                    .is_page = file.path.ends_with(".html")};
        if (asset.gzip.size() >= asset.bytes.size()) {
            asset.gzip.clear();
        }
        assets_.emplace(file.path == "index.html" ? "/" : "/" + std::string(file.path), std::move(asset));
    }
}

const Asset* Assets::find(std::string_view path) const {
    const auto found = assets_.find(path);
    return found == assets_.end() ? nullptr : &found->second;
}

const Assets& dashboard() {
    static const Assets assets(dashboard_files());
    return assets;
}

}  // namespace session_buddy::server
