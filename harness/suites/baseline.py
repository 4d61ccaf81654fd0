"""A suite against earlier runs of the same plans: which runs those are, and what became worse or better.

Owns which stored runs make a baseline, and that what cannot be compared is never green. The rule for one value is
``prediction``'s. Must never write to the store.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.errors import UsageError, nearest
from harness.suite_baseline import BaselineResult, MeasureChange, PlanComparison
from harness.suites.compared_run import ComparedMeasure, ComparedRun, by_night, most_alike, of_plan, unlike
from harness.suites.prediction import FALSE_ALARM, NIGHTS_MIN, bounds
from harness.suites.store import Store
from harness.verdict import Verdict

TOLERANCE: Final = 0.25
"""Share of the median by which a measure may be worse, unless ``--tolerance`` says otherwise."""

_SCANNED_MAX: Final = 2_000
"""Stored runs of one plan that are looked at, at most."""

_LAST: Final = re.compile(r"last:(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class BaselineChoice:
    """Which stored runs are meant.

    Attributes:
        text: As written: ``last:10``, or a name.
        last: How many nights; None for a named baseline.
        runs: Ids of the named baseline's runs; empty for ``last``.
    """

    text: str
    last: int | None
    runs: frozenset[str]


def choose(store: Store, text: str) -> BaselineChoice:
    """Return which stored runs ``last:N`` or a name means.

    Raises:
        UsageError: There is no baseline of this name, or N is below ``NIGHTS_MIN``.
    """
    found = _LAST.fullmatch(text)
    if found is not None:
        if int(found[1]) < NIGHTS_MIN:
            raise UsageError(
                f"--baseline {text}: {found[1]} nights are too few to compare with; at least {NIGHTS_MIN} are needed"
            )
        return BaselineChoice(text, int(found[1]), frozenset())
    runs = frozenset(row["run_id"] for row in store.select("SELECT run_id FROM baselines WHERE name = ?", (text,)))
    if not runs:
        names = [row["name"] for row in store.select("SELECT DISTINCT name FROM baselines")]
        raise UsageError(
            f"there is no baseline {text!r} in {store.path}",
            hint=nearest(text, names) if names else "write last:10, or name stored runs: harness baseline save NAME",
        )
    return BaselineChoice(text, None, runs)


def compare(
    store: Store,
    runs: Iterable[ComparedRun],
    choice: BaselineChoice,
    *,
    tolerance: float = TOLERANCE,
    optional: bool = False,
) -> BaselineResult:
    """Compare the runs of one suite with stored ones.

    Args:
        store: Open for reading; the suite's own runs in it are left out.
        runs: Every run of the suite that counts.
        choice: See ``choose``.
        tolerance: Share of the median by which a measure may be worse, from 0.
        optional: What cannot be compared does not count against the suite.
    """
    plans: dict[tuple[str, str], list[ComparedRun]] = {}
    skipped: Counter[str] = Counter()
    own = set()
    for run in runs:
        own.add(run.night)
        why = _never_compared(run)
        if why:
            skipped[why] += 1
        else:
            plans.setdefault((run.digest, run.runtime), []).append(run)
    samples = [_PlanNights.of(store, most_alike(of_one), choice, own) for of_one in plans.values()]
    measures = sum(len(sample.shared()) for sample in samples if sample.enough)
    compared = [sample.compare(tolerance, FALSE_ALARM / max(measures, 1)) for sample in samples]
    return BaselineResult(
        baseline=choice.text,
        tolerance=tolerance,
        false_alarm=FALSE_ALARM,
        optional=optional,
        verdict=Verdict.worst(plan.verdict for plan in compared),
        skipped=tuple(f"{count} {'run' if count == 1 else 'runs'}: {why}" for why, count in sorted(skipped.items())),
        plans=tuple(sorted(compared, key=lambda plan: (-plan.verdict.rank, plan.scenario, str(plan.variant)))),
    )


def _never_compared(run: ComparedRun) -> str:
    """Return why a run of the suite takes no part; empty when it does."""
    if run.canary:
        return "a canary fails on purpose"
    if run.race:
        return "one run of a race says nothing alone"
    return "" if run.passed else "it did not pass"


@dataclass(frozen=True, slots=True)
class _PlanNights:
    """A plan's runs of this suite, and the nights they are compared with.

    Attributes:
        runs: Of this suite, at least one.
        nights: Comparable stored runs, grouped; the latest first.
        left_out: Why a stored run is not comparable → how many.
        wanted: How many nights are asked for; None for all that the baseline names.
    """

    runs: Sequence[ComparedRun]
    nights: Sequence[Sequence[ComparedRun]]
    left_out: Mapping[str, int]
    wanted: int | None

    @staticmethod
    def of(store: Store, runs: Sequence[ComparedRun], choice: BaselineChoice, own: set[str]) -> _PlanNights:
        """Find the nights; those of this suite (``own``) are no earlier ones."""
        left_out: Counter[str] = Counter()
        chosen = list(_comparable(store, runs, choice, own, left_out))
        return _PlanNights(runs, by_night(chosen)[: choice.last], left_out, choice.last)

    @property
    def enough(self) -> bool:
        return len(self.nights) >= NIGHTS_MIN

    def shared(self) -> dict[tuple[str, str], tuple[ComparedMeasure, float, list[float]]]:
        """Return measure → (its kind, this suite's value, one value per night), where enough nights have it."""
        found = {}
        known = {name: sample for run in self.runs for name, sample in run.measures.items()}
        for name, sample in known.items():
            ours = [run.measures[name].value for run in self.runs if name in run.measures]
            theirs = [
                statistics.median(values)
                for night in self.nights
                if (values := [run.measures[name].value for run in night if name in run.measures])
            ]
            if len(theirs) >= NIGHTS_MIN:
                found[name] = (sample, statistics.median(ours), theirs)
        return found

    def compare(self, tolerance: float, alpha: float) -> PlanComparison:
        """Return what became of the plan's measures; ``alpha`` is the probability of a false alarm for each."""
        first = self.runs[0]
        plan: dict[str, Any] = {
            "scenario": first.scenario,
            "variant": json.loads(first.variant),
            "runtime": first.runtime,
            "digest": first.digest,
            "runs": len(self.runs),
            "nights": len(self.nights),
            "left_out": tuple(
                f"{count} stored {'run' if count == 1 else 'runs'} {why}"
                for why, count in sorted(self.left_out.items(), key=lambda item: (-item[1], item[0]))
            ),
        }
        shared = self.shared() if self.enough else {}
        if not shared:
            reason = (
                f"only {len(self.nights)} comparable {'night is' if len(self.nights) == 1 else 'nights are'} stored; "
                f"at least {NIGHTS_MIN} are needed"
                if not self.enough
                else "the stored nights share no measure with this suite"
            )
            return PlanComparison(**plan, verdict=Verdict.INCONCLUSIVE, reason=reason, measures=0)
        changes = [
            change
            for (check, name), (sample, value, earlier) in shared.items()
            if (change := self._change(check, name, sample, value, earlier, tolerance, alpha)) is not None
        ]
        regressed = [change for change in changes if change.change == "regressed"]
        return PlanComparison(
            **plan,
            verdict=Verdict.FAIL if regressed else Verdict.PASS,
            measures=len(shared),
            changes=(*regressed, *(change for change in changes if change.change == "improved")),
        )

    def _change(
        self,
        check: str,
        name: str,
        sample: ComparedMeasure,
        value: float,
        earlier: Sequence[float],
        tolerance: float,
        alpha: float,
    ) -> MeasureChange | None:
        found = bounds(
            earlier,
            more_is_worse=sample.worse == "more",
            tolerance=tolerance,
            resolution=sample.resolution,
            alpha=alpha,
            variance=self._variance(),
        )
        if sample.worse == "more":
            worse, better = value > found.worse, value < found.better
        else:
            worse, better = value < found.worse, value > found.better
        if not worse and not better:
            return None
        return MeasureChange(
            check=check,
            measure=name,
            unit=sample.unit,
            worse="more" if sample.worse == "more" else "less",
            change="regressed" if worse else "improved",
            value=value,
            median=found.median,
            lowest=min(earlier),
            highest=max(earlier),
            bound=found.worse if worse else found.better,
        )

    def _variance(self) -> float:
        """Return the variance of this suite's median in terms of a stored night's: above 1 with fewer repetitions.

        The variance of a median of k values falls as 1/k (asymptotically: Kendall and Stuart, The Advanced Theory of
        Statistics, volume 1, section 14.7); what differs between nights does not fall, so 1 is the least.
        """
        repeated = statistics.median(len(night) for night in self.nights)
        return max(1.0, math.ceil(repeated) / len(self.runs))


def _comparable(
    store: Store, runs: Sequence[ComparedRun], choice: BaselineChoice, own: set[str], left_out: Counter[str]
) -> Iterator[ComparedRun]:
    """Yield the comparable stored runs, the latest first; count the others by reason."""
    nights: set[str] = set()
    for scanned, run in enumerate(of_plan(store, runs[0].digest, runs[0].runtime)):
        if scanned >= _SCANNED_MAX:
            return
        if run.night in own or not run.counts or (choice.last is None and run.run_id not in choice.runs):
            continue
        if choice.last is not None and run.night not in nights and len(nights) >= choice.last:
            return
        why = unlike(run, runs)
        if why:
            left_out[why] += 1
        else:
            nights.add(run.night)
            yield run
