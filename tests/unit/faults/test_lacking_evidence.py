"""What evidence lacks on a starved machine: said only where nothing that was seen speaks against the fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from support.fault_context import fault_context

from harness.faults.base import FAULTS, Evidence, Sample
from harness.faults.cpu import CpuOptions
from harness.faults.kit import evidence, link_evidence
from harness.faults.kit.interference import Interference
from harness.faults.kit.lifetime import FaultSpan
from harness.faults.kit.slowness import slowed
from harness.history.record import Break
from harness.runtime.base import CpuUse
from harness.scenario.model import PlannedFault, Target

S = 1_000_000_000
MS = 1_000_000
SPAN = FaultSpan(applied_ns=10 * S, acting_ns=10 * S, heal_ns=20 * S, healed_ns=20 * S)
Trip = tuple[float, float | Break]
"""When it began, s; how long it took, ms, or how it failed."""

BEFORE: list[Trip] = [(6, 1), (7, 1), (8, 1)]
DURING: list[Trip] = [(11, 101), (12, 101), (13, 101)]
AFTER: list[Trip] = [(21, 1), (22, 1), (23, 1)]


class Trips:
    """The round trips given, whatever the target."""

    def __init__(self, *trips: Trip) -> None:
        self._samples = [_sample(start_s, told) for start_s, told in trips]

    def samples(self, _: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        """Return those of a window."""
        return [
            item
            for item in self._samples
            if item.start_ns >= since_ns and (until_ns is None or item.end_ns <= until_ns)
        ]


def _sample(start_s: float, told: float | Break) -> Sample:
    broken = told if isinstance(told, Break) else Break.NONE
    length = round((1 if isinstance(told, Break) else told) * MS)
    start = round(start_s * S)
    return Sample(
        start_ns=start,
        end_ns=start + length,
        ok=broken is Break.NONE,
        length_ns=length,
        broken=broken,
    )


def _context(*trips: Trip) -> Any:
    planned = SimpleNamespace(id="stall-1")
    return SimpleNamespace(planned=planned, probes=Trips(*trips), links={}, interference=Interference())


Look = Callable[[Any], Evidence]


def _slowed(context: Any) -> Evidence:
    return slowed(context, "a->n1", ("a->n1", ""), 10 * S, 20 * S, 90 * MS, "round trip")


def _recovered(context: Any) -> Evidence:
    return evidence.recovered(context, "a->n1", 10 * S, 20 * S, 10 * MS, 90 * MS)


def _interrupted(context: Any) -> Evidence:
    return evidence.interrupted(context, "a->n1", 10 * S, 20 * S)


def _reachable(context: Any) -> Evidence:
    return evidence.reachable(context, "a->n1", 20 * S)


def _silent(context: Any) -> Evidence:
    return link_evidence.silent(context, "a->n1", SPAN, "a->n1")


def _shut(context: Any) -> Evidence:
    return link_evidence.shut(context, "a->n1", SPAN, "a->n1")


@pytest.mark.parametrize(
    ("look", "trips"),
    [
        (_slowed, [*BEFORE, (11, 101), (12, 101)]),
        (_slowed, [(7, 1), *DURING[:2], (14, 101)][1:]),
        (_recovered, [*BEFORE, (21, 60), (22, 60)]),
        (_interrupted, BEFORE),
        (_reachable, AFTER[:2]),
        (_reachable, []),
        (_silent, BEFORE),
        (_shut, [(11, Break.CUT), (12, Break.REFUSED)]),
        (_shut, BEFORE),
    ],
)
def test_too_few_round_trips_are_said_to_be_too_few(look: Look, trips: list[Trip]) -> None:
    found = look(_context(*trips))
    assert (found.proven, found.lacks) == (False, "round trips")


@pytest.mark.parametrize(
    ("look", "trips"),
    [
        (_slowed, [*BEFORE, (11, 1), (12, 1), (13, 1)]),  # the fault does nothing
        (_slowed, [(11, 1), (12, 1), (13, 1)]),  # nothing before, but what is seen is not slow
        (_slowed, [*BEFORE, (11, Break.SILENT), (12, 101)]),  # the node does not answer
        (_recovered, [*BEFORE, (21, 101), (22, 101), (23, 101)]),  # it is still slow
        (_recovered, [*BEFORE, (21, Break.CUT)]),
        (_interrupted, [(11, 1)]),
        (_reachable, [(21, 1), (22, Break.SILENT)]),
        (_reachable, [(21, Break.CUT), (22, Break.CUT), (23, Break.CUT)]),
        (_silent, [(11, 1)]),
        (_silent, [(11, Break.CUT)]),
        (_shut, [(11, Break.CUT), (12, 1)]),
    ],
)
def test_what_speaks_against_the_fault_is_no_lack(look: Look, trips: list[Trip]) -> None:
    found = look(_context(*trips))
    assert (found.proven, found.lacks) == (False, "")


@pytest.mark.parametrize(
    ("look", "trips"),
    [
        (_slowed, [*BEFORE, *DURING]),
        (_recovered, [*BEFORE, *AFTER]),
        (_recovered, AFTER),
        (_interrupted, [(11, Break.CUT)]),
        (_reachable, AFTER),
        (_silent, [(11, Break.SILENT)]),
        (_shut, [(11, Break.CUT), (12, Break.CUT), (13, Break.REFUSED)]),
    ],
)
def test_what_is_proven_lacks_nothing(look: Look, trips: list[Trip]) -> None:
    found = look(_context(*trips))
    assert (found.proven, found.lacks) == (True, "")


def test_a_fault_that_is_not_in_force_lacks_nothing() -> None:
    context: Any = _context()
    for look in (link_evidence.silent, link_evidence.shut):
        assert look(context, "a->n1", FaultSpan(), "a->n1").lacks == ""
    once: Any = _context((11, 1))
    assert [item.lacks for item in link_evidence.still_reachable(once, "a->n1", SPAN)] == ["round trips"]


@pytest.mark.parametrize(
    ("kind", "options", "slow_ms"),
    [
        ("slow_close", {"delay_ns": 100 * MS, "direction": "up"}, 101.0),
        ("slicer", {"size_bytes": 64, "delay_ns": 10 * MS, "direction": "up"}, 10_000.0),
        ("bandwidth", {"rate_bytes_per_s": 10_000, "direction": "up"}, 10_000.0),
    ],
)
def test_looks_of_a_faults_own_say_it_too(kind: str, options: dict[str, Any], slow_ms: float) -> None:
    assert _channel(kind, options, [*BEFORE, (11, 0.5)]) == ("round trips", "round trips")
    assert _channel(kind, options, [*BEFORE, (11, 0.5), (12, 0.5), (13, 0.5)])[0] == ""
    assert _channel(kind, options, [*BEFORE, (11, Break.CUT), (21, Break.CUT)]) == ("", "")
    assert _channel(kind, options, [*BEFORE, (21, slow_ms), (31, slow_ms), (41, slow_ms)])[1] == ""


def _channel(kind: str, options: dict[str, Any], trips: list[Trip]) -> tuple[str, str]:
    """Return what effect and healing of a link fault lack, of one channel."""
    registered = FAULTS.get(kind)
    planned = PlannedFault(
        id="f",
        kind=kind,
        options=registered.spec.options(**options),
        on=Target(link="a->n1"),
        targets=("a->n1",),
        at_ns=0,
        until_ns=1,
        seed=1,
    )
    fault: Any = registered.make(fault_context(planned, probes=Trips(*trips), now_ns=lambda: 0))
    fault.span = SPAN
    (effect,) = fault.channel_effect("a->n1", "a->n1")
    (healing,) = fault.channel_healing("a->n1", "a->n1")
    return effect.lacks, healing.lacks


class Accounted:
    """A node of which the kernel says what is given, one answer after the other."""

    def __init__(self, *answers: CpuUse) -> None:
        self._answers = list(answers)

    def cpu_use(self) -> CpuUse:
        """Return the next answer, the last one for ever."""
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def limit_cpu(self, *_: Any) -> None:
        """Accept."""

    def burn_cpu(self, *_: Any) -> None:
        """Accept."""


@pytest.mark.parametrize(
    ("quota", "throttled", "lacks", "proven"),
    [
        (0.2, 0, "periods", False),
        (0.2, 2, "", False),  # it was throttled, and not enough
        (0.2, 3, "", True),
        (None, 0, "", False),  # no limit is in force: that is no lack of time
        (0.5, 0, "", False),  # another limit is
    ],
)
def test_no_period_counts_only_under_the_limit_asked_for(
    quota: float | None, throttled: int, lacks: str, proven: bool
) -> None:
    planned = PlannedFault(
        id="cpu-1",
        kind="cpu",
        options=CpuOptions(limit=0.2),
        on=Target(node="broker"),
        targets=("n1",),
        at_ns=0,
        until_ns=1,
        seed=1,
    )
    start = CpuUse(quota_cores=None, periods=0, throttled=0, throttled_ns=0)
    later = CpuUse(quota_cores=quota, periods=20, throttled=throttled, throttled_ns=0)
    context = fault_context(planned, nodes={"n1": Accounted(start, later)}, now_ns=lambda: 1)

    async def act() -> tuple[Evidence, ...]:
        fault = FAULTS.get("cpu").make(context)
        await fault.apply()
        return await fault.effect()

    (found,) = asyncio.run(act())
    assert (found.proven, found.lacks) == (proven, lacks)
