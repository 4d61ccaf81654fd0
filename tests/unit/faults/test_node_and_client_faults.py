"""Faults on nodes, workers and leadership: what their evidence takes, and how they compose on one target."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.fault_context import fault_context
from support.in_process import scenario

from harness.brokers.base import Leadership
from harness.engine.rundir import new_run_id
from harness.errors import AbilityError, ControlError, RefusedError, ScenarioError, StartError
from harness.faults.base import FAULTS, Evidence, Fault, FaultContext, Sample
from harness.faults.kit import node_life as lifecycle
from harness.faults.kit.outages import Outages
from harness.runtime.base import CpuUse, Identity, NodeSpec
from harness.runtime.ledger import Ledger
from harness.runtime.process.node import ProcessNode
from harness.runtime.process.supervised import SupervisedProcess
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import PlannedFault, Target
from harness.session.vocabulary import vocabulary

S = 1_000_000_000


class Probes:
    """Every round trip to a node that is down fails; the rest succeed."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        del target, until_ns
        ok = self._node.runs
        starts = range(since_ns, since_ns + 5 * S, S)
        return [Sample(start_ns=start, end_ns=start + 1, ok=ok, length_ns=1) for start in starts]


class Node:
    """A node that obeys, as far as it is told to."""

    name = "n1"
    spec: Any = None
    disk: Any = None

    def __init__(self, *, stops: bool = True, dies: bool = True, status: int = -signal.SIGKILL) -> None:
        self._stops, self._dies, self._status = stops, dies, status
        self.runs, self.pid, self.frozen = True, 10, False
        self.returncode: int | None = None
        self.uses: list[CpuUse | None] = []
        self.limits: list[float | None] = []

    async def start(self) -> None:
        self.runs, self.pid = True, self.pid + 1

    async def stop(self) -> None:
        if self._dies:
            self.runs, self.returncode = False, 143 if self._stops else -signal.SIGKILL

    async def kill(self) -> None:
        if self._dies:
            self.runs, self.returncode = False, self._status

    def alive(self) -> bool:
        return self.runs

    def identity(self) -> Identity | None:
        return Identity(pid=self.pid, start_ticks=self.pid) if self.runs else None

    def logs(self, lines: int = 20) -> str:
        del lines
        return ""

    def state(self) -> str:
        return "T" if self.frozen else "S"

    def limit_cpu(self, holder: str, cores: float | None) -> None:
        del holder
        self.limits.append(cores)

    def cpu_use(self) -> CpuUse:
        use = self.uses.pop(0) if len(self.uses) > 1 else self.uses[0]
        if use is None:
            raise AbilityError("it does not run")
        return use


def context(kind: str, options: Mapping[str, Any], targets: tuple[str, ...], node: Node, **more: Any) -> FaultContext:
    planned = PlannedFault(
        id=more.pop("id", f"{kind}-1"),
        kind=kind,
        options=FAULTS.get(kind).spec.options(**options),
        on=Target(),
        targets=targets,
        at_ns=0,
        until_ns=10 * S,
        seed=1,
    )
    nodes = {"n1": node}
    return fault_context(planned, targets=targets, nodes=nodes, probes=Probes(node), **{"now_ns": lambda: 5 * S} | more)


def made(found: FaultContext) -> Fault:
    return FAULTS.get(found.planned.kind).make(found)


def unproven(items: tuple[Evidence, ...]) -> list[str]:
    return [item.probe for item in items if not item.proven]


async def carried_out(fault: Fault) -> tuple[list[str], list[str]]:
    """Return what was not proven of effect and of healing."""
    await fault.apply()
    effect = unproven(await fault.effect())
    await fault.heal()
    await fault.heal()
    return effect, unproven(await fault.healing())


def test_a_stop_that_took_sigkill_is_not_believed() -> None:
    node = Node(stops=True)
    assert asyncio.run(carried_out(made(context("stop", {}, ("n1",), node)))) == ([], [])
    assert node.pid == 11
    killed = asyncio.run(carried_out(made(context("stop", {}, ("n1",), Node(stops=False)))))
    assert killed == (["exit status"], [])
    restart = made(context("restart", {"signal": "TERM"}, ("n1",), Node(stops=False)))
    assert "exit status" in asyncio.run(carried_out(restart))[0]


@pytest.mark.parametrize(
    ("status", "unproven"), [(-9, []), (137, []), (-1, []), (1, ["exit status"]), (143, ["exit status"])]
)
def test_a_kill_is_what_ended_the_process(status: int, unproven: list[str]) -> None:
    """One that exits by itself at that moment was not killed; an engine that does not say (-1) proves nothing."""
    assert asyncio.run(carried_out(made(context("kill", {}, ("n1",), Node(status=status)))))[0] == unproven


def test_a_kill_that_does_nothing_is_not_believed() -> None:
    for kind in ("kill", "stop"):
        effect, healing = asyncio.run(carried_out(made(context(kind, {}, ("n1",), Node(dies=False)))))
        assert "process table" in effect
        assert "process table" in healing


def test_healing_before_anything_was_applied_starts_nothing() -> None:
    node = Node()
    node.runs = False
    asyncio.run(made(context("stop", {}, ("n1",), node)).heal())
    assert not node.runs


def test_a_node_that_another_fault_has_frozen_comes_back_when_that_one_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "BACK_S", 0.2)
    node, asked = Node(), [0]

    async def ready(_: str) -> str:
        asked[0] += 1
        node.frozen = asked[0] < 12  # 0.6 s, three times as long as a node may take
        return "" if asked[0] > 13 else "it does not answer"

    assert asyncio.run(carried_out(made(context("kill", {}, ("n1",), node, node_ready=ready)))) == ([], [])

    async def never(_: str) -> str:
        return "it does not answer"

    with pytest.raises(StartError, match="did not come back"):
        asyncio.run(carried_out(made(context("kill", {}, ("n1",), Node(), node_ready=never))))


async def overlapping(first: Fault, second: Fault) -> tuple[list[str], list[str]]:
    """The second comes while the first acts, and goes after it; return what was proven of neither stage, of each."""
    await first.apply()
    await second.apply()
    unseen = [unproven(await fault.effect()) for fault in (first, second)]
    ending = asyncio.create_task(first.heal())
    await asyncio.sleep(0.15)
    assert not ending.done(), "the node was started while another fault held it down"
    await second.heal()
    await ending
    healing = [unproven(await fault.healing()) for fault in (first, second)]
    return unseen[0] + healing[0], unseen[1] + healing[1]


def test_a_node_that_two_faults_hold_down_starts_once_and_only_when_both_have_let_go() -> None:
    for kinds in (("kill", "kill"), ("stop", "kill")):
        node, outages = Node(), Outages()
        faults = [
            made(context(kind, {}, ("n1",), node, outages=outages, id=f"{kind}-{i}")) for i, kind in enumerate(kinds)
        ]
        assert asyncio.run(overlapping(*faults)) == ([], []), kinds
        assert node.pid == 11
        assert not outages.held("n1")


def test_what_was_down_already_never_got_the_sigterm() -> None:
    node, outages = Node(), Outages()
    first, second = (made(context(kind, {}, ("n1",), node, outages=outages)) for kind in ("kill", "stop"))
    assert asyncio.run(overlapping(first, second)) == ([], ["exit status"])


def test_what_nobody_is_known_to_have_ended_is_nobody_s_effect() -> None:
    node = Node()
    node.runs = False
    effect, healing = asyncio.run(carried_out(made(context("kill", {}, ("n1",), node))))
    assert effect == ["process table"]
    assert not healing


def test_a_node_is_not_ended_while_another_fault_starts_it() -> None:
    """What is started after it was killed would run although another fault holds it down."""
    node, outages = Node(), Outages()
    first, second = (made(context("kill", {}, ("n1",), node, outages=outages, id=name)) for name in ("a", "b"))

    async def story() -> None:
        start = node.start

        async def slowly() -> None:
            await asyncio.sleep(0.1)
            await start()

        node.start = slowly  # type: ignore[method-assign]
        await first.apply()
        healing = asyncio.create_task(first.heal())
        await asyncio.sleep(0.02)
        await second.apply()
        assert not node.runs
        node.start = start  # type: ignore[method-assign]
        await asyncio.gather(second.heal(), healing)
        assert node.runs
        assert not unproven(await first.healing())

    asyncio.run(story())


def use(periods: int, throttled: int, quota: float | None = 0.1, weight: float = 0.0) -> CpuUse:
    return CpuUse(
        quota_cores=quota, periods=periods, throttled=throttled, throttled_ns=throttled * 1_000, weight=weight
    )


class FreezingNode(Node):
    """A node that freezes."""

    def pause(self, holder: str) -> None:
        del holder
        self.frozen = True

    def resume(self, holder: str) -> None:
        del holder
        self.frozen = False


def test_a_pause_waits_until_a_process_that_had_no_cpu_has_taken_its_signal() -> None:
    """A look that came once in between, before the node was ended by another fault, saw state R."""
    states = iter(["R", "R", "T"])

    class Starved(FreezingNode):
        """A node that waits for a CPU."""

        def state(self) -> str:
            """Return what the scheduler says."""
            return next(states)

    node, outages = Starved(), Outages()
    found = context("pause", {}, ("n1",), node, outages=outages, node_state=lambda *_: None)

    async def carried_out() -> Evidence:
        fault = FAULTS.get("pause").make(found)
        await fault.apply()
        outages.hold("n1", "kill-2")
        return (await fault.effect())[0]

    shown = asyncio.run(carried_out())
    assert (shown.proven, shown.observed) == (True, "state T")


def test_a_pause_is_judged_by_what_it_froze_while_another_fault_has_ended_the_node() -> None:
    node, outages, states = FreezingNode(), Outages(), list[tuple[str, str]]()
    found = context("pause", {}, ("n1",), node, outages=outages, node_state=lambda *state: states.append(state))

    async def carried_out() -> list[bool]:
        fault, frozen = made(found), []

        async def look() -> None:
            (shown,) = (item for item in await fault.effect() if item.probe == "scheduler state")
            frozen.append(shown.proven)

        await fault.apply()
        await look()
        node.frozen = False  # another fault has ended it, and it is not up yet
        outages.hold("n1", "kill-1")
        await look()
        outages.release("n1", "kill-1")
        await look()  # nothing ends it, and it runs all the same
        await fault.heal()
        await look()
        return frozen

    assert asyncio.run(carried_out()) == [True, True, False, False]
    assert states == [("n1", "paused"), ("n1", "resumed")]


def test_cpu_as_a_fraction_of_what_was_used() -> None:
    node = Node()
    node.uses = [use(100, 50, None), use(120, 60), use(130, 60, None)]
    fault = made(context("cpu", {"fraction": 0.25}, ("n1",), node, cores={"n1": 0.4}))
    assert asyncio.run(carried_out(fault)) == ([], [])
    assert node.limits == [0.1, None, None]
    tiny = made(context("cpu", {"fraction": 0.25}, ("n1",), node, cores={"n1": 0.0004}))
    asyncio.run(tiny.apply())
    assert node.limits[-1] == 0.01
    with pytest.raises(ControlError, match="not known"):
        asyncio.run(made(context("cpu", {"fraction": 0.25}, ("n1",), node)).apply())


@pytest.mark.parametrize(("after", "healed"), [(3.0, []), (100.0, ["kernel accounting"])])
def test_a_node_that_keeps_the_weight_of_a_cpu_fault_is_not_healed(after: float, healed: list[str]) -> None:
    node = Node()
    node.uses = [use(100, 50, None, 3), use(120, 60, 0.1, 100), use(130, 60, None, after)]
    fault = made(context("cpu", {"limit": 0.1}, ("n1",), node))

    async def looked_at() -> list[list[str]]:
        await fault.apply()
        effect = await fault.effect()
        assert effect[0].observed.endswith("weight 100 (before: 3)")
        await fault.heal()
        return [unproven(effect), unproven(await fault.healing())]

    assert asyncio.run(looked_at()) == [[], healed]


def test_cpu_on_a_node_that_is_restarted_meanwhile_adds_its_counts_up() -> None:
    node = Node()
    node.uses = [use(100, 50), use(110, 52), None, use(4, 2), use(4, 2, None)]

    async def looked_at() -> list[list[str]]:
        fault = made(context("cpu", {"limit": 0.1}, ("n1",), node))
        await fault.apply()
        found = [unproven(await fault.effect()) for _ in range(3)]
        await fault.heal()
        return [*found, unproven(await fault.healing())]

    assert asyncio.run(looked_at()) == [["kernel accounting"], ["kernel accounting"], [], []]


@pytest.mark.parametrize(
    ("options", "problem"),
    [({}, True), ({"limit": 0.1}, False), ({"fraction": 0.1}, False), ({"limit": 0.1, "fraction": 0.1}, True)],
)
def test_cpu_takes_a_limit_or_a_fraction(options: dict[str, float], problem: bool) -> None:
    spec = FAULTS.get("cpu").spec
    assert spec.validate is not None
    assert bool([*spec.validate(spec.options(**options), None)]) is problem


class Leaders:
    """Says who leads, one answer after the other."""

    def __init__(self, *answers: Leadership) -> None:
        self._answers = list(answers)
        self.ordered: list[int] = []

    async def move_leader(self, partition: int) -> None:
        self.ordered.append(partition)

    async def leadership(self, partition: int) -> Leadership:
        assert partition == 2
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def led(leader: str, *, obeyed: bool = True, in_sync: str = "n1 n2 n3") -> Leadership:
    return Leadership(
        leader=leader, obeyed=obeyed, replicas=("n1", "n2", "n3"), in_sync=tuple(in_sync.split()) if leader else ()
    )


@pytest.mark.parametrize(
    ("effect", "healing", "proven"),
    [
        (led("n2"), led("n2"), (True, True)),
        (led("n1"), led("n1"), (False, True)),
        (led(""), led(""), (False, False)),
        (led("n2", obeyed=False), led("n2", obeyed=False), (False, False)),
        (led("n2"), led("n2", in_sync="n2 n3"), (True, False)),
        (Leadership(), Leadership(), (False, False)),
    ],
)
def test_a_leader_has_moved_by_most_nodes_word_and_its_own(
    effect: Leadership, healing: Leadership, proven: tuple[bool, bool]
) -> None:
    seen_once = (effect,) if proven[0] else (effect, effect)
    leaders = Leaders(led("n1"), *seen_once, healing)
    clock = itertools.count(0, 6 * S)  # each look at it finds the time to wait over
    fault = made(context("move_leader", {"partition": 2}, ("topic",), Node(), leaders=leaders, now_ns=clock.__next__))
    found = asyncio.run(carried_out(fault))
    assert tuple(not items for items in found) == proven
    assert leaders.ordered == [2]


@pytest.mark.parametrize(
    ("broker", "cluster", "partition", "told"),
    [
        ("nats-2", "{nodes: 3, replicas: 3}", 0, ""),
        ("kafka-4", "{nodes: 3, replicas: 3}", 1, ""),
        (
            "nats-2",
            "{nodes: 3, replicas: 1}",
            0,
            "8:18: faults.0.move_leader: with 1 replica there is no other replica to lead",
        ),
        ("kafka-4", "{nodes: 1}", 0, "8:18: faults.0.move_leader: with 1 replica there is no other replica to lead"),
        ("kafka-4", "{nodes: 3, replicas: 3}", 2, "8:30: faults.0.move_leader: there is no partition 2, of 2"),
        (
            "nats-2",
            "{nodes: 3, replicas: 3}",
            1,
            "8:30: faults.0.move_leader: nats-2 does not give each partition a leader",
        ),
    ],
)
def test_a_lead_that_cannot_be_handed_over_is_refused(broker: str, cluster: str, partition: int, told: str) -> None:
    text = scenario(f"move_leader: {{partition: {partition}}}", span="", cluster=cluster)
    text = text.replace("nats-2", broker).replace("consumer: {ack_wait: 1s}", "consumer: {}").lstrip()
    if not told:
        assert variants(load_text(text, "s.yaml", vocabulary()))
        return
    with pytest.raises(ScenarioError, match=f"s.yaml:{told}"):
        variants(load_text(text, "s.yaml", vocabulary()))


def test_a_leader_that_was_moved_back_by_others_has_moved() -> None:
    leaders = Leaders(led("n1"), led("n2"), led("n1"))
    fault = made(context("move_leader", {"partition": 2}, ("topic",), Node(), leaders=leaders))
    assert asyncio.run(carried_out(fault)) == ([], [])


def test_a_new_leader_is_waited_for_until_it_serves() -> None:
    leaders = Leaders(led("n1"), led("n1"), led("n2", obeyed=False), led("n2"))
    fault = made(context("move_leader", {"partition": 2}, ("topic",), Node(), leaders=leaders))
    assert asyncio.run(carried_out(fault)) == ([], [])


def test_nobody_to_hand_over_from_is_an_error() -> None:
    leaders, clock = Leaders(led("")), itertools.count(0, 20 * S)
    fault = made(context("move_leader", {"partition": 2}, ("topic",), Node(), leaders=leaders, now_ns=clock.__next__))
    with pytest.raises(ControlError, match="no node leads"):
        asyncio.run(fault.apply())
    assert leaders.ordered == []


class RefusingLeaders(Leaders):
    """Raises ``error`` at the first order; the lead may move all the same, by what the answers say."""

    error = ControlError("no answer")

    async def move_leader(self, partition: int) -> None:
        await super().move_leader(partition)
        if len(self.ordered) == 1:
            raise self.error


@pytest.mark.parametrize(
    ("error", "answers", "orders"),
    [
        (ControlError("no answer"), (led("n1"), led("n1"), led("n2")), 2),
        (ControlError("no answer"), (led(""), led("n1"), led(""), led("n1"), led("n2")), 2),
        (ControlError("no answer"), (led("n1"), led("n2")), 1),
        # Another client has moved it: what was refused was not carried out.
        (RefusedError("no other replica in sync"), (led("n1"), led("n2"), led("n1")), 2),
    ],
)
def test_an_order_is_given_again_unless_it_may_have_been_carried_out(
    error: ControlError, answers: tuple[Leadership, ...], orders: int
) -> None:
    leaders = RefusingLeaders(*answers)
    leaders.error = error
    fault = made(context("move_leader", {"partition": 2}, ("topic",), Node(), leaders=leaders))
    assert asyncio.run(carried_out(fault)) == ([], [])
    assert leaders.ordered == [2] * orders


class Topic:
    """A topic of 4 partitions that says so from the second question on, and whose first order raises ``error``."""

    def __init__(self, error: ControlError, *, carries_out: bool) -> None:
        self._carries_out, self._asked, self._count = carries_out, 0, 4
        self._error = error
        self.ordered: list[int] = []

    async def partition_count(self) -> int:
        self._asked += 1
        return self._count if self._asked > 1 else 0

    async def add_partitions(self, total: int) -> None:
        self.ordered.append(total)
        if self._carries_out or len(self.ordered) > 1:
            self._count = total
        if len(self.ordered) == 1:
            raise self._error


@pytest.mark.parametrize(
    ("error", "carries_out", "orders"),
    [
        (ControlError("no answer"), True, [6]),
        (ControlError("no answer"), False, [6, 6]),
        # Another client has added as many meanwhile: what was refused was not carried out.
        (RefusedError("there are 6 already"), True, [6, 8]),
    ],
)
def test_partitions_are_ordered_again_unless_they_were_added(
    error: ControlError, carries_out: bool, orders: list[int]
) -> None:
    topic = Topic(error, carries_out=carries_out)
    fault = made(context("add_partitions", {"count": 2}, ("topic",), Node(), topic=topic))
    assert asyncio.run(carried_out(fault)) == ([], [])
    assert topic.ordered == orders


class Worker:
    """A worker that goes away in one way or another."""

    reporting = True

    def __init__(self, *, goes: bool = True, status: int = 0, finished: bool = True) -> None:
        self._goes, self._status, self._says = goes, status, finished
        self.pid, self.ready, self.restarts = 7, True, 0
        self.finished, self.returncode = False, None

    def identity(self) -> Identity | None:
        return Identity(pid=self.pid, start_ticks=1) if self.pid else None

    async def kill(self) -> None:
        self.pid = 0 if self._goes else self.pid

    async def leave(self, timeout_s: float) -> None:
        del timeout_s
        await self.kill()
        self.returncode, self.finished = self._status, self._says  # type: ignore[assignment]

    async def restart(self, go_ns: int) -> None:
        del go_ns
        self.pid, self.restarts = 8, self.restarts + 1


@pytest.mark.parametrize(
    ("kind", "worker", "proven", "restarts"),
    [
        ("client_kill", Worker(), True, 1),
        ("client_kill", Worker(goes=False), False, 0),
        ("client_leave", Worker(), True, 1),
        ("client_leave", Worker(goes=False), False, 0),
        ("client_leave", Worker(status=-9), False, 1),
        ("client_leave", Worker(finished=False), False, 1),
    ],
)
def test_departures(kind: str, worker: Worker, proven: bool, restarts: int) -> None:
    fault = made(context(kind, {}, ("c0",), Node(), workers={"c0": worker}))
    effect, healing = asyncio.run(carried_out(fault))
    assert (not effect, worker.restarts) == (proven, restarts)
    assert not healing if restarts else healing


def test_a_worker_that_reports_nothing_is_back_once_another_process_runs() -> None:
    worker = Worker()
    worker.reporting, worker.ready = False, False
    fault = made(context("client_kill", {}, ("c0",), Node(), workers={"c0": worker}))
    effect, healing = asyncio.run(carried_out(fault))
    assert (effect, healing) == ([], [])
    said = asyncio.run(fault.healing())
    assert [(item.observed, item.required) for item in said] == [("pid 8", "another process runs")]


def test_a_worker_that_was_not_there_has_not_departed() -> None:
    worker = Worker()
    worker.pid = 0
    fault = made(context("client_kill", {}, ("c0",), Node(), workers={"c0": worker}))
    assert asyncio.run(carried_out(fault))[0]
    assert worker.restarts == 0


SLEEPER = (sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)")
GRACEFUL = (
    sys.executable,
    "-S",
    "-E",
    "-c",
    (
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('up', flush=True)\ntime.sleep(60)"
    ),
)


async def _becomes(process: SupervisedProcess, states: str) -> str:
    for _ in range(200):
        if process.state() in states:
            break
        await asyncio.sleep(0.01)
    return process.state()


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return Ledger(new_run_id(), tmp_path)


def _with_node(
    ledger: Ledger, folder: Path, argv: tuple[str, ...], act: Callable[[ProcessNode], Awaitable[None]]
) -> None:
    (folder / "data").mkdir()
    spec = NodeSpec(name="n1", argv=argv, files={}, data_dir=folder / "data", stop_timeout_s=5)
    node = ProcessNode(spec, ledger, folder / "n1.log", lambda _: None, cpu=None, memory=None, disk=None)

    async def run() -> None:
        await node.start()
        try:
            await act(node)
        finally:
            await node.kill()

    try:
        asyncio.run(run())
    finally:
        ledger.close()


def test_a_paused_process_is_resumed_by_its_last_holder_alone_and_never_by_a_restart(
    ledger: Ledger, tmp_path: Path
) -> None:
    async def act(node: ProcessNode) -> None:
        node.pause("pause-1")
        node.pause("pause-2")
        assert await _becomes(node, "T") == "T"
        node.resume("pause-2")
        await asyncio.sleep(0.05)
        assert node.state() == "T"
        first = node.identity()
        await node.kill()
        await node.start()
        assert node.identity() != first
        assert await _becomes(node, "T") == "T"
        node.resume("pause-2")  # held nothing any more
        assert node.state() == "T"
        node.resume("pause-1")
        assert await _becomes(node, "RS") in "RS"

    _with_node(ledger, tmp_path, SLEEPER, act)


def test_a_paused_process_takes_sigterm_when_its_pause_is_over(ledger: Ledger, tmp_path: Path) -> None:
    async def act(node: ProcessNode) -> None:
        for _ in range(250):
            if "up" in node.logs():
                break
            await asyncio.sleep(0.02)
        node.pause("pause-1")
        assert await _becomes(node, "T") == "T"
        stopping = asyncio.create_task(node.stop())
        await asyncio.sleep(0.2)
        assert node.state() == "T"
        node.resume("pause-1")
        await stopping
        assert node.returncode == 5

    _with_node(ledger, tmp_path, GRACEFUL, act)
