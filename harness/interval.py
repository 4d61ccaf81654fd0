"""How sure a share of few runs is. Pure."""

from __future__ import annotations

import math
from typing import Final

_Z95: Final = 1.959963984540054
"""Quantile 0.975 of the standard normal distribution: 95% lie within."""


def wilson(shown: int, runs: int) -> tuple[float, float]:
    """Return the 95% interval of a share, ``shown`` of ``runs``, each end from 0 to 1; (0, 1) of no runs.

    Wilson's score interval: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927), 209-212. Unlike the interval of the normal
    approximation it stays within 0 and 1, and 0 of 5 does not become "never".

    Args:
        shown: From 0 to ``runs``.
        runs: Independent runs.

    Raises:
        ValueError: ``shown`` is not from 0 to ``runs``.
    """
    if not 0 <= shown <= runs:
        raise ValueError(f"{shown} of {runs} is no share")
    if runs == 0:
        return 0.0, 1.0
    share, squared = shown / runs, _Z95 * _Z95
    middle = (share + squared / (2 * runs)) / (1 + squared / runs)
    half = _Z95 / (1 + squared / runs) * math.sqrt(share * (1 - share) / runs + squared / (4 * runs * runs))
    # Rounding must not move an end past what was seen.
    return (0.0 if shown == 0 else max(0.0, middle - half)), (1.0 if shown == runs else min(1.0, middle + half))
