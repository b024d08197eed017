// Tail probabilities and moments; the sources are in the header.
#include "session_buddy/anomaly/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <numbers>

namespace session_buddy::anomaly {

double ExactMoments::variance() const {
    if (count_ < 2) {
        return 0.0;
    }
    // n·Σx² − (Σx)² in integers: no cancellation, even if the mean is large.
    const Int128 n = count_;
    const Int128 numerator = n * squares_ - static_cast<Int128>(sum_) * sum_;
    const auto count = static_cast<double>(count_);
    return static_cast<double>(numerator) / count / (count - 1.0);
}

double normal_upper_tail(double z) {
    return 0.5 * std::erfc(z / std::numbers::sqrt2);
}

double student_upper_tail(double t, double degrees) {
    // In double: Boost's default promotion to long double is several times slower.
    using Policy = boost::math::policies::policy<boost::math::policies::promote_double<false>>;
    return boost::math::cdf(boost::math::complement(boost::math::students_t_distribution<double, Policy>(degrees), t));
}

BetaBinomialTail beta_binomial_tail(std::int64_t k, std::int64_t n, double a, double b) {
    const auto count = static_cast<double>(n);
    const auto ratio = [&](double x) { return (count - x) * (a + x) / ((x + 1.0) * (b + count - x - 1.0)); };
    // Start near the mean, where the terms are largest: relative to it none overflows, and those that underflow are
    // negligible.
    const double mean = count * a / (a + b);
    const auto start = std::clamp<std::int64_t>(static_cast<std::int64_t>(mean), 0, n);

    double below = 0.0;
    double at = 0.0;
    double above = 0.0;
    const auto account = [&](std::int64_t x, double term) { (x < k ? below : x == k ? at : above) += term; };
    account(start, 1.0);
    double term = 1.0;
    for (std::int64_t x = start; x < n; ++x) {
        term *= ratio(static_cast<double>(x));
        account(x + 1, term);
    }
    term = 1.0;
    for (std::int64_t x = start; x > 0; --x) {
        term /= ratio(static_cast<double>(x - 1));
        account(x - 1, term);
    }
    const double total = below + at + above;
    return {.at = at / total, .lower = (below + at) / total, .upper = (at + above) / total};
}

}  // namespace session_buddy::anomaly
