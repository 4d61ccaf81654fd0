"""Which measures of a check can be compared from run to run: their unit, which way is worse, what difference counts.

Derived from a check's limits alone, third parties' included: a measure is comparable when a limit of its name exists
(``p99_ns`` has ``p99_ns_max``). Must never know a particular check, nor how values are compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from harness.checks.base import metrics, unit_of
from harness.units import DURATION, RATE, RATIO

Worse = Literal["more", "less"]

_UNITS: Final = {DURATION.name: "ns", RATE.name: "per_s", RATIO.name: "ratio"}
_RESOLUTION: Final = {"ns": 100_000_000.0, "per_s": 1.0, "ratio": 0.01, "count": 1.0}
"""By unit: below this a difference says nothing, where the limit declares no ``resolution`` in its metadata. Of times,
100 ms: the granularity at which pauses are cut into causes and probes are spaced."""


@dataclass(frozen=True, slots=True)
class MeasureKind:
    """What is known of a measure beyond its value.

    Attributes:
        unit: ``ns``, ``per_s``, ``ratio`` or ``count``.
        worse: Which way is worse: ``more`` where the limit is a ``_max``, ``less`` where it is a ``_min``.
        resolution: Differences up to this say nothing; in the measure's unit.
    """

    unit: str
    worse: Worse
    resolution: float


def measure_kinds(limits: type[Any]) -> Mapping[str, MeasureKind]:
    """Return measure → its kind, of every measure of which a limit exists.

    Args:
        limits: The limits dataclass of a check. A field's metadata may give ``resolution`` in its base unit.
    """
    declared = {item.name: item.metadata for item in dataclasses.fields(limits)}
    found = {}
    for metric in metrics(limits):
        name, _, bound = metric.rpartition("_")
        if bound not in {"max", "min"}:
            continue
        unit = unit_of(limits, metric)
        word = _UNITS.get(unit.name, "count") if unit is not None else "count"
        resolution = float(declared[metric].get("resolution", _RESOLUTION[word]))
        found[name] = MeasureKind(word, "more" if bound == "max" else "less", resolution)
    return found
