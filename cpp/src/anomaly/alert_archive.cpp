// Version and checksum of the alert detectors' state.
#include "session_buddy/anomaly/alert_archive.hpp"

#include <utility>

namespace session_buddy::anomaly {
namespace {

constexpr std::size_t kChecksumBytes = 4;

// FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/
std::uint32_t checksum(std::string_view bytes) {
    std::uint32_t hash = 2166136261U;
    for (const char byte : bytes) {
        hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
    }
    return hash;
}

}  // namespace

std::string AlertStateWriter::finish() {
    std::uint64_t sum = checksum(bytes_);
    bits(sum, kChecksumBytes);
    return std::move(bytes_);
}

AlertStateReader::AlertStateReader(std::string_view bytes) {
    if (bytes.size() <= kChecksumBytes || static_cast<std::uint8_t>(bytes.front()) != kAlertStateVersion) {
        return;
    }
    rest_ = bytes.substr(bytes.size() - kChecksumBytes);
    ok_ = true;
    std::uint64_t sum = 0;
    bits(sum, kChecksumBytes);
    const std::string_view content = bytes.substr(0, bytes.size() - kChecksumBytes);
    ok_ = checksum(content) == sum;
    rest_ = content.substr(1);
}

}  // namespace session_buddy::anomaly
