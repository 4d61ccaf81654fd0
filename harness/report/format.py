"""How numbers are put into words: measures, limits and amounts, each in its own unit.

Pure text without markup or colour. Must never know on what medium it is shown, nor what a run as a whole says.
"""

from __future__ import annotations

import math
import re
from typing import Final

from harness.report.sanitize import clean, clip
from harness.scenario.quantity import exact
from harness.units import BYTES, DURATION, RATE, RATIO, format_ns
from harness.verdict import CheckResult, Finding, Limit

_TELLING: Final = ("p50_ns", "p99_ns", "longest_ns", "within_ns", "processed_per_s")
"""The measures that say most of a check that was not judged."""
_MEASURES_MAX: Final = 4


def format_value(value: float, unit: str) -> str:
    """Return a value of a limit or a series in its own unit (``ns``, ``count``, ``ratio``, ``/s``, ``bytes``…)."""
    if not math.isfinite(value):
        return "not measured" if math.isnan(value) else "never ends" if unit == "ns" else "unbounded"
    if unit == "ns":
        return format_ns(value)
    if unit == "ratio":
        return RATIO.brief(value)
    if unit == "bytes":
        return BYTES.brief(value)
    if unit in {"/s", "per_s", "sends/s", "errors/s"}:
        return RATE.brief(value) if abs(value) < 1000 else f"{value:,.0f}/s"
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}".rstrip("0").rstrip(".")
    return number if unit in {"", "count", "messages"} else f"{number} {clean(unit)}"


def unit_of(name: str) -> str:
    """Return the unit that the name of a measure, count or overhead says (``pause_ns_max`` → ``ns``)."""
    words = re.split(r"[_.]", name)
    for word in ("ns", "ratio", "bytes"):
        if word in words:
            return word
    if "per_s" in name:
        return "/s"
    return "s" if "s" in words else "count"


def named_value(name: str, value: float) -> tuple[str, str]:
    """Return the label and the value of a measure, count or overhead: ``pause_ns_max`` → (``pause max``, ``7.9s``)."""
    unit = unit_of(name)
    hidden = {"per", "s"} if unit == "/s" else {unit}
    label = " ".join(word for word in re.split(r"[_.]", clean(name)) if word not in hidden)
    return clip(label or clean(name), 120), format_value(value, unit)


def counted(check: CheckResult) -> tuple[tuple[str, str], ...]:
    """Return (label, value) of everything a check counted that is not zero."""
    return tuple(named_value(name, value) for name, value in check.measures.items() if value)


def main_measures(check: CheckResult) -> str:
    """Return the measures that say most, on one line: ``p50 30ms, p99 226ms, longest 252ms``; may be empty."""
    telling = [(name, check.measures[name]) for name in _TELLING if check.measures.get(name)]
    pairs = [named_value(name, value) for name, value in telling] or [*counted(check)[:_MEASURES_MAX]]
    return clip(", ".join(f"{label} {value}" for label, value in pairs), 200)


def describe_limit(limit: Limit) -> str:
    """Return one limit as ``messages_max: measured 3, limit ≤ 0``, with a note where the run could not exceed it."""
    return f"{clean(limit.metric)}: measured {measured(limit)}, limit {bound(limit)}{untested(limit)}"


def untested(limit: Limit) -> str:
    """Return a note for a limit that the run could not exceed; empty for one that was tested."""
    return "" if limit.tested else f" (not tested: reach {format_value(limit.reach, limit.unit)})"


def measured(limit: Limit) -> str:
    """Return the measured value, short, unless only its further digits distinguish it from the limit."""
    shown = format_value(limit.measured, limit.unit)
    alike = limit.measured != limit.limit and shown == format_value(limit.limit, limit.unit)
    return _exact_value(limit.measured, limit.unit) if alike else shown


def bound(limit: Limit) -> str:
    """Return the limit alone, with its direction (``≤ 10s``)."""
    sign = "≥ " if limit.metric.endswith("_min") else "≤ " if limit.metric.endswith("_max") else ""
    return sign + _exact_value(limit.limit, limit.unit)


def _exact_value(value: float, unit: str) -> str:
    """Return a value with all the digits that a person would write in a scenario, as far as there are any."""
    kind = {"ns": DURATION, "ratio": RATIO, "bytes": BYTES}.get(unit)
    if kind is None or not math.isfinite(value) or value < 0:
        return format_value(value, unit)
    return exact(kind, value)


def amount(check: CheckResult, finding: Finding) -> str:
    """Return the amount of a finding in the unit of the limit it belongs to; empty when it belongs to none."""
    units = {limit.metric: limit.unit for limit in check.limits}
    if finding.metric not in units:
        return ""
    return f"{clean(finding.metric)} {format_value(finding.amount, units[finding.metric])}"
