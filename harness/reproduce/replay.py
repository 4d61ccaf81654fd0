"""The very same plan again, N times, with the same software and in the same runtime; and how often it showed the same.

Owns what "the same" means. Must never change a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import __version__
from harness.engine.isolation import NEVER, Isolation
from harness.engine.parts import MachineParts, Parts
from harness.engine.runtimes import runtime_of
from harness.errors import ExitCode, suite_exit_code
from harness.interval import wilson
from harness.progress import Listener, Note
from harness.report.headline import violated
from harness.reproduce.original import Original
from harness.result import RunResult
from harness.session.leftovers import sweep_notes
from harness.session.preflight import require_fit
from harness.session.session import Written, handed_over, in_turn, run_one
from harness.session.signals import Signals
from harness.verdict import Verdict

_DECIDED: Final = frozenset({ExitCode.PASS, ExitCode.VIOLATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How often a run was seen again.

    Attributes:
        results: Of the runs that were made.
        asked: How many were asked for.
        counted: How many of them say something: those with a verdict, pass or fail; of an original that was
            inconclusive, all that ended.
        shown: How many of these ended as the original did.
        low, high: Ends of the 95% interval of their share.
        differing: Software whose version is another one, sentences.
    """

    results: tuple[RunResult, ...]
    asked: int
    counted: int
    shown: int
    low: float
    high: float
    differing: tuple[str, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Of the runs, as of several runs of a session; what was not made, since a signal came, did not pass."""
        codes = [result.exit_code for result in self.results]
        return suite_exit_code([*codes, ExitCode.INTERRUPTED] if len(codes) < self.asked else codes)


def replay(
    original: Original,
    times: int,
    reports: Path,
    listener: Listener,
    parts: Parts | None = None,
    *,
    signals: Signals | None = None,
    written: Written = lambda _: None,
    isolation: Isolation = NEVER,
) -> Replayed:
    """Run the plan of a run again; a signal ends it after the run that it hit.

    Args:
        original: What is replayed.
        times: How often.
        reports: Where run directories are made.
        listener: Hears of progress.
        parts: What runs are put together from; None = this machine's, with the original's versions.
        signals: Of the session, entered by the caller; None = none is heeded.
        written: Called with the results so far, after every run.
        isolation: As it was asked for.

    Raises:
        UnfitEnvironmentError: The runtime is not to be had, ``always`` isolation is not, or this machine lacks what
            every run needs.
    """
    require_fit(reports)
    for note in sweep_notes():
        listener(note)
    plan = original.selected.plan
    runtime = runtime_of(plan, original.runtime, listener)
    if original.harness and original.harness != __version__:
        listener(Note(text=f"harness {original.harness} made this run; this is {__version__}", warning=True))
    heard = signals or Signals(lambda text: listener(Note(text=text, warning=True)))
    parts = parts or MachineParts(pinned=original.versions)
    ready = isolation.settled([runtime], listener).prepared(listener)
    results = in_turn(
        [plan.scenario] * times,
        lambda index: run_one(
            original.selected,
            runtime,
            reports,
            listener,
            parts,
            position=index + 1,
            total=times,
            signals=heard,
            isolation=ready,
        ),
        lambda *_: None,
        listener,
        ended=lambda made: handed_over(heard, written, made),
    )
    return counted(original, results, times)


def counted(original: Original, results: Sequence[RunResult], asked: int) -> Replayed:
    """Return how often a run was seen again."""
    said = [result for result in results if _says_something(original, result)]
    shown = sum(same(original, result) for result in said)
    low, high = wilson(shown, len(said))
    return Replayed(
        results=tuple(results),
        asked=asked,
        counted=len(said),
        shown=shown,
        low=low,
        high=high,
        differing=differing(original, results),
    )


def same(original: Original, result: RunResult) -> bool:
    """Return whether a run ended as the original did: same outcome and, if it failed, by one of the same checks."""
    if result.outcome is not original.outcome:
        return False
    broken = {check.check for check in violated(result)}
    return not original.violated or bool(broken & original.violated)


def differing(original: Original, results: Sequence[RunResult]) -> tuple[str, ...]:
    """Return where a run had other software than the original, one sentence for each."""
    found: dict[str, None] = {}
    for result in results:
        for name, before in original.versions.items():
            now = result.versions.get(name)
            if now is not None and now != before:
                found[f"{name} {now}, and the original had {before}"] = None
    return tuple(found)


def words(original: Original, made: Replayed) -> list[str]:
    """Return what came of it, in sentences, the count first."""
    what = original.outcome.value if original.outcome is not None else "never judged"
    what += f": {', '.join(sorted(original.violated))}" if original.violated else ""
    lines = [f"the original: {original.said}"]
    if original.outcome is None or not made.counted:
        lines.insert(0, f"nothing can be said: {len(made.results)} runs were made, and none has a verdict to compare")
    else:
        runs = "1 run" if made.counted == 1 else f"{made.counted} runs"
        lines.insert(
            0,
            f"{made.shown} of {runs} ended as the original did ({what}): {made.shown / made.counted:.0%}, "
            f"95% interval {made.low:.0%} to {made.high:.0%}",
        )
    without = len(made.results) - made.counted
    if without:
        lines.append(f"not counted: {without} without a verdict (inconclusive, interrupted or environment)")
    if len(made.results) < made.asked:
        lines.append(f"{made.asked - len(made.results)} of {made.asked} runs were not made")
    lines += [f"not the same software: {sentence}" for sentence in made.differing]
    return lines


def _says_something(original: Original, result: RunResult) -> bool:
    if original.outcome is Verdict.INCONCLUSIVE:
        return result.exit_code in {*_DECIDED, ExitCode.INCONCLUSIVE}
    return result.exit_code in _DECIDED
