"""By how much keeping the best of several results on one test can flatter."""

import math

from scipy import integrate, stats

from convlift.records.result import Estimate


def flattery(score: Estimate, openings: int) -> float:
    """Expected excess, in points, of the best of `openings` equally good networks' scores on one test over the truth.

    E max of k independent normal draws (David and Nagaraja 2003, section 3.1) times the score's standard error, read
    off its 95% interval. An upper limit: where scores on the same images correlate by r, the excess is sqrt(1 - r) of
    it (simulated in tests/evidence/test_reuse.py).
    """
    error = 100.0 * (score.high - score.low) / (2.0 * float(stats.norm.ppf(0.975)))
    return expected_maximum(openings) * error


def expected_maximum(k: int) -> float:
    """Of k independent standard normal draws: .56 for 2, .85 for 3, 1.16 for 5, 1.54 for 10."""
    if k < 2:
        return 0.0

    def integrand(x: float) -> float:
        return float(k * x * stats.norm.pdf(x) * stats.norm.cdf(x) ** (k - 1))

    return float(integrate.quad(integrand, -math.inf, math.inf)[0])
