// The statistics behind the detector: sums that stay exact under removal, and tails of the distributions it asks.
// Pure functions; every result is finite.
#pragma once

#include <cmath>
#include <cstdint>

namespace session_buddy::anomaly {

/// 128 bits, so that sums of squares of 62-bit numbers neither round nor overflow.
__extension__ using Int128 = __int128;

/// Count, sum and sum of squares of integers: adding and removing the same value leaves exactly what was there before,
/// so mean and variance never drift however long values come and go. Exact as long as count · |value| stays below 2^63,
/// for instance |value| ≤ 2^47 and up to 2^15 values.
class ExactMoments {
  public:
    void add(std::int64_t value) { apply(value, 1); }
    void remove(std::int64_t value) { apply(value, -1); }

    [[nodiscard]] std::int64_t count() const { return count_; }
    [[nodiscard]] double mean() const {
        return count_ > 0 ? static_cast<double>(sum_) / static_cast<double>(count_) : 0.0;
    }
    /// Sample variance: (Σx² − (Σx)²/n)/(n − 1), the numerator formed in integers; 0 below two values.
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
/// and 7.1.2); keeps its relative precision far out in the tail.
[[nodiscard]] double normal_upper_tail(double z);

/// P(T ≥ t) of Student's t distribution with `degrees` > 0 degrees of freedom, by the regularised incomplete beta
/// function (Abramowitz and Stegun, 26.7.1), as Boost.Math computes it.
[[nodiscard]] double student_upper_tail(double t, double degrees);

/// Probabilities of a count k out of n, 0 ≤ k ≤ n, that is beta-binomial with a > 0, b > 0.
struct BetaBinomialTail {
    double at = 0.0;     ///< P(X = k)
    double lower = 0.0;  ///< P(X ≤ k)
    double upper = 0.0;  ///< P(X ≥ k)
};

/// Sums n + 1 terms by their ratio p(x+1)/p(x) = (n−x)(a+x) / ((x+1)(b+n−x−1)) (Johnson, Kemp and Kotz, Univariate
/// Discrete Distributions, 6.2.2), each relative to a term near the mean and the whole normalised at the end: no gamma
/// function, so that counts of any size keep their precision. O(n).
[[nodiscard]] BetaBinomialTail beta_binomial_tail(std::int64_t k, std::int64_t n, double a, double b);

}  // namespace session_buddy::anomaly
