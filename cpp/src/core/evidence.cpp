// Merges claims, resolves them, and encodes them as bytes: a version, the flags, then each claim that exists.
#include "session_buddy/core/evidence.hpp"

#include <utility>

#include "session_buddy/core/duration.hpp"
#include "session_buddy/core/timestamp.hpp"

namespace session_buddy {
namespace {

constexpr double kMicrosPerSecond = 1e6;
constexpr char kEncodingVersion = 1;
constexpr const char* kExitCodeError = "exit_code";
constexpr const char* kRejectedError = "rejected";

[[nodiscard]] NameBasis rank(NameBasis basis) {
    switch (basis) {
        case NameBasis::command:
        case NameBasis::typed:
        case NameBasis::report:
            return NameBasis::tool;
        default:
            return basis;
    }
}

/// An order of all bases, in which those that count as equal are next to each other.
[[nodiscard]] bool is_before(NameBasis a, NameBasis b) {
    return std::pair(rank(a), a) < std::pair(rank(b), b);
}

class Encoder {
  public:
    void byte(std::uint8_t value) { text_ += static_cast<char>(value); }
    void number(std::int64_t value) {
        // Zigzag, then seven bits per byte, as in Protocol Buffers.
        auto rest = (static_cast<std::uint64_t>(value) << 1U) ^ (value < 0 ? ~std::uint64_t{0} : 0U);
        for (; rest >= 0x80U; rest >>= 7U) {
            byte(static_cast<std::uint8_t>(rest | 0x80U));
        }
        byte(static_cast<std::uint8_t>(rest));
    }
    void value(Outcome outcome) { byte(static_cast<std::uint8_t>(outcome)); }
    void value(TimePoint at) { number(at.time_since_epoch().count()); }
    void value(std::int64_t micros) { number(micros); }
    void value(const ClaimedOutcome& claimed) {
        value(claimed.outcome);
        number(static_cast<std::int64_t>(claimed.error_type.size()));
        text_ += claimed.error_type;
    }
    template <typename Value>
    void claim(const Claim<Value>& claim) {
        byte(static_cast<std::uint8_t>(claim.source));
        if (claim.exists()) {
            value(claim.value);
        }
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

  private:
    std::string text_;
};

/// Reads zeros behind the end, and remembers that.
class Decoder {
  public:
    explicit Decoder(std::string_view text) : text_(text) {}

    [[nodiscard]] bool is_good() const { return good_ && text_.empty(); }
    std::uint8_t byte() {
        if (text_.empty()) {
            good_ = false;
            return 0;
        }
        const auto first = static_cast<std::uint8_t>(text_.front());
        text_.remove_prefix(1);
        return first;
    }
    std::int64_t number() {
        constexpr unsigned kBits = 64;
        std::uint64_t zigzag = 0;
        for (unsigned shift = 0; shift < kBits; shift += 7U) {
            const std::uint8_t next = byte();
            zigzag |= static_cast<std::uint64_t>(next & 0x7FU) << shift;
            if ((next & 0x80U) == 0) {
                return static_cast<std::int64_t>(zigzag >> 1U) ^ -static_cast<std::int64_t>(zigzag & 1U);
            }
        }
        good_ = false;
        return 0;
    }
    template <typename Enum>
    Enum enumerator(Enum last) {
        const std::uint8_t value = byte();
        good_ = good_ && value <= static_cast<std::uint8_t>(last);
        return good_ ? static_cast<Enum>(value) : Enum{};
    }
    void value(Outcome& outcome) { outcome = enumerator(Outcome::failed); }
    void value(TimePoint& at) { at = TimePoint(TimePoint::duration(number())); }
    void value(std::int64_t& micros) { micros = number(); }
    void value(ClaimedOutcome& claimed) {
        value(claimed.outcome);
        const std::int64_t size = number();
        if (size < 0 || static_cast<std::uint64_t>(size) > text_.size()) {
            good_ = false;
            return;
        }
        claimed.error_type = text_.substr(0, static_cast<std::size_t>(size));
        text_.remove_prefix(static_cast<std::size_t>(size));
    }
    template <typename Value>
    void claim(Claim<Value>& claim) {
        claim.source = enumerator(EvidenceSource::hook);
        if (claim.exists()) {
            value(claim.value);
        }
    }

  private:
    std::string_view text_;
    bool good_ = true;
};

template <typename Coder, typename Evidences>
void code_claims(Coder& coder, Evidences& evidence) {
    coder.claim(evidence.started);
    for (auto* end : {&evidence.result, &evidence.background_end}) {
        coder.claim(end->outcome);
        coder.claim(end->at);
        coder.claim(end->measured_us);
    }
    coder.claim(evidence.verdict);
}

[[nodiscard]] ClaimedOutcome outcome_of(const Evidence& evidence, const ClaimedEnd& end) {
    ClaimedOutcome outcome = end.outcome.value;
    if (evidence.is_masked && outcome.outcome == Outcome::completed) {
        outcome.outcome = evidence.verdict.value;
        outcome.error_type = outcome.outcome == Outcome::failed ? kExitCodeError : "";
    }
    return outcome;
}

}  // namespace

bool is_better(NameBasis basis, NameBasis other) {
    return rank(basis) > rank(other);
}

void ClaimedEnd::merge(const ClaimedEnd& other) {
    outcome.merge(other.outcome);
    at.merge(other.at);
    measured_us.merge(other.measured_us);
}

bool ClaimedEnd::contains(const ClaimedEnd& other) const {
    return outcome.contains(other.outcome) && at.contains(other.at) && measured_us.contains(other.measured_us);
}

void Evidence::merge(const Evidence& other) {
    in_background = in_background || other.in_background;
    is_masked = is_masked || other.is_masked;
    is_abandoned = is_abandoned || other.is_abandoned;
    name_basis = std::max(name_basis, other.name_basis, is_before);
    session_basis = std::max(session_basis, other.session_basis);
    started.merge(other.started);
    result.merge(other.result);
    background_end.merge(other.background_end);
    verdict.merge(other.verdict);
}

bool Evidence::contains(const Evidence& other) const {
    return (in_background || !other.in_background) && (is_masked || !other.is_masked) &&
           (is_abandoned || !other.is_abandoned) && !is_before(name_basis, other.name_basis) &&
           session_basis >= other.session_basis && started.contains(other.started) && result.contains(other.result) &&
           background_end.contains(other.background_end) && verdict.contains(other.verdict);
}

bool Evidence::is_settled() const {
    return is_abandoned || (in_background ? background_end : result).outcome.exists();
}

Resolution resolve(const Evidence& evidence, TimePoint fallback) {
    const ClaimedEnd& end = evidence.in_background ? evidence.background_end : evidence.result;
    ClaimedOutcome outcome = outcome_of(evidence, end);
    Resolution resolution;
    resolution.outcome = outcome.outcome;
    resolution.error_type = std::move(outcome.error_type);
    if (resolution.error_type != kRejectedError) {
        if (end.measured_us.exists()) {
            resolution.duration_seconds = static_cast<double>(end.measured_us.value) / kMicrosPerSecond;
        } else if (evidence.started.exists() && end.at.exists()) {
            // The clock may have been set in between: back, or forward by years if it was not set at the start.
            const double seconds =
                std::max(0.0, std::chrono::duration<double>(end.at.value - evidence.started.value).count());
            if (is_valid_duration(seconds)) {
                resolution.duration_seconds = seconds;
                resolution.is_upper_bound = true;
            }
        }
    }
    if (evidence.started.exists()) {
        resolution.invoked_at = evidence.started.value;
    } else if (end.at.exists()) {
        resolution.invoked_at = start_time(end.at.value, resolution.duration_seconds.value_or(0.0));
    } else {
        resolution.invoked_at = fallback;
    }
    return resolution;
}

std::string encode(const Evidence& evidence) {
    Encoder encoder;
    encoder.byte(kEncodingVersion);
    encoder.byte(static_cast<std::uint8_t>((evidence.in_background ? 1U : 0U) | (evidence.is_masked ? 2U : 0U) |
                                           (evidence.is_abandoned ? 4U : 0U)));
    encoder.byte(static_cast<std::uint8_t>(evidence.name_basis));
    encoder.byte(static_cast<std::uint8_t>(evidence.session_basis));
    code_claims(encoder, evidence);
    return encoder.take();
}

std::optional<Evidence> decode_evidence(std::string_view encoded) {
    Decoder decoder(encoded);
    if (decoder.byte() != kEncodingVersion) {
        return std::nullopt;
    }
    Evidence evidence;
    const std::uint8_t flags = decoder.byte();
    evidence.in_background = (flags & 1U) != 0;
    evidence.is_masked = (flags & 2U) != 0;
    evidence.is_abandoned = (flags & 4U) != 0;
    evidence.name_basis = decoder.enumerator(NameBasis::output);
    evidence.session_basis = decoder.enumerator(SessionBasis::original);
    code_claims(decoder, evidence);
    return decoder.is_good() ? std::optional(std::move(evidence)) : std::nullopt;
}

}  // namespace session_buddy
