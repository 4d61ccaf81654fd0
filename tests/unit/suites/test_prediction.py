"""The rule by which a value counts as worse than earlier ones, and how often it raises a false alarm."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from harness.suites.prediction import NIGHTS_MIN, bounds, student_quantile

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [  # tables of Student's t: NIST/SEMATECH e-Handbook, 1.3.6.7.2
        (0.95, 1, 6.314),
        (0.99, 1, 31.821),
        (0.95, 2, 2.920),
        (0.99, 3, 4.541),
        (0.99, 4, 3.747),
        (0.999, 4, 7.173),
        (0.999, 5, 5.893),
        (0.975, 9, 2.262),
        (0.999, 9, 4.297),
        (0.999, 29, 3.396),
        (0.99, 100, 2.364),
    ],
)
def test_quantiles_agree_with_the_tables(probability: float, freedom: int, quantile: float) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(quantile, abs=6e-4)


def test_a_quantile_of_two_degrees_of_freedom_agrees_with_its_closed_form() -> None:
    for probability in (0.5, 0.9, 0.999, 0.99999):
        closed = (2 * probability - 1) * math.sqrt(2 / (4 * probability * (1 - probability)))
        assert student_quantile(probability, 2) == pytest.approx(closed, rel=1e-9, abs=1e-9)


def test_a_value_is_held_against_all_four_conditions() -> None:
    flat = [100.0] * 5

    def worse(earlier: list[float], **given: float) -> float:
        settings = {"tolerance": 0.25, "resolution": 1.0, "alpha": 0.001} | given
        return bounds(earlier, more_is_worse=True, **settings).worse

    assert worse(flat) == 125, "the tolerance"
    assert worse(flat, resolution=60.0) == 160, "the resolution"
    assert worse([100.0, 100.0, 100.0, 100.0, 300.0], alpha=0.49) == 300, "the worst of the earlier ones"
    spread = [90.0, 95.0, 100.0, 105.0, 110.0]
    assert worse(spread) == pytest.approx(100 + 7.1732 * 7.90569 * math.sqrt(1 + 1 / 5), rel=1e-4)
    assert worse(spread, variance=3.0) == pytest.approx(100 + 7.1732 * 7.90569 * math.sqrt(3 + 1 / 5), rel=1e-4)


def test_where_less_is_worse_the_bounds_change_sides() -> None:
    found = bounds([100.0] * 5, more_is_worse=False, tolerance=0.25, resolution=1, alpha=0.001)
    assert (found.median, found.worse, found.better) == (100, 75, 125)


def test_what_is_always_zero_is_held_against_the_resolution_alone() -> None:
    found = bounds([0.0] * 7, more_is_worse=True, tolerance=0.25, resolution=100, alpha=0.001)
    assert (found.worse, found.better) == (100, -100)


def _alarms(draw: Draw, nights: int, alpha: float, tolerance: float, suites: int = 20_000) -> float:
    """Return the share of suites in which nothing changed and a value counts as a regression all the same."""
    values = draw(np.random.default_rng(20260314), (suites, nights + 1))
    found = 0
    for *earlier, new in values.tolist():
        found += new > bounds(earlier, more_is_worse=True, tolerance=tolerance, resolution=0, alpha=alpha).worse
    return found / suites


DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda random, shape: random.normal(100, 10, shape),
    "log-normal": lambda random, shape: random.lognormal(math.log(100), 0.3, shape),
    "one night of 20 three times as long": lambda random, shape: (
        random.normal(100, 10, shape) * np.where(random.random(shape) < 0.05, 3.0, 1.0)
    ),
}


@pytest.mark.parametrize("nights", [NIGHTS_MIN, 10])
def test_false_alarms_of_normal_values_are_as_rare_as_stated(nights: int) -> None:
    rate = _alarms(DISTRIBUTIONS["normal"], nights, alpha=0.01, tolerance=0.0)
    assert 0.004 < rate <= 0.0115


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
@pytest.mark.parametrize("nights", [NIGHTS_MIN, 10])
def test_false_alarms_of_any_distribution_stay_below_those_of_ranks(name: str, nights: int) -> None:
    assert _alarms(DISTRIBUTIONS[name], nights, alpha=0.49, tolerance=0.0, suites=4_000) <= 1 / (nights + 1) * 1.1


if __name__ == "__main__":
    for name, draw in DISTRIBUTIONS.items():
        for nights in (5, 10):
            rates = [_alarms(draw, nights, alpha, 0.25, 200_000) for alpha in (0.01 / 10, 0.01 / 150)]
            print(name, nights, rates)
