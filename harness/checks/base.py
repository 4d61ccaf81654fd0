"""What every check has in common: its protocol, its limits, and how measures become a verdict.

Owns the rule of proof: what is proven beyond a limit fails, what is only possibly beyond it is inconclusive, and
examining nothing is inconclusive. Must never know a broker, a scenario or a particular check.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from harness.history.read import History
from harness.registry import Registry
from harness.units import DURATION, RATE, RATIO, Unit, format_ns
from harness.verdict import CheckResult, Finding, Limit, Verdict

_UNIT_WORDS: Final = {DURATION.name: "ns", RATIO.name: "ratio", RATE.name: "per_s"}
FINDINGS_MAX: Final = 20
OPERATIONS_MAX: Final = 6

L = TypeVar("L")


class Check(Protocol):
    """A guarantee that can be judged over a history.

    Attributes:
        name: As in a scenario's ``expect``.
        guarantee: One sentence: what holds when it passes.
        blind_spots: What it cannot see.
        limits: Frozen dataclass of its limits: every field that defaults to None is a metric, besides ``examined_min``.
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
        findings: Violations, most telling first.
        blocking: Why it is inconclusive, whatever the limits say.
        reasons: What explains an inconclusive limit or weakens a pass.
        measures: Everything counted.
    """

    examined: int
    examined_unit: str
    measured: dict[str, Measure] = field(default_factory=dict)
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
        judged_metrics = [metric for metric in metrics(type(limits)) if getattr(limits, metric) is not None]
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
        return Limit(
            metric=metric_name(limits, metric),
            limit=limit,
            measured=measured,
            unit=_UNIT_WORDS[unit.name] if unit is not None else "count",
            verdict=verdict,
            origin=origin,
        )


def metrics(limits: type[Any]) -> tuple[str, ...]:
    """Return the fields of a limits dataclass that are metrics: they default to None, meaning no limit."""
    return tuple(
        item.name for item in dataclasses.fields(limits) if item.default is None and item.name != "examined_min"
    )


def has_limit(limits: Any) -> bool:
    """Return whether any metric has a limit."""
    return any(getattr(limits, metric) is not None for metric in metrics(type(limits)))


def or_default(limits: L, **default: float) -> L:
    """Return ``limits``, with the ``default`` ones where it gives no limit at all."""
    if has_limit(limits):
        return limits
    changed: L = dataclasses.replace(limits, **default)  # type: ignore[type-var]
    return changed


def unit_of(limits: type[Any], metric: str) -> Unit | None:
    """Return the unit of a metric, None for a plain count."""
    hint = get_type_hints(limits, include_extras=True)[metric]
    for choice in (hint, *(get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ())):
        if get_origin(choice) is Annotated:
            return next((extra for extra in get_args(choice)[1:] if isinstance(extra, Unit)), None)
    return None


def metric_name(limits: type[Any], metric: str) -> str:
    """Return a metric as written in a scenario: without the suffix of its unit (``pause_ns_max`` → ``pause_max``)."""
    unit = unit_of(limits, metric)
    return re.sub(rf"{re.escape(unit.suffix)}(?=_|$)", "", metric) if unit is not None and unit.suffix else metric


def excused(limits: Any, metric: str, measure: Measure) -> list[str]:
    """Return, in a sentence, that a limit is exceeded only with the time in which the machine stalled; else nothing."""
    limit = getattr(limits, metric)
    if limit is None or not measure.proven <= limit < measure.possible:
        return []
    possible, proven = format_ns(int(measure.possible)), format_ns(int(measure.proven))
    name = f"{metric_name(type(limits), metric)}: {possible} with the time in which this machine stalled"
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
