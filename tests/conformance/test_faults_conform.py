"""Every registered fault acts and heals with evidence on a real broker; without its effect it is never believed.

``HARNESS_CONFORMANCE`` names the brokers (default: every one that has a profile in ``tests/brokers/``; the same table
on all), ``HARNESS_RUNTIMES`` the runtimes (default ``process,docker``). ``HARNESS_EVERYWHERE=1`` runs every test on all
of them, also where the same code has been tested already. What a broker cannot do it must refuse, and the table says
which those are.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support import jvm_slots
from support.broker_profiles import BrokerProfile, profiles
from support.in_process import run_text, run_twice_at_most, scenario
from support.required_abilities import require_for_faults

from harness.errors import ExitCode, ScenarioError
from harness.faults.base import FAULTS
from harness.runtime.docker.node import ContainerNode
from harness.runtime.kernel.disk import LoopDisk
from harness.runtime.process.node import ProcessNode
from harness.runtime.toxiproxy.control import ToxiproxyControl
from harness.scenario.abilities import BrokerAbility
from harness.scenario.plugins import BROKER_SPECS
from harness.session.selection import select
from harness.verdict import Verdict
from harness.workload.launcher import Worker

# nats-py leaves a connection that brought no INFO to the garbage collector; a container's published port takes
# connections while its node is down.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(900),  # two runs, and the wait for their turn
]

WANTED = os.environ.get("HARNESS_CONFORMANCE", ",".join(profiles())).split(",")
RUNTIMES = os.environ.get("HARNESS_RUNTIMES", "process,docker").split(",")
EVERYWHERE = bool(os.environ.get("HARNESS_EVERYWHERE"))


async def _nothing(*_: Any, **__: Any) -> None:
    return None


async def _nothing_at_first(*_: Any, **__: Any) -> None:
    """Stand for an act that is taken away once, and is there again when everything is taken down."""
    raise NotImplementedError


def _at_first_lost(original: Callable[..., Any]) -> Callable[..., Any]:
    lost: list[bool] = []

    async def act(*args: Any, **kwargs: Any) -> Any:
        if not lost:
            lost.append(True)
            return None
        return await original(*args, **kwargs)

    return act


def _no_effect(*_: Any, **__: Any) -> None:
    return None


MEMORY, DOWN = "<memory>", "<down>"
BY_BROKER: dict[str, Callable[[BrokerProfile], str]] = {
    MEMORY: lambda profile: profile.node_memory,
    DOWN: lambda profile: profile.down,
}
"""Placeholder in a case → what a broker's profile puts in its place."""


class Administration:
    """In a sabotage: the class of the broker's administration."""


Sabotage = list[tuple[type, str, Callable[..., Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How a fault is asked for, and which of the harness's own acts is taken away to sabotage it.

    Attributes:
        fault, on, span, cluster, workload: See ``scenario``.
        sabotage: Owner, name, what takes its place.
    """

    fault: str
    on: str = ""
    span: str = "for: 2s"
    cluster: str = "{nodes: 1}"
    workload: Mapping[str, str] = field(default_factory=dict)
    sabotage: Sabotage

    def text(self, broker: str) -> str:
        """Return the scenario for one broker, with the time that a node of it takes to return."""
        profile = profiles()[broker]
        lasting = profile.duration_with_restart if FAULTS.get(self.kind).spec.takes_node_down else ""
        slow = {"duration": lasting} if lasting else {}
        fault = self.fault
        for placeholder, text_of in BY_BROKER.items():
            fault = fault.replace(placeholder, text_of(profile))
        return scenario(
            fault,
            self.on,
            self.span,
            broker=broker,
            cluster=self.cluster,
            **(slow | dict(self.workload)),
        )

    @property
    def kind(self) -> str:
        """The fault's registered name."""
        return self.fault.partition(":")[0]


CLIENT_LINK = "{link: client-broker}"
NO_TOXIC: Sabotage = [(ToxiproxyControl, "add_toxic", _no_effect), (ToxiproxyControl, "update_toxic", _no_effect)]

CASES: dict[str, Case] = {
    "bandwidth": Case(fault="bandwidth: {rate: 50KB/s}", on=CLIENT_LINK, span="for: 3s", sabotage=NO_TOXIC),
    "blackhole": Case(fault="blackhole: {}", on=CLIENT_LINK, span="for: 2500ms", sabotage=NO_TOXIC),
    "disconnect": Case(
        fault="disconnect: {}",
        on=CLIENT_LINK,
        sabotage=[(ToxiproxyControl, "switch_off", _no_effect), (ToxiproxyControl, "switch_on", _no_effect)],
    ),
    "limit_data": Case(fault="limit_data: {bytes: 20KiB}", on=CLIENT_LINK, span="for: 2500ms", sabotage=NO_TOXIC),
    "limit_data towards the node": Case(
        fault="limit_data: {bytes: 20KiB, direction: up}", on=CLIENT_LINK, span="for: 2500ms", sabotage=NO_TOXIC
    ),
    "partition": Case(
        fault="partition: {}",
        on="{node: n1}",
        span="for: 3s",
        cluster="{nodes: 3, replicas: 3}",
        sabotage=NO_TOXIC,
    ),
    "partition one way, from everybody, of two": Case(
        fault="partition: {from: both, direction: out, together_with: [n2]}",
        on="{node: n1}",
        span="for: 3s",
        cluster="{nodes: 3, replicas: 3}",
        sabotage=NO_TOXIC,
    ),
    "slicer": Case(fault="slicer: {size: 512B, delay: 1ms}", on=CLIENT_LINK, sabotage=NO_TOXIC),
    "slow_close": Case(fault="slow_close: {delay: 150ms}", on=CLIENT_LINK, sabotage=NO_TOXIC),
    "stall": Case(fault="stall: {}", on=CLIENT_LINK, span="for: 2500ms", sabotage=NO_TOXIC),
    "stall of one direction": Case(
        fault="stall: {direction: up}", on=CLIENT_LINK, span="for: 2500ms", sabotage=NO_TOXIC
    ),
    "add_partitions": Case(
        fault="add_partitions: {count: 2}", span="", sabotage=[(Administration, "add_partitions", _nothing)]
    ),
    "client_block": Case(
        fault="client_block: {}", on="{worker: c0}", span="for: 3s", sabotage=[(Worker, "block_handler", _no_effect)]
    ),
    "client_block outside the loop": Case(
        fault="client_block: {}",
        on="{worker: c0}",
        span="for: 3s",
        workload={"consumer": "{handler_in: worker}"},
        sabotage=[(Worker, "block_handler", _no_effect)],
    ),
    "client_join": Case(
        fault="client_join: {}",
        on="{worker: c1}",
        span="",
        workload={"consumers": "2"},
        sabotage=[(Worker, "join", _nothing)],
    ),
    "client_kill": Case(
        fault="client_kill: {}", on="{worker: consumer}", sabotage=[(Worker, "kill", _nothing_at_first)]
    ),
    "client_kill of a producer": Case(
        fault="client_kill: {}", on="{worker: producer}", sabotage=[(Worker, "kill", _nothing_at_first)]
    ),
    "client_leave": Case(fault="client_leave: {}", on="{worker: consumer}", sabotage=[(Worker, "leave", _nothing)]),
    "client_leave of a producer": Case(
        fault="client_leave: {}",
        on="{worker: p1}",
        workload={"producers": "2"},
        sabotage=[(Worker, "leave", _nothing)],
    ),
    "client_pause": Case(fault="client_pause: {}", on="{worker: c0}", sabotage=[(Worker, "pause", _no_effect)]),
    "client_slow": Case(
        fault="client_slow: {extra: 30ms}", on="{worker: c0}", sabotage=[(Worker, "slow_handler", _no_effect)]
    ),
    "cpu": Case(
        # Less than neighbours leave of a busy machine, or nothing would be throttled.
        fault="cpu: {limit: 0.15cores, burn: true}",
        on="{node: broker}",
        span="for: 3s",
        sabotage=[(ProcessNode, "limit_cpu", _no_effect), (ProcessNode, "burn", _nothing)],
    ),
    "cpu as a fraction": Case(
        fault="cpu: {fraction: 40%, burn: true}",
        on="{node: broker}",
        sabotage=[(ProcessNode, "limit_cpu", _no_effect), (ProcessNode, "burn", _nothing)],
    ),
    "disk_full": Case(fault="disk_full: {}", on="{node: broker}", sabotage=[(LoopDisk, "fill", _no_effect)]),
    "kill": Case(fault="kill: {}", on="{node: broker}", sabotage=[(ProcessNode, "kill", _nothing_at_first)]),
    "kill of the coordinator": Case(
        fault="kill: {}",
        on="{node: broker, mode: coordinator}",
        cluster="{nodes: 3, replicas: 3}",
        sabotage=[(ProcessNode, "kill", _nothing_at_first)],
    ),
    "latency": Case(
        fault="latency: {delay: 40ms, jitter: 10ms, jitter_from: seed}",
        on="{link: client-broker}",
        sabotage=[(ToxiproxyControl, "add_toxic", _no_effect), (ToxiproxyControl, "update_toxic", _no_effect)],
    ),
    "latency to a partition's leader": Case(
        fault="latency: {delay: 40ms}",
        on="{link: client-broker, mode: leader, partition: 1}",
        cluster="{nodes: 3, replicas: 3}",
        sabotage=[(ToxiproxyControl, "add_toxic", _no_effect)],
    ),
    "latency to one client alone": Case(
        fault="latency: {delay: 40ms}",
        on="{link: client-broker, zone: far}",
        workload={"consumers": "2", "zones": "{far: [c0]}"},
        sabotage=[(ToxiproxyControl, "add_toxic", _no_effect)],
    ),
    "move_leader": Case(
        fault="move_leader: {}",
        span="",
        cluster="{nodes: 3, replicas: 3}",
        sabotage=[(Administration, "move_leader", _nothing)],
    ),
    "move_leader of a partition": Case(
        fault="move_leader: {partition: 1}",
        span="",
        cluster="{nodes: 3, replicas: 3}",
        sabotage=[(Administration, "move_leader", _nothing)],
    ),
    "memory": Case(
        fault=f"memory: {{limit: {MEMORY}}}",
        on="{node: broker}",
        # Page cache counts: it fills what is left, on a starved machine too.
        span="for: 6s",
        workload={"payload": "512KiB", "duration": "8s"},
        sabotage=[(ProcessNode, "limit_memory", _no_effect)],
    ),
    "pause": Case(fault="pause: {}", on="{node: n1}", sabotage=[(ProcessNode, "pause", _no_effect)]),
    "power_loss": Case(
        fault=f"power_loss: {{down: {DOWN}}}",
        on="{node: n1}",
        span="",
        # Copies: what one node loses is not lost to the others.
        cluster="{nodes: 3, replicas: 3}",
        sabotage=[(LoopDisk, "cut", _no_effect)],
    ),
    "reset": Case(
        fault="reset: {every: 800ms}", on="{link: clients->n1}", sabotage=[(ToxiproxyControl, "add_toxic", _no_effect)]
    ),
    "restart": Case(
        fault="restart: {signal: TERM, down: 300ms}",
        on="{node: broker}",
        span="",
        sabotage=[(ProcessNode, "stop", _nothing)],
    ),
    "restart of the coordinator": Case(
        fault="restart: {signal: KILL, down: 300ms}",
        on="{node: broker, mode: coordinator}",
        span="",
        cluster="{nodes: 3, replicas: 3}",
        sabotage=[(ProcessNode, "kill", _nothing_at_first)],
    ),
    "rolling restart": Case(
        fault="restart: {signal: TERM, down: 300ms, rolling: true}",
        on="{node: broker}",
        span="",
        workload={"duration": "12s"},
        cluster="{nodes: 3, replicas: 3}",
        sabotage=[(ProcessNode, "stop", _nothing)],
    ),
    "stop": Case(fault="stop: {}", on="{node: broker}", sabotage=[(ProcessNode, "stop", _nothing)]),
}

NEEDS = {
    "add_partitions": BrokerAbility.ADD_PARTITIONS,
    "kill of the coordinator": BrokerAbility.COORDINATOR,
    "latency to a partition's leader": BrokerAbility.PARTITION_LEADERS,
    "latency to one client alone": BrokerAbility.ZONES,
    "move_leader": BrokerAbility.MOVE_LEADER,
    "move_leader of a partition": BrokerAbility.PARTITION_LEADERS,
    "restart of the coordinator": BrokerAbility.COORDINATOR,
}
"""Case → ability of the broker that it takes."""


def _able(case: str, broker: str) -> bool:
    """Tell whether a broker can do a case at all."""
    return case not in NEEDS or NEEDS[case] in BROKER_SPECS.get(broker).abilities


def _fits(case: str, broker: str) -> bool:
    """Tell whether a broker runs with as many nodes as a case has, and can do it."""
    (nodes,) = re.findall(r"\bnodes: (\d+)", CASES[case].cluster)
    return int(nodes) in BROKER_SPECS.get(broker).node_counts and _able(case, broker)


def test_every_registered_fault_has_a_case() -> None:
    assert {case.kind for case in CASES.values()} == set(FAULTS.names())


@pytest.mark.parametrize("name", WANTED)
def test_every_case_is_a_valid_scenario(name: str, tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    for case in (case for key, case in CASES.items() if _fits(key, name)):
        path.write_text(case.text(name), encoding="utf-8")
        assert select([path])


@pytest.fixture(params=WANTED)
def broker(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def _possible(name: str, runtime: str) -> Case:
    """Return a case that this machine can do; else skip, or fail where it is required."""
    found = CASES[name]
    require_for_faults([found.kind], runtime)
    return found


ASKS_THE_BROKER = {"add_partitions", "bandwidth", "latency", "move_leader", "power_loss"}
"""Faults whose effect each broker shows in its own way; for the others, sabotage on one broker is enough."""

IN_CONTAINERS_TOO = {"client_kill", "disconnect", "latency", "move_leader", "reset"}
"""Of the faults that do not act on nodes, those that stand for the others in containers.

Links and clients are the same there.
"""


def _cases(*, sabotaged: bool) -> list[Any]:
    """Return (case, broker, runtime): of each broker the cases it can do, wherever other code takes part.

    As processes all act, on every broker. In containers the plain case of each fault on nodes acts on every broker, and
    what stands for the rest acts on the first one, whose nodes are light. They are sabotaged where other code is to
    notice it. ``HARNESS_EVERYWHERE=1`` is the whole table.
    """
    found = []
    for (name, case), broker, runtime in itertools.product(sorted(CASES.items()), WANTED, RUNTIMES):
        if not _fits(name, broker):
            continue
        first = broker == next(able for able in WANTED if _fits(name, able))
        plain = name == case.kind
        if runtime == RUNTIMES[0]:
            differs = not sabotaged or first or case.kind in ASKS_THE_BROKER
        elif sabotaged:
            differs = plain and first and any(owner is ProcessNode for owner, _, _ in case.sabotage)
        else:
            of_node = FAULTS.get(case.kind).spec.acts_on == "node"
            differs = plain and (of_node or (first and case.kind in IN_CONTAINERS_TOO))
        if differs or EVERYWHERE:
            found.append(
                pytest.param(
                    name, broker, runtime, id=f"{broker}-{name}-{runtime}", marks=jvm_slots.jvm_marks(case.text(broker))
                )
            )
    return found


@pytest.mark.parametrize(("name", "broker", "runtime"), _cases(sabotaged=False))
def test_it_acts_and_heals_with_evidence(name: str, broker: str, runtime: str, tmp_path: Path) -> None:
    case = _possible(name, runtime)
    result = run_twice_at_most(case.text(broker), tmp_path, runtime)
    (carried_out,) = result.faults
    assert carried_out.proven, [item for item in carried_out.evidence if not item.proven]
    assert {item.stage for item in carried_out.evidence} == {"effect", "healing"}
    assert result.verdict is Verdict.PASS, result.headline


def _owner(declared: type, broker: str, runtime: str) -> type:
    """Return the class whose act is taken away."""
    if declared is Administration:
        return profiles()[broker].admin
    return ContainerNode if runtime == "docker" and declared is ProcessNode else declared


@pytest.mark.parametrize(("name", "broker", "runtime"), _cases(sabotaged=True))
def test_without_its_effect_it_is_not_believed(
    name: str, broker: str, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = _possible(name, runtime)
    for folder in (tmp_path / "first", tmp_path / "again"):
        folder.mkdir()
        with monkeypatch.context() as patch:
            for declared, act, instead in case.sabotage:
                owner = _owner(declared, broker, runtime)
                lost = _at_first_lost(getattr(owner, act)) if instead is _nothing_at_first else instead
                patch.setattr(owner, act, lost)
            result, _ = run_text(case.text(broker), folder, runtime)
        if result.exit_code != ExitCode.ENVIRONMENT:
            break
        print(f"made again: {result.headline}")
    (carried_out,) = result.faults
    assert not carried_out.proven
    unproven = [item for item in carried_out.evidence if item.stage == "effect" and not item.proven]
    assert unproven, carried_out.evidence
    assert all(item.observed and item.required for item in unproven)
    assert result.verdict is Verdict.INCONCLUSIVE, result.headline
    assert result.exit_code == 6
    assert any(carried_out.id in reason for reason in result.blocking)


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_what_a_broker_cannot_do_is_refused_before_anything_starts(name: str, broker: str, tmp_path: Path) -> None:
    if _able(name, broker):
        path = tmp_path / "scenario.yaml"
        path.write_text(CASES[name].text(broker), encoding="utf-8")
        assert select([path])
        return
    able = ", ".join(kind for kind, spec in BROKER_SPECS.items() if NEEDS[name] in spec.abilities)
    refusal = rf"scenario\.yaml:\d+:\d+: .*{profiles()[broker].alias} does not .*known: {able}"
    with pytest.raises(ScenarioError, match=refusal):
        run_text(CASES[name].text(broker), tmp_path)


def test_a_worker_that_hangs_costs_that_worker_only_and_the_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped from outside the harness: it neither reports nor ends."""

    def stop_unseen(worker: Worker, _: str) -> None:
        os.kill(worker.pid, signal.SIGSTOP)

    monkeypatch.setattr(Worker, "pause", stop_unseen)
    text = scenario("client_pause: {}", "{worker: c1}", "for: 10s", consumers="2", duration="12s")
    result, _ = run_text(text, tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE, result.headline
    assert [reason for reason in result.blocking if "worker" in reason] == [
        "worker c1 hangs: its process runs, but has reported nothing for 5 s"
    ]


@pytest.mark.parametrize(
    ("on", "links"),
    [
        ("{link: broker-broker}", {"n1->n2", "n1->n3", "n2->n1", "n2->n3", "n3->n1", "n3->n2"}),
        ("{link: n1->n2}", {"n1->n2"}),
    ],
)
def test_links_between_nodes_are_slowed_with_evidence(on: str, links: set[str], tmp_path: Path) -> None:
    text = scenario("latency: {delay: 40ms, direction: up}", on, cluster="{nodes: 3, replicas: 3}")
    result = run_twice_at_most(text, tmp_path, "process")
    (carried_out,) = result.faults
    assert set(carried_out.targets) == links
    assert carried_out.proven, [item for item in carried_out.evidence if not item.proven]
    assert result.verdict is Verdict.PASS, result.headline


def test_a_link_to_the_leader_is_found_when_the_fault_is_applied(tmp_path: Path) -> None:
    text = scenario("latency: {delay: 40ms}", "{link: client-broker, mode: leader}", cluster="{nodes: 3, replicas: 3}")
    result = run_twice_at_most(text, tmp_path, "process")
    (carried_out,) = result.faults
    assert len(carried_out.targets) == 1
    assert carried_out.proven
