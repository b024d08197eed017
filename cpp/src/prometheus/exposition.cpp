// Content negotiation for GET /metrics (Accept, RFC 9110, section 12.5.1) and serialization.
#include "session_buddy/prometheus/exposition.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "families.hpp"
#include "openmetrics_serializer.hpp"
#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/list_items.hpp"

namespace session_buddy::prometheus {
namespace {

constexpr std::string_view kTextType = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kOpenMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A media range of the Accept header.
struct MediaRange {
    std::string type;  // in lower case
    std::string version;
    double quality = 1.0;
};

/// nullopt if it is malformed.
std::optional<MediaRange> parse_range(std::string_view text) {
    MediaRange range;
    range.type = ascii::lower(split_next(text, ';'));
    while (!text.empty()) {
        const std::string_view parameter = split_next(text, ';');
        const std::size_t equals = parameter.find('=');
        if (equals == std::string_view::npos) {
            continue;
        }
        const std::string name = ascii::lower(trimmed(parameter.substr(0, equals)));
        std::string_view value = trimmed(parameter.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
            value = value.substr(1, value.size() - 2);
        }
        if (name == "q") {
            const auto [end, error] =
                std::from_chars(value.data(), value.data() + value.size(), range.quality, std::chars_format::fixed);
            if (error != std::errc() || end != value.data() + value.size() || !(range.quality >= 0.0) ||
                range.quality > 1.0) {
                return std::nullopt;
            }
            break;  // what follows q is not a parameter of the type
        }
        if (name == "version") {
            range.version = value;
        }
    }
    return range;
}

/// The client's preference for one media type: the quality of the most specific matching range.
class MediaTypePreference {
  public:
    MediaTypePreference(std::string_view type, std::string_view version) : type_(type), version_(version) {}

    void consider(const MediaRange& range) {
        const int match = specificity(range);
        if (match > best_ || (match == best_ && match > 0 && range.quality > quality_)) {
            best_ = match;
            quality_ = range.quality;
        }
    }
    [[nodiscard]] double quality() const { return quality_; }

  private:
    [[nodiscard]] int specificity(const MediaRange& range) const {
        if (range.type == type_) {
            return range.version.empty() ? 3 : range.version == version_ ? 4 : 0;
        }
        if (range.type == std::string(type_.substr(0, type_.find('/'))) + "/*") {
            return 2;
        }
        return range.type == "*/*" ? 1 : 0;
    }

    std::string_view type_;
    std::string_view version_;
    int best_ = 0;
    double quality_ = 0.0;
};

}  // namespace

Format negotiate(std::string_view accept) {
    MediaTypePreference text("text/plain", "0.0.4");
    MediaTypePreference openmetrics("application/openmetrics-text", "1.0.0");
    while (!accept.empty()) {
        if (const auto range = parse_range(split_next(accept, ','))) {
            text.consider(*range);
            openmetrics.consider(*range);
        }
    }
    return openmetrics.quality() > text.quality() ? Format::openmetrics : Format::text;
}

std::string_view content_type(Format format) {
    return format == Format::openmetrics ? kOpenMetricsType : kTextType;
}

std::string render(const Sources& sources, Format format) {
    const auto all = families(sources);
    return format == Format::openmetrics ? OpenMetricsSerializer().Serialize(all)
                                         : ::prometheus::TextSerializer().Serialize(all);
}

}  // namespace session_buddy::prometheus
