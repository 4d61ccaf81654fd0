"""Is it real: what a verdict rests on, in a few words each; and how the same plan is seen again.

Every report shows it right after what broke. Must never know on what medium.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from harness.report.sanitize import clean
from harness.result import CPU_SHORT, LOAD_REACHED, RunResult
from harness.units import format_ns

State = Literal["yes", "no", "unknown"]
_DRAIN = "drain"
_MARKS: Final[Mapping[State, str]] = {"yes": "", "no": "! ", "unknown": "? "}


@dataclass(frozen=True, slots=True)
class BadgeItem:
    """One of the things that a verdict rests on.

    Attributes:
        name: ``faults``, ``machine``, ``drain``, ``load`` or ``attempts``.
        state: Whether it speaks for the verdict.
        text: In words, with figures.
    """

    name: str
    state: State
    text: str


def badge(result: RunResult) -> tuple[BadgeItem, ...]:
    """Return what the verdict of a run rests on, always in the same order; what does not apply is left out."""
    items = [_faults(result), _machine(result), _drain(result), _load(result), _attempts(result)]
    return tuple(item for item in items if item is not None)


def badge_line(result: RunResult) -> str:
    """Return the badge on one line: ``faults proven 2 of 2 · machine quiet (…) · …``."""
    return " · ".join(f"{_MARKS[item.state]}{item.text}" for item in badge(result))


def replay_command(result: RunResult) -> str:
    """Return the command that runs the very same plan again from its run directory; empty where there is none.

    It begins and ends as the one that reproduces the run does: with how a person starts this program, and with trust.
    """
    program, _, _ = clean(result.reproduce).partition(" run ")
    trust = " --trust" if result.reproduce.endswith(" --trust") else ""
    place = shlex.quote(clean(result.run_dir))
    return f"{program or 'harness'} replay {place} --times 5{trust}" if result.run_dir else ""


def _faults(result: RunResult) -> BadgeItem | None:
    if not result.faults:
        return BadgeItem("faults", "yes", "no faults") if not result.error else None
    proven = sum(fault.proven for fault in result.faults)
    state: State = "yes" if proven == len(result.faults) else "no"
    return BadgeItem("faults", state, f"faults proven {proven} of {len(result.faults)}")


def _machine(result: RunResult) -> BadgeItem | None:
    seen = result.machine
    if seen is None:
        return BadgeItem("machine", "unknown", "machine not watched")
    waited = f"processes waited for a CPU for {seen.cpu_short:.0%} of the run"
    if seen.cpu_short < 0:
        waited = "waiting for a CPU not measured"
    if seen.late_ns:
        times = "once" if seen.late_ticks == 1 else f"{seen.late_ticks} times"
        return BadgeItem("machine", "no", f"machine stalled {times}, {format_ns(seen.late_ns)} in total; {waited}")
    if seen.cpu_short >= CPU_SHORT:
        return BadgeItem("machine", "no", f"machine not quiet: no stall, but {waited}")
    return BadgeItem("machine", "yes", f"machine quiet (no stall; {waited})")


def _drain(result: RunResult) -> BadgeItem | None:
    if result.error or _DRAIN not in result.timings_ns:
        return BadgeItem("drain", "no", "drain and audit not reached")
    open_ = [reason for reason in result.blocking if reason.startswith(("drain incomplete", "audit"))]
    return BadgeItem("drain", "no" if open_ else "yes", f"drain and audit {'not ' if open_ else ''}proven")


def _attempts(result: RunResult) -> BadgeItem | None:
    race = result.attempts
    if race is None:
        return None
    needed = f"{race.at_least} of {race.runs} must show what is declared"
    if not race.made:
        return BadgeItem("attempts", "unknown", f"one of several attempts: {needed}")
    so_far = f"{race.shown} of {race.made} so far showed what is declared"
    text = f"attempt {race.made}: {so_far}, {race.at_least} of {race.runs} must"
    if race.shown >= race.at_least:
        return BadgeItem("attempts", "yes", text)
    lost = race.made - race.shown > race.runs - race.at_least
    return BadgeItem("attempts", "no" if lost else "unknown", text)


def _load(result: RunResult) -> BadgeItem | None:
    sent, planned = result.counts.get("sent"), result.counts.get("planned")
    if sent is None or not planned:
        return None
    if sent >= planned * LOAD_REACHED:
        return BadgeItem("load", "yes", "load reached")
    return BadgeItem("load", "no", f"sent {sent:,} of {planned:,} planned messages ({sent / planned:.0%})")
