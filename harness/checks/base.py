"""What every check has in common: its protocol, its limits, and how measures become a verdict.

Owns the rule of proof: what is proven beyond a limit fails, what is only possibly beyond it is inconclusive, and
examining nothing is inconclusive. Owns how a default takes the place of a limit that is not given. Must never know a
broker, a scenario or a particular check.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from harness.history.facts import Facts
from harness.history.read import History
from harness.registry import Registry
from harness.units import DURATION, RATE, RATIO, Off, Unit, format_ns
from harness.verdict import CheckResult, Finding, Limit, Verdict

UNIT_WORDS: Final = {DURATION.name: "ns", RATIO.name: "ratio", RATE.name: "per_s"}
FINDINGS_MAX: Final = 20
OPERATIONS_MAX: Final = 6

L = TypeVar("L")

Standing = Literal["named", "unless off", "always"]
"""When a check counts: where a scenario names it, in every run unless a scenario switches it off, or in every run."""


class Check(Protocol):
    """A guarantee that can be judged over a history.

    A check may also have ``standing`` (see ``Standing``; without it, ``named``), and ``defaults(facts, limits)``, which
    returns the default of each metric (see ``Default``), so that ``harness explain`` shows them before a run. And
    ``by_positions``, the fields of those metrics that it judges where the group's positions and members alone are known
    (``Facts.by_positions``): without it, it judges nothing there.

    Attributes:
        name: As in a scenario's ``expect``.
        guarantee: One sentence: what holds when it passes.
        blind_spots: What it cannot see.
        limits: Frozen dataclass of its limits: every field that defaults to None is a metric, besides ``examined_min``.
            A metric that a scenario switches off holds ``Off``, which no measure exceeds.
        findings: Finding type → what it means.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class
    @property
    def guarantee(self) -> str: ...  # noqa: D102
    @property
    def blind_spots(self) -> str: ...  # noqa: D102
    @property
    def limits(self) -> type[Any]: ...  # noqa: D102
    @property
    def findings(self) -> Mapping[str, str]: ...  # noqa: D102

    def judge(self, history: History, limits: Any) -> CheckResult:
        """Judge ``history``; ``limits`` is an instance of ``self.limits``, default limits apply where it has none."""


CHECKS: Registry[Check] = Registry("check", "harness.checks", "broker_chaos_harness.checks")


def standing(check: Check) -> Standing:
    """Return when a check counts."""
    found: Standing = getattr(check, "standing", "named")
    return found


class Default(NamedTuple):
    """The limit of a metric for which a scenario gives none.

    Attributes:
        limit: In the metric's base unit.
        origin: The formula that it was derived with, or ``default``.
    """

    limit: float
    origin: str = "default"


def by_positions(check: Check) -> frozenset[str]:
    """Return the fields of the metrics that a check judges by positions and members alone."""
    found: frozenset[str] = getattr(check, "by_positions", frozenset())
    return found


@dataclass(frozen=True, slots=True)
class Measure:
    """A measured metric in its base unit.

    Attributes:
        proven: What the history proves.
        possible: What it would be if everything unproven were a violation; the same when all is proven.
        late_ticks: They differ only by time in which the machine stalled, according to the monitor's late ticks.
    """

    proven: float
    possible: float
    late_ticks: bool = field(default=False, kw_only=True)

    @staticmethod
    def exact(value: float) -> Measure:
        """Return a measure without doubt."""
        return Measure(value, value)


@dataclass(slots=True)
class ResultBuilder:
    """What a check has found so far.

    Attributes:
        examined, examined_unit: See ``CheckResult``.
        measured: Limit field → its measure.
        reach: Limit field → the most that it could have come to in this history, where that is not ``examined`` (of a
            count) or what the run's length allows (of a time).
        findings: Violations, most telling first.
        blocking: Why it is inconclusive, whatever the limits say.
        reasons: What explains an inconclusive limit or weakens a pass.
        measures: Everything counted.
    """

    examined: int
    examined_unit: str
    measured: dict[str, Measure] = field(default_factory=dict)
    reach: dict[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    blocking: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    measures: Mapping[str, float] = field(default_factory=dict)

    def conclude(
        self, check: str, limits: Any, *, origins: Mapping[str, str] = types.MappingProxyType({})
    ) -> CheckResult:
        """Return the result under ``limits``.

        Args:
            check: Registered name.
            limits: Instance of the check's limits, defaults already filled in.
            origins: Metric → where its limit comes from, where that is not the scenario.
        """
        judged_metrics = [metric for metric in metrics(type(limits)) if is_given(limits, metric)]
        judged = tuple(
            self._limit(type(limits), metric, float(getattr(limits, metric)), origins.get(metric, "scenario"))
            for metric in judged_metrics
        )
        blocking, few = list(self.blocking), False
        if not judged:
            blocking.append("no limit is given, so it is measured and not judged")
        if not self.examined:
            blocking.append(f"nothing was examined: the history holds no {self.examined_unit}")
        elif few := limits.examined_min is not None and self.examined < limits.examined_min:
            blocking.append(
                f"only {self.examined} {self.examined_unit} were examined, at least {limits.examined_min} needed"
            )
        verdicts = [limit.verdict for limit in judged] + [Verdict.INCONCLUSIVE for _ in blocking]
        verdict = Verdict.worst(verdicts)
        return CheckResult(
            check=check,
            verdict=verdict,
            examined=self.examined,
            examined_unit=self.examined_unit,
            limits=judged,
            findings=tuple(self.findings),
            reasons=tuple(dict.fromkeys([*blocking, *self.reasons])),
            measures=self.measures,
            doubt=self._doubt(judged_metrics, judged, few=few, blocked=len(blocking))
            if verdict is Verdict.INCONCLUSIVE
            else "",
        )

    def _doubt(
        self, metrics_: list[str], judged: tuple[Limit, ...], *, few: bool, blocked: int
    ) -> Literal["", "late ticks", "few examined"]:
        """Return the one kind of reason that explains an inconclusive result; empty when there are others."""
        doubtful = [
            self.measured.get(metric)
            for metric, limit in zip(metrics_, judged, strict=True)
            if limit.verdict is Verdict.INCONCLUSIVE
        ]
        if blocked > few or not all(measure is not None and measure.late_ticks for measure in doubtful):
            return ""
        return "few examined" if few else "late ticks"

    def _limit(self, limits: type[Any], metric: str, limit: float, origin: str) -> Limit:
        measure = self.measured.get(metric)
        verdict, measured = Verdict.INCONCLUSIVE, math.nan
        if measure is not None:
            least = metric.endswith("_min")
            proven, possible = (
                value < limit if least else value > limit for value in (measure.proven, measure.possible)
            )
            verdict = Verdict.FAIL if proven else Verdict.INCONCLUSIVE if possible else Verdict.PASS
            measured = measure.possible if verdict is Verdict.INCONCLUSIVE else measure.proven
        unit = unit_of(limits, metric)
        bound = 0.0 if metric.endswith("_min") else math.inf if unit is not None else float(self.examined)
        return Limit(
            metric=metric_name(limits, metric),
            limit=limit,
            measured=measured,
            unit=UNIT_WORDS[unit.name] if unit is not None else "count",
            verdict=verdict,
            origin=origin,
            reach=float(self.reach.get(metric, bound)),
        )


def metrics(limits: type[Any]) -> tuple[str, ...]:
    """Return the fields of a limits dataclass that are metrics: they default to None, meaning no limit."""
    return tuple(
        item.name for item in dataclasses.fields(limits) if item.default is None and item.name != "examined_min"
    )


def is_given(limits: Any, metric: str) -> bool:
    """Return whether a metric has a limit: one that is neither left out nor switched off."""
    limit = getattr(limits, metric)
    return limit is not None and not isinstance(limit, Off)


def has_limit(limits: Any) -> bool:
    """Return whether any metric has a limit."""
    return any(is_given(limits, metric) for metric in metrics(type(limits)))


def or_default(limits: L, **default: float) -> L:
    """Return ``limits``, with the ``default`` of each metric that it neither gives nor switches off."""
    missing = {metric: limit for metric, limit in default.items() if getattr(limits, metric) is None}
    changed: L = dataclasses.replace(limits, **missing)  # type: ignore[type-var]
    return changed


def with_defaults(limits: L, defaults: Mapping[str, Default]) -> tuple[L, Mapping[str, str]]:
    """Return ``limits`` with the defaults of metrics that it neither gives nor switches off, and their origins."""
    missing = {metric: default for metric, default in defaults.items() if getattr(limits, metric) is None}
    changed = or_default(limits, **{metric: default.limit for metric, default in missing.items()})
    return changed, {metric: default.origin for metric, default in missing.items()}


def of_the_plan(facts: Facts, check: str) -> dict[str, Default]:
    """Return the defaults of a check that follow this plan's faults and not the broker's worst case."""
    return {
        metric: Default(limit, facts.limits_formulas.get(name, "derived from the plan"))
        for name, limit in facts.limits_ns_derived.items()
        for owner, _, metric in (name.partition("."),)
        if owner == check
    }


_HINTS: Final[dict[type[Any], Mapping[str, Any]]] = {}


def _hints(limits: type[Any]) -> Mapping[str, Any]:
    """Return a class's annotations; they are strings, and compiling them for each of 500 variants takes seconds."""
    if limits not in _HINTS:
        _HINTS[limits] = get_type_hints(limits, include_extras=True)
    return _HINTS[limits]


def unit_of(limits: type[Any], metric: str) -> Unit | None:
    """Return the unit of a metric, None for a plain count."""
    hint = _hints(limits)[metric]
    for choice in (hint, *(get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ())):
        if get_origin(choice) is Annotated:
            return next((extra for extra in get_args(choice)[1:] if isinstance(extra, Unit)), None)
    return None


def metric_name(limits: type[Any], metric: str) -> str:
    """Return a metric as written in a scenario: without the suffix of its unit (``pause_ns_max`` → ``pause_max``)."""
    unit = unit_of(limits, metric)
    return re.sub(rf"{re.escape(unit.suffix)}(?=_|$)", "", metric) if unit is not None and unit.suffix else metric


def excused(limits: Any, metric: str, measure: Measure, held: str = "in which this machine stalled") -> list[str]:
    """Return, in a sentence, that a limit is exceeded only with the time ``held`` names; else nothing."""
    limit = getattr(limits, metric)
    if not is_given(limits, metric) or not measure.proven <= limit < measure.possible:
        return []
    possible, proven = format_ns(int(measure.possible)), format_ns(int(measure.proven))
    name = f"{metric_name(type(limits), metric)}: {possible} with the time {held}"
    return [f"{name}, {proven} without; the limit is {format_ns(limit)}"]


def capped(findings: Iterable[Finding]) -> list[Finding]:
    """Return at most ``FINDINGS_MAX`` findings, the largest first; the last one counts those left out."""
    ordered = sorted(findings, key=lambda finding: -finding.amount)
    kept, left = ordered[:FINDINGS_MAX], ordered[FINDINGS_MAX:]
    if left:
        total = sum(finding.amount for finding in left)
        more = f"; and {len(left)} more findings of this check with a total amount of {total:g}"
        kept[-1] = dataclasses.replace(kept[-1], message=kept[-1].message + more)
    return kept


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return ``1 message``, ``2 messages``, ``1,234 copies``."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
