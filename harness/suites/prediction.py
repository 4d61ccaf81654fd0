"""When a value is worse than earlier ones: the rule, its bound, and how often it raises a false alarm.

Pure arithmetic on numbers. Must never know where they come from.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NIGHTS_MIN: Final = 5
"""Earlier values below which nothing is concluded. With five, a value that is worse than all of them by chance alone
has a probability of 1/6, so that the other three conditions carry the proof."""

FALSE_ALARM: Final = 0.01
"""Probability that a suite in which nothing changed shows any regression, for normally distributed values."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a new value is held against.

    Attributes:
        median: Of the earlier values.
        worse: A value beyond it is a regression.
        better: A value beyond it on the other side is an improvement.
    """

    median: float
    worse: float
    better: float


def bounds(
    earlier: Sequence[float],
    *,
    more_is_worse: bool,
    tolerance: float,
    resolution: float,
    alpha: float,
    variance: float = 1.0,
) -> Bounds:
    """Return the bounds for one new value.

    A regression is worse than every earlier value, and beyond all of: the median by ``tolerance``, the median by
    ``resolution``, and the upper prediction bound for one future observation of a normal distribution
    (``mean + t(1 - alpha; n - 1) · s · sqrt(variance + 1/n)``: Hahn and Meeker, Statistical Intervals, 1991, section
    4.8). The first holds for any distribution: the last of n + 1 exchangeable values is the worst with a probability
    of 1/(n + 1).

    Args:
        earlier: One value per night, at least two.
        more_is_worse: False where less is worse.
        tolerance: Share of the median, from 0.
        resolution: Differences up to it say nothing; in the unit of the values.
        alpha: Probability of a false alarm for this value, between 0 and 0.5.
        variance: Of the new value, in terms of an earlier one's: above 1 when it comes from fewer repetitions.
    """
    sign = 1.0 if more_is_worse else -1.0
    count, median, mean = len(earlier), statistics.median(earlier), statistics.fmean(earlier)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in earlier) / (count - 1))
    reach = student_quantile(1 - alpha, count - 1) * deviation * math.sqrt(variance + 1 / count)
    margin = max(tolerance * abs(median), resolution)
    signed = [sign * value for value in earlier]
    worse = max(*signed, sign * mean + reach, sign * median + margin)
    better = min(*signed, sign * mean - reach, sign * median - margin)
    return Bounds(median=median, worse=sign * worse, better=sign * better)


@functools.lru_cache(maxsize=256)
def student_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t distribution, by bisection of its distribution function.

    Args:
        probability: At least 0.5, below 1.
        freedom: Degrees of freedom, at least 1.
    """
    low, high = 0.0, 1.0
    while _student_below(high, freedom) < probability:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if _student_below(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return high


def _student_below(t: float, freedom: int) -> float:
    """Return the probability of a value below ``t`` ≥ 0 (Abramowitz and Stegun, 26.7.3 and 26.7.4: finite sums)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    total = term = cosine if odd else 1.0
    for step in range(2 if odd else 1, freedom - 1, 2):
        term *= step / (step + 1) * cosine**2
        total += term
    if freedom == 1:
        between = 2 * angle / math.pi
    elif odd:
        between = 2 / math.pi * (angle + sine * total)
    else:
        between = sine * total
    return (1 + between) / 2
