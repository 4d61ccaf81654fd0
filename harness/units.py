"""Quantities: unit strings in YAML and reports, integers of base units inside.

A field annotated ``Duration`` holds nanoseconds and is written ``50ms`` in a scenario. The annotation is what the
loader, the JSON Schema and the documentation are made from.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"


@functools.cache
def _compiled(units: tuple[str, ...]) -> re.Pattern[str]:
    """Return what a number with one of these units matches; thousands of quantities are read in a scenario."""
    names = "|".join(re.escape(unit) for unit in sorted(units, key=len, reverse=True))
    return re.compile(rf"^{_NUMBER}\s?({names})$")


@dataclass(frozen=True, slots=True)
class Unit:
    """A kind of quantity and the unit strings it accepts.

    Attributes:
        name: For messages and documentation (``duration``).
        factors: Unit string → factor to the base unit, smallest first.
        example: A valid value, for messages.
        suffix: Field-name suffix of the base unit, left out in YAML (``_ns``); empty when there is none.
        integral: Whether the base value is an integer.
    """

    name: str
    factors: Mapping[str, float] = field(hash=False)  # ``Duration | None`` needs a hash at run time
    example: str
    suffix: str = ""
    integral: bool = True

    @property
    def pattern(self) -> str:
        """Regular expression (ECMA-compatible) that a valid string matches; used in the JSON Schema."""
        return _compiled(tuple(self.factors)).pattern

    def parse(self, text: str) -> int | float:
        """Return the base value of ``text``; raises ValueError with a message that names the units."""
        match = _compiled(tuple(self.factors)).match(text.strip())
        if match is None:
            units = ", ".join(self.factors)
            raise ValueError(f"{text!r} is not a {self.name}: write a number with one of {units}, e.g. {self.example}")
        value = float(match[1]) * self.factors[match[2]]
        if not self.integral:
            return value
        if not math.isclose(value, round(value), abs_tol=1e-6):
            raise ValueError(f"{text!r} is finer than the smallest {self.name} unit")
        return round(value)

    def format(self, value: float) -> str:
        """Return ``value`` in the largest unit that keeps it at 1 or above, with at most three decimals."""
        chosen, factor = next(iter(self.factors.items()))
        for unit, unit_factor in self.factors.items():
            if unit_factor > factor and abs(value) >= unit_factor:
                chosen, factor = unit, unit_factor
        return f"{value / factor:.3f}".rstrip("0").rstrip(".") + chosen

    def brief(self, value: float) -> str:
        """Return ``value`` rounded to three significant digits, for people (``1.22s``); not to be read back."""
        chosen, factor = next(iter(self.factors.items()))
        for unit, unit_factor in self.factors.items():
            if abs(float(f"{value / unit_factor:.3g}")) >= 1:
                chosen, factor = unit, unit_factor
        amount = value / factor
        number = f"{amount:.0f}" if abs(amount) >= 100 else f"{amount:.3g}"
        return f"{amount:.3f}".rstrip("0").rstrip(".") + chosen if "e" in number else number + chosen


DURATION = Unit(
    "duration",
    {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000},
    "50ms",
    suffix="_ns",
)
BYTES = Unit("size", {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}, "512B", suffix="_bytes")
BYTE_RATE = Unit("byte rate", {"B/s": 1, "KB/s": 1000, "MB/s": 1_000_000}, "100KB/s", suffix="_bytes_per_s")
RATE = Unit("rate", {"/s": 1}, "2000/s", suffix="_per_s", integral=False)
RATIO = Unit("ratio", {"%": 0.01}, "0.1%", integral=False)
CORES = Unit("CPU limit", {"cores": 1.0, "core": 1.0}, "0.2cores", integral=False)


class Off(float):
    """The value of a limit that is switched off: nothing lies beyond it.

    In YAML, JSON and reports it is the word ``off``. A limit that is not given is None.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return OFF

    __repr__ = __str__

    @staticmethod
    def of(metric: str) -> Off:
        """Return the value for a metric: of a ``_min`` nothing lies below it, of any other one nothing above."""
        return Off("-inf" if metric.endswith("_min") else "inf")


OFF = "off"
"""How a scenario switches a limit off."""

_SHOWN_DURATION = Unit("duration", {"ns": 1, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}, "50ms")

Duration = Annotated[int, DURATION]
Bytes = Annotated[int, BYTES]
ByteRate = Annotated[int, BYTE_RATE]
Rate = Annotated[float, RATE]
Ratio = Annotated[float, RATIO]
Cores = Annotated[float, CORES]


def format_ns(value_ns: float) -> str:
    """Return nanoseconds as a short human duration of three significant digits (``1.23s``, ``350ms``, ``547µs``).

    Seconds are the largest unit, so that two durations can be compared at a glance.
    """
    return _SHOWN_DURATION.brief(round(value_ns))
