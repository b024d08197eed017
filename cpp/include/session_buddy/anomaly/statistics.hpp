// Statistics for the anomaly detector: sums that stay exact when values are removed, and tail probabilities. Pure
// functions; every result is finite.
#pragma once

#include <cmath>
#include <cstdint>

namespace session_buddy::anomaly {

/// 128 bits, so that sums of squares of 62-bit numbers neither round nor overflow.
__extension__ using Int128 = __int128;

/// Count, sum and sum of squares of integers. Removing a value restores the exact previous state, so that mean and
/// variance of a sliding window accumulate no rounding error. Exact while count · |value| < 2^63, for instance |value|
/// ≤ 2^47 and up to 2^15 values.
class ExactMoments {
  public:
    void add(std::int64_t value) { apply(value, 1); }
    void remove(std::int64_t value) { apply(value, -1); }

    [[nodiscard]] std::int64_t count() const { return count_; }
    [[nodiscard]] double mean() const {
        return count_ > 0 ? static_cast<double>(sum_) / static_cast<double>(count_) : 0.0;
    }
    /// Sample variance (Σx² − (Σx)²/n)/(n − 1), with an integer numerator; 0 for fewer than two values.
    [[nodiscard]] double variance() const;

    bool operator==(const ExactMoments&) const = default;

  private:
    void apply(std::int64_t value, std::int64_t sign) {
        count_ += sign;
        sum_ += sign * value;
        squares_ += sign * (static_cast<Int128>(value) * value);
    }

    std::int64_t count_ = 0;
    std::int64_t sum_ = 0;
    Int128 squares_ = 0;
};

/// P(Z ≥ z) of the standard normal distribution, by the complementary error function (Abramowitz and Stegun, 26.2.29
/// and 7.1.2), which keeps its relative precision far in the tail.
[[nodiscard]] double normal_upper_tail(double z);

/// P(T ≥ t) of Student's t distribution with `degrees` > 0 degrees of freedom, by the regularised incomplete beta
/// function (Abramowitz and Stegun, 26.7.1), as Boost.Math computes it.
[[nodiscard]] double student_upper_tail(double t, double degrees);

/// Probabilities of the beta-binomial distribution (n, a > 0, b > 0) at k, 0 ≤ k ≤ n.
struct BetaBinomialTail {
    double at = 0.0;     ///< P(X = k)
    double lower = 0.0;  ///< P(X ≤ k)
    double upper = 0.0;  ///< P(X ≥ k)
};

/// Sums the n + 1 terms by their ratio p(x+1)/p(x) = (n−x)(a+x) / ((x+1)(b+n−x−1)) (Johnson, Kemp and Kotz, Univariate
/// Discrete Distributions, 6.2.2), relative to a term near the mean, and normalizes at the end. Without the gamma
/// function, large counts keep their precision. O(n).
[[nodiscard]] BetaBinomialTail beta_binomial_tail(std::int64_t k, std::int64_t n, double a, double b);

}  // namespace session_buddy::anomaly
