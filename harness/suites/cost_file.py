"""Files of costs: what every shard of a suite reckons with, and what one machine hands to another.

Owns the format (docs/suites.md) and the digest by which shards recognize equal costs. Knows no plan but by the key of
its cost.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UsageError, nearest, relative
from harness.regular import read_regular_text
from harness.scenario.model import Plan
from harness.suite_result import Cost
from harness.suites.formula import cost_key

VERSION = 1
_RUNTIMES = ("process", "docker", "auto")
_LEAST: Mapping[str, float] = {
    "cores": 0.001,
    "memory_bytes": 1,
    "wall_ns": 1,
    "disk_bytes": 0,
    "ports": 0,
    "start_ns": 0,
}
"""Field of a cost → the least that it may be."""
_MOST = 1e18
"""The most that any may be: 30 years in nanoseconds, and small enough that weights stay finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCosts:
    """Costs by what decides them: the key of the plan's cost, and the runtime.

    Attributes:
        costs: ``(key, runtime)`` → cost.
        names: Key → a name for people.
    """

    costs: Mapping[tuple[str, str], Cost] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def of(self, plan: Plan, runtime: str) -> Cost | None:
        """Return the cost given for a plan; None when there is none.

        Of ``auto`` it is the larger of those for processes and for containers, where none is given for it.
        """
        key = cost_key(plan)
        if (key, runtime) in self.costs or runtime != "auto":
            return self.costs.get((key, runtime))
        found = [self.costs[key, name] for name in _RUNTIMES if (key, name) in self.costs]
        return max(found, key=lambda cost: cost.cores * cost.wall_ns, default=None)


def write_costs(path: Path, costs: GivenCosts) -> None:
    """Write a file of costs, whole or not at all; equal costs give equal bytes. Raises UnfitEnvironmentError."""
    from harness.report.atomic import write_atomic  # noqa: PLC0415  only who writes one loads it

    entries = [
        {"plan": key, "runtime": runtime, "name": costs.names.get(key, "")} | _fields(cost)
        for (key, runtime), cost in sorted(costs.costs.items())
    ]
    write_atomic(path, json.dumps({"version": VERSION, "costs": entries}, indent=1) + "\n")


def read_costs(path: Path) -> GivenCosts:
    """Return what a file of costs says; each has the source ``given``.

    Raises:
        UsageError: The file cannot be read, or is no file of costs: with the line, or the entry and its field.
    """
    shown = relative(path)
    try:
        content = json.loads(read_regular_text(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"cannot read the file of costs {shown}: {why}") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"{shown}:{error.lineno}:{error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or thousands of brackets
        raise UsageError(f"{shown}: no JSON that can be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("costs"), list):
        raise UsageError(f"{shown}: a file of costs is an object with version and costs")
    if content.get("version") != VERSION:
        raise UsageError(
            f"{shown}: version {content.get('version')!r} of a file of costs is not known, only {VERSION}",
            hint="write it again with this version of the harness",
        )
    costs: dict[tuple[str, str], Cost] = {}
    names: dict[str, str] = {}
    for index, entry in enumerate(content["costs"]):
        place = f"{shown}: costs[{index}]"
        key, runtime, name = _identity(entry, place)
        if (key, runtime) in costs:
            raise UsageError(f"{place}: there is a cost of this plan and runtime before it")
        costs[key, runtime] = _cost(entry, place)
        names[key] = name
    return GivenCosts(costs=costs, names=names)


def cost_digest(costs: Mapping[str, Cost]) -> str:
    """Return the SHA-256 (hex) over costs by name, in whatever order; where they come from does not count."""
    content = {name: _fields(cost) for name, cost in costs.items()}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _fields(cost: Cost) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(cost).items() if name != "source"}


def _identity(entry: Any, place: str) -> tuple[str, str, str]:
    if not isinstance(entry, dict):
        raise UsageError(f"{place}: a cost is an object")
    known = {"plan", "runtime", "name", "measures_machine", *_LEAST}
    for name in entry:
        if name not in known:
            raise UsageError(f"{place}: unknown field {name!r}", hint=nearest(str(name), known))
    key, runtime, name = entry.get("plan"), entry.get("runtime"), entry.get("name", "")
    if not isinstance(key, str) or not key:
        raise UsageError(f"{place}.plan: the key of a plan's cost is needed")
    if runtime not in _RUNTIMES:
        raise UsageError(f"{place}.runtime: {runtime!r} is none of {', '.join(_RUNTIMES)}")
    return key, str(runtime), str(name)


def _cost(entry: Mapping[str, Any], place: str) -> Cost:
    values: dict[str, Any] = {}
    for name, least in _LEAST.items():
        value = entry.get(name, 0 if name == "start_ns" else None)
        # In Python, true is a number.
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
            raise UsageError(f"{place}.{name}: {value!r} is not a number of at least {least:g}")
        if value > _MOST:
            raise UsageError(f"{place}.{name}: a cost is at most {_MOST:g}")
        if name != "cores" and value != int(value):
            raise UsageError(f"{place}.{name}: {value!r} is not a whole number")
        values[name] = float(value) if name == "cores" else int(value)
    measures = entry.get("measures_machine", False)
    if not isinstance(measures, bool):
        raise UsageError(f"{place}.measures_machine: {measures!r} is neither true nor false")
    return Cost(**values, measures_machine=measures, source="given")
