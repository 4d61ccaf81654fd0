"""What a timeline asks again for. Deployments, faults and probes here are fakes: what they answer is scripted."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.clock import monotonic_ns
from harness.engine import deployment
from harness.engine import fault_schedule as timeline
from harness.engine import target_lookup as targets
from harness.engine.no_bypass import NoBypass
from harness.errors import ControlError, StartError
from harness.faults.base import Evidence, FaultContext, Sample
from harness.faults.kit.evidence import broken_off, interrupted, sentence
from harness.faults.kit.interference import Interference
from harness.faults.kit.lifetime import FaultSpan
from harness.faults.kit.link_evidence import shut, still_reachable
from harness.history.events import EvidenceEvent, ProofEvent, StandstillEvent
from harness.history.record import Break
from harness.runtime.kernel import procfs

MS = 1_000_000


class FakeFault:
    """Heals at the n-th attempt; before, it raises what it was given."""

    def __init__(self, heals_at: int, error: Exception) -> None:
        self.heals_at, self.error, self.attempts = heals_at, error, 0

    async def heal(self) -> None:
        self.attempts += 1
        if self.attempts < self.heals_at:
            raise self.error


def heal(fault: FakeFault, within_s: float = 15) -> None:
    asyncio.run(timeline._heal_with_retry(cast("Any", fault), within_s))


def test_a_control_port_that_did_not_answer_is_asked_to_heal_again() -> None:
    fault = FakeFault(3, ControlError("no answer"))
    heal(fault)
    assert fault.attempts == 3


def test_what_heals_not_at_all_raises_its_last_error() -> None:
    with pytest.raises(ControlError, match="no answer"):
        heal(FakeFault(10**9, ControlError("no answer")), within_s=0.3)
    fault = FakeFault(2, StartError("it did not come back"))
    with pytest.raises(StartError):
        heal(fault)
    assert fault.attempts == 1, "a node that did not come back in its own time is not waited for twice"


class FakeAdmin:
    """Knows no leader until it was asked ``elected_at`` times."""

    def __init__(self, elected_at: int) -> None:
        self.elected_at, self.asked = elected_at, 0

    async def leader(self, _: int) -> str:
        self.asked += 1
        return "n2" if self.asked >= self.elected_at else ""


@pytest.mark.parametrize(("elected_at", "expected"), [(1, ("n2",)), (4, ("n2",)), (10**9, ())])
def test_a_leader_is_looked_for_while_there_is_none(
    elected_at: int, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "_FIND_S", 0.6)
    planned = SimpleNamespace(on=SimpleNamespace(mode="leader", partition=None, node="broker", link=""))
    cluster = SimpleNamespace(admin=FakeAdmin(elected_at), links={})
    assert asyncio.run(targets.wait_for_targets(cast("Any", planned), cast("Any", cluster))) == expected


def context(*samples: Sample) -> FaultContext:
    """Return a context whose probes have seen these round trips."""

    def since(_: str, since_ns: int, until_ns: int | None = None) -> list[Sample]:
        del until_ns
        return [sample for sample in samples if sample.start_ns >= since_ns]

    probes, planned = SimpleNamespace(samples=since), SimpleNamespace(id="partition-1")
    return cast("FaultContext", SimpleNamespace(planned=planned, probes=probes, links={}, interference=Interference()))


def trip(end_ms: int, broken: Break = Break.NONE) -> Sample:
    """Return a round trip of 10 ms."""
    good = broken is Break.NONE
    return Sample(start_ns=(end_ms - 10) * MS, end_ns=end_ms * MS, ok=good, length_ns=10 * MS, broken=broken)


ACTING = FaultSpan(applied_ns=1, acting_ns=2)
CUTS = tuple(trip(100 * at, Break.REFUSED) for at in range(1, 4))


def judged(item: Evidence) -> bool:
    return item.proven


def test_a_late_monitor_does_not_hide_that_a_link_is_shut() -> None:
    assert judged(shut(context(*CUTS, trip(1500, Break.SILENT)), "a->n1", ACTING, ""))
    assert not judged(shut(context(*CUTS, trip(1500)), "a->n1", ACTING, ""))
    assert not judged(shut(context(*CUTS[:2], trip(1500, Break.SILENT)), "a->n1", ACTING, ""))


def test_one_late_answer_does_not_make_a_link_cut_off() -> None:
    good = tuple(trip(100 * at) for at in range(1, 5))
    assert judged(*still_reachable(context(*good, trip(1500, Break.SILENT)), "a->n1", ACTING))
    assert not judged(*still_reachable(context(*CUTS, trip(1500, Break.SILENT)), "a->n1", ACTING))
    assert not judged(*still_reachable(context(*good, trip(9000, Break.SILENT)), "a->n1", ACTING))
    assert not judged(*still_reachable(context(), "a->n1", ACTING))
    # Another fault left two round trips of the last 3 s.
    assert judged(*still_reachable(context(*good, trip(9000), trip(9100)), "a->n1", ACTING))


def test_silence_is_no_reset() -> None:
    assert judged(interrupted(context(trip(100, Break.CUT)), "a->n1", 0, None, cut=True))
    assert not judged(interrupted(context(trip(1100, Break.SILENT)), "a->n1", 0, None, cut=True))
    assert judged(interrupted(context(trip(1100, Break.SILENT)), "a->n1", 0, None))


def test_a_round_trip_that_was_under_way_is_struck_as_well() -> None:
    under_way = context(trip(1100, Break.SILENT))  # it began at 1090 ms
    assert judged(interrupted(under_way, "a->n1", 1095 * MS, None))
    assert not judged(interrupted(under_way, "a->n1", 1100 * MS, None))


def test_a_schedule_that_breaks_off_is_no_effect() -> None:
    async def run() -> list[bool]:
        async def schedule(error: Exception | None) -> None:
            if error is not None:
                raise error
            await asyncio.sleep(60)

        going, broken = asyncio.create_task(schedule(None)), asyncio.create_task(schedule(ControlError("no answer")))
        await asyncio.wait({broken})
        found = [bool(broken_off("reset-1", task)) for task in (None, going, broken)]
        assert "no answer" in broken_off("reset-1", broken)[0].observed
        going.cancel()
        await asyncio.wait({going})
        return [*found, bool(broken_off("reset-1", going))]

    assert asyncio.run(run()) == [False, False, True, False]


class Unhealed:
    """A fault on a link whose healing shows only once a node that another fault has killed is back."""

    def __init__(self, line: timeline.FaultSchedule) -> None:
        self._line, self.looks = line, 0

    async def healing(self) -> tuple[Evidence, ...]:
        self.looks += 1
        if self.looks == 6:
            self._line._interference.end("kill-2", monotonic_ns())  # the other fault is healed
        proven = self.looks >= 7
        return (sentence("healing", "n2->n1", "a fake probe", proven, "as told", "it is told so"),)


@pytest.mark.parametrize(("expected", "proven"), [("n1", True), ("n3", False)])
def test_healing_of_a_link_is_waited_for_while_another_fault_keeps_its_end_down(expected: str, proven: bool) -> None:
    written: list[EvidenceEvent] = []

    async def run() -> None:
        nothing = SimpleNamespace(group_state=None, leader=None)
        links = {"n2->n1": SimpleNamespace(node="n1", source="n2")}
        cluster = SimpleNamespace(admin=nothing, nodes={}, links=links, workers={})
        events = SimpleNamespace(write=written.append)
        line = timeline.FaultSchedule(
            (),
            cast("Any", cluster),
            cast("Any", events),
            start_ns=0,
            go_ns=0,
            listener=lambda _: None,
            healing_s=0.25,
        )
        line._interference.begin("kill-2", (expected,), monotonic_ns(), down=True)
        planned = SimpleNamespace(id="latency-1")
        await line._prove_healing(cast("Any", planned), cast("Any", Unhealed(line)), ("n2->n1",))

    asyncio.run(run())
    assert [item.proven for item in written] == [proven]


@pytest.mark.parametrize(
    ("looks", "bypassed"),
    [
        ([(["a passing connection"], {"c0"}), (["another one"], {"c0"})], False),
        ([(["a passing connection", "c0 to 127.0.0.1:9"], {"c0"}), (["c0 to 127.0.0.1:9"], {"c0"})], True),
        ([([], set()), (["c0 to 127.0.0.1:9"], {"c0"})], True),
        ([(["a passing connection"], set()), ([], {"c0"})], False),
        ([([], {"c0"})], False),
    ],
)
def test_only_a_connection_that_stays_bypasses_its_link(
    looks: list[tuple[list[str], set[str]]], bypassed: bool
) -> None:
    script = iter(looks)
    last = looks[-1]
    proofs: list[ProofEvent] = []
    events = cast("Any", SimpleNamespace(write=proofs.append))
    proof = NoBypass(lambda: next(script, last), (), events, within_s=0.2).prove({"c0"})
    if bypassed:
        with pytest.raises(StartError, match="bypasses its link: c0"):
            asyncio.run(proof)
    else:
        asyncio.run(proof)
    assert [item.proven for item in proofs] == [not bypassed]


@pytest.mark.parametrize(("name", "what"), [("n1", "node n1"), ("names", "service names")])
def test_what_exits_unexpectedly_is_called_what_it_is(name: str, what: str) -> None:
    states: list[tuple[str, str]] = []
    troubles: list[str] = []
    fake = SimpleNamespace(
        topology=SimpleNamespace(service_names=("names",)),
        node_state=lambda *state: states.append(state),
        _trouble=troubles.append,
        _closing=False,
        died=[],
    )
    deployment.Deployment._node_died(cast("Any", fake), name, 1)
    assert states == [(name, "died")]
    assert troubles == [f"{what} exited unexpectedly (exit status 1)"]
    assert fake.died == [name]


@pytest.mark.parametrize(
    ("more", "why"),
    [(1, "the kernel ended it for lack of memory"), (0, "something outside the run killed it")],
)
def test_a_node_that_was_killed_says_by_whom(more: int, why: str) -> None:
    """The kernel counts whom it ended for lack of memory; its number at the start of the run is compared."""
    states: list[tuple[str, str]] = []
    troubles: list[str] = []
    written: list[StandstillEvent] = []
    fake = SimpleNamespace(
        topology=SimpleNamespace(service_names=()),
        node_state=lambda *state: states.append(state),
        _trouble=troubles.append,
        _closing=False,
        _oom_kills=procfs.oom_kills() - more,
        _events=SimpleNamespace(write=written.append),
        fatal=asyncio.Event(),
        died=[],
    )
    fake._killer = lambda: deployment.Deployment._killer(cast("Any", fake))
    deployment.Deployment._node_died(cast("Any", fake), "n1", -9)
    assert troubles == [f"node n1 exited unexpectedly (exit status -9): {why}"]
    assert [(event.part, event.how, event.lasting) for event in written] == [("n1", "killed", True)]
    assert fake.fatal.is_set(), "the run ends at once"


def test_a_service_is_up_before_what_needs_it_is_started() -> None:
    acts: list[str] = []

    def note(what: str) -> Any:
        async def act(*given: Any) -> None:
            acts.append(" ".join([what, *(str(item) for item in given if isinstance(item, str))]))
            await asyncio.sleep(0)

        return act

    fake = SimpleNamespace(
        topology=SimpleNamespace(waves=lambda: (("names",), ("n1", "n2"))),
        nodes={name: name for name in ("n1", "n2", "names")},
        workers={},
        links={},
        controls={},
        disks=SimpleNamespace(create=note("disks")),
        runtime=SimpleNamespace(start_proxies=note("proxies")),
        _gateways=SimpleNamespace(start=note("gateways")),
        admin=SimpleNamespace(create_topic=note("topic")),
        _no_bypass=SimpleNamespace(prove=note("proof")),
        _late=frozenset(),
        _plan=None,
        _run_dir=SimpleNamespace(logs=None),
        _monitor=SimpleNamespace(start=note("monitor")),
        _monitor_spec=lambda: None,
        _start_node=note("start"),
        _node_up=note("up"),
        _wait_settled=note("settled"),
        _toxiproxy_died=None,
        _trouble=None,
    )
    asyncio.run(deployment.Deployment.up(cast("Any", fake)))
    assert acts == [
        *("disks", "proxies", "gateways", "start names", "up names"),
        *("start n1", "start n2", "up n1", "up n2"),
        *("monitor", "topic", "settled", "proof"),
    ]
