"""Quantities as a person would write them: exact, short, and read back by the loader as the same number."""

from __future__ import annotations

import math

from harness.units import Unit

_CLOCK_UNITS = ("m", "h")


def exact(unit: Unit, value: float) -> str:
    """Return the shortest natural unit string that stands for exactly ``value`` (``90s``, not ``1.5m`` nor
    ``90000ms``).

    Args:
        unit: Kind of quantity.
        value: In its base unit; not negative.
    """
    if value == 0:
        return "0s" if "s" in unit.factors else f"0{next(iter(unit.factors))}"
    texts: dict[tuple[bool, int], str] = {}
    names = {factor: name for name, factor in reversed(list(unit.factors.items()))}  # of synonyms, the first
    for factor, name in names.items():
        number = value / factor
        text = (f"{number:.3f}".rstrip("0").rstrip(".") if unit.integral else f"{number:.15g}") + name
        if _stands_for(unit, text, value):
            unnatural = number < 1 or (number < 2 and name in _CLOCK_UNITS)  # 0.1s, 1m: rather 100ms, 60s
            texts.setdefault((unnatural, len(text)), text)
    return texts[min(texts)] if texts else unit.format(value)


def _stands_for(unit: Unit, text: str, value: float) -> bool:
    try:
        found = unit.parse(text)
        return found == value or (not unit.integral and math.isclose(value, found, rel_tol=1e-12))
    except ValueError:
        return False  # finer than the base unit after rounding
