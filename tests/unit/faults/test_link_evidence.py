"""Evidence of link faults: a link with several channels is proven slowed or cut only when every channel is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from support.fault_context import fault_context

from harness.faults.base import FAULTS, Sample, extra_probe_name
from harness.faults.kit import evidence
from harness.faults.kit.slowness import slowed
from harness.scenario.model import PlannedFault, Target

S = 1_000_000_000
CHANNELS = ("n1->n2", "n1->n2.controller")
LINK, CONTROL_PATH = "clients->n1", "control->n1"


class Probes:
    """Round trips of 1 ms; through the channels named, longer or failing while the fault acts (from 10 s to 20 s)."""

    def __init__(self, slowed: Sequence[str], broken: Sequence[str]) -> None:
        self._slowed, self._broken = slowed, broken

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        found = []
        for start in range(5 * S, 25 * S, S):
            acts = 10 * S <= start < 20 * S
            length = 101_000_000 if acts and target in self._slowed else 1_000_000
            ok = not (acts and target in self._broken)
            found.append(Sample(start_ns=start, end_ns=start + length, ok=ok, length_ns=length))
        return [item for item in found if item.start_ns >= since_ns and (until_ns is None or item.end_ns <= until_ns)]


class Control:
    """A proxy that takes every order."""

    def add_toxic(self, *_: Any) -> None:
        """Accept."""

    def update_toxic(self, *_: Any) -> None:
        """Accept."""

    def let_pass(self, *_: Any) -> None:
        """Accept."""

    def remove_toxic(self, *_: Any) -> None:
        """Accept."""

    def switch_off(self, *_: Any) -> None:
        """Accept."""

    def switch_on(self, *_: Any) -> None:
        """Accept."""


def _proven(kind: str, options: dict[str, Any], probes: Probes, *, channels: bool = True) -> list[tuple[str, bool]]:
    spec = FAULTS.get(kind).spec
    planned = PlannedFault(
        id=f"{kind}-1",
        kind=kind,
        options=spec.options(**options),
        on=Target(link="n1->n2"),
        targets=("n1->n2",),
        at_ns=0,
        until_ns=10 * S,
        seed=1,
    )
    now = [10 * S]
    context = fault_context(
        planned,
        control=Control(),
        probes=probes,
        now_ns=lambda: now[0],
        probe_names=lambda link: CHANNELS if channels else (link,),
    )

    async def carried_out() -> list[tuple[str, bool]]:
        fault = FAULTS.get(kind).make(context)
        await fault.apply()
        now[0] = 20 * S
        await fault.heal()
        return [(item.probe, item.proven) for item in await fault.effect()]

    return asyncio.run(carried_out())


CASES = [("latency", {"delay_ns": 50_000_000}, "slowed"), ("reset", {}, "broken")]


@pytest.mark.parametrize(("kind", "options", "how"), CASES)
def test_every_channel_must_show_the_effect(kind: str, options: dict[str, Any], how: str) -> None:
    both = _proven(kind, options, Probes(**({"slowed": (), "broken": ()} | {how: CHANNELS})))
    assert both == [(f"round trip through {name}", True) for name in CHANNELS]
    one = _proven(kind, options, Probes(**({"slowed": (), "broken": ()} | {how: CHANNELS[:1]})))
    assert [proven for _, proven in one] == [True, False]


@pytest.mark.parametrize(("kind", "options", "how"), CASES)
def test_a_link_with_one_channel_bears_its_name(kind: str, options: dict[str, Any], how: str) -> None:
    probes = Probes(**({"slowed": (), "broken": ()} | {how: CHANNELS[:1]}))
    assert _proven(kind, options, probes, channels=False) == [("round trip through n1->n2", True)]


class Busy:
    """Round trips of a busy machine: long before, with short ones among them.

    ``during`` counts from 10 s, ``after`` from 20 s.
    """

    def __init__(self, before: Sequence[int], during: Sequence[int], after: Sequence[int]) -> None:
        self._lengths = [*before, *during, *after]

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        del target
        found = [
            Sample(start_ns=(5 + i) * S, end_ns=(5 + i) * S + ms * 1_000_000, ok=True, length_ns=ms * 1_000_000)
            for i, ms in enumerate(self._lengths)
        ]
        return [item for item in found if item.start_ns >= since_ns and (until_ns is None or item.end_ns <= until_ns)]


@pytest.mark.parametrize(
    ("before", "during", "after", "proven"),
    [
        ([60, 5, 60, 60, 60], [101] * 10, [60, 8, 60, 60, 60], (True, True)),
        (
            [60, 51, 60, 60, 60],
            [101] * 10,
            [60, 55, 60, 60, 60],
            (False, True),
        ),  # nothing was ever short; back as before
        ([60, 5, 60, 60, 60], [101] * 9 + [40], [60, 8, 60, 60, 60], (False, True)),  # one passed without the delay
        ([5, 95, 95, 5, 95], [5, 95, 95, 5, 95] * 2, [5, 95, 95, 5, 95], (False, True)),  # as busy as before
        ([60, 5, 60, 60, 60], [101] * 10, [101, 101, 99, 101, 101], (True, False)),  # it is still there
        ([5, 5, 5, 5, 5], [101] * 10, [55, 56, 55, 54, 55], (True, False)),  # one direction of it is still there
    ],
)
def test_on_a_busy_machine_the_short_round_trips_tell(
    before: list[int], during: list[int], after: list[int], proven: tuple[bool, bool]
) -> None:
    found = evidence_of(Busy(before, during, after), least_ms=90, direction_ms=45)
    assert found == proven


# Of a link on a busy machine: before and during a latency of 30 ms to 50 ms each way, which other faults interrupt.
BEFORE = [1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 9, 9, 16, 23, 37, 42, 44, 55, 58, 84, 96, 106, 107, 134, 159, 163, 202, 217]
DURING = [46, 58, 64, 71, 74, 75, 76, 78, 79, 81, 97, 101]


class Looks:
    """Round trips before 10 s, and from then on, each of them within its look."""

    def __init__(self, before: Sequence[int], during: Sequence[int]) -> None:
        self._looks = {False: before, True: during}

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        del target, until_ns
        return [
            Sample(start_ns=since_ns, end_ns=since_ns + ms * 1_000_000, ok=True, length_ns=ms * 1_000_000)
            for ms in self._looks[since_ns >= 10 * S]
        ]


@pytest.mark.parametrize(
    ("before", "during", "proven"),
    [
        (BEFORE, DURING, True),
        (BEFORE, [12, 46, *DURING[2:]], False),  # more than one in ten passed without the delay
        (BEFORE, BEFORE, False),  # as busy as before
        ([2] * 7 + [95] * 18, [2] * 2 + [95] * 10, False),  # short ones were rare before
        ([2, 2, 95, 95, 95], [2] + [95] * 9, False),  # too few to tell
    ],
)
def test_most_round_trips_tell_where_some_pass_without_the_delay(
    before: list[int], during: list[int], proven: bool
) -> None:
    context: Any = SimpleNamespace(probes=Looks(before, during))
    assert slowed(context, LINK, (LINK, ""), 10 * S, 20 * S, 54_000_000, "round trip").proven is proven


def evidence_of(probes: Busy, *, least_ms: int, direction_ms: int) -> tuple[bool, bool]:
    context: Any = SimpleNamespace(probes=probes)
    ms = 1_000_000
    longer = slowed(context, LINK, (LINK, ""), 10 * S, 20 * S, least_ms * ms, "round trip")
    back = evidence.recovered(context, LINK, 10 * S, 20 * S, 25 * ms, direction_ms * ms)
    return longer.proven, back.proven


class ByName:
    """Lengths, in ms, of the round trips of each target before 10 s and from then on."""

    def __init__(self, **lengths: tuple[Sequence[int], Sequence[int]]) -> None:
        self._lengths = lengths

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        before, during = self._lengths.get(target, ((), ()))
        return Looks(before, during).samples(target, since_ns, until_ns)


@pytest.mark.parametrize(
    ("link", "control", "proven", "lacks"),
    [
        ([129, 131, 128, 140], [101, 99, 120, 125], False, ""),  # the machine slowed down, and nothing else
        ([129, 131, 128, 140], [129, 131, 128, 140], False, ""),
        ([69, 75, 90, 110], [9, 15, 30, 50], True, ""),  # it slowed down, and the fault acts
        ([69, 75, 90, 110], [25, 70, 80, 90], True, ""),  # medians do not tell; one was short without the fault
        ([69, 75, 90, 110], [40, 70, 80, 90], False, ""),
        ([129, 131, 128, 140], [30, 31], False, "round trips"),
        ([129, 131, 128, 140], [], False, "round trips"),
    ],
)
def test_what_takes_longer_through_the_control_path_as_well_is_the_machine_and_not_the_fault(
    link: list[int], control: list[int], proven: bool, lacks: str
) -> None:
    """Like three Kafka nodes in containers: 30 ms before, and 129 ms during a latency without effect."""
    usual = [20, 21, 18, 25]
    probes = ByName(**{LINK: (usual, link), CONTROL_PATH: (usual, control)})
    context: Any = SimpleNamespace(probes=probes)
    found = slowed(context, LINK, (LINK, CONTROL_PATH), 10 * S, 20 * S, 54_000_000, "round trip")
    assert (found.proven, found.lacks) == (proven, lacks), found
    assert f"meanwhile through {CONTROL_PATH}" in found.observed
    assert CONTROL_PATH in found.required


def test_what_takes_two_looks_of_the_fault_is_compared_with_the_control_of_the_same_kind() -> None:
    """A fault that is compared names its own look at the control path, not the usual round trip there."""
    asked: list[str] = []

    class Asked:
        def samples(self, target: str, _: int, __: int | None = None) -> Sequence[Sample]:
            asked.append(target)
            return ()

    for kind, options in (
        ("latency", {"delay_ns": 50_000_000}),
        ("slicer", {"size_bytes": 512}),
        ("slow_close", {"delay_ns": 100_000_000}),
        ("bandwidth", {"rate_bytes_per_s": 50_000}),
    ):
        asked.clear()
        planned = PlannedFault(
            id=f"{kind}-1",
            kind=kind,
            options=FAULTS.get(kind).spec.options(**options),
            on=Target(link=LINK),
            targets=(LINK,),
            at_ns=0,
            until_ns=10 * S,
            seed=1,
        )
        context = fault_context(
            planned, control=Control(), probes=Asked(), now_ns=lambda: 10 * S, control_name=lambda _: CONTROL_PATH
        )

        async def carried_out(context: Any = context, kind: str = kind) -> None:
            fault = FAULTS.get(kind).make(context)
            await fault.apply()
            await fault.effect()

        asyncio.run(carried_out())
        own = CONTROL_PATH if kind == "latency" else extra_probe_name(CONTROL_PATH, f"{kind}-1")
        assert own in asked, (kind, asked)
        assert FAULTS.get(kind).control
