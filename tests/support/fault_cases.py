"""The one table of fault cases: how each fault is asked for, and which acts of the harness carry its effect.

Runs of one fault (``Case.text``) and runs of many (``fault_packs``) are made from it. Knows no broker by name: what a
broker needs stands in its profile, and a profile may bring cases of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

from support.broker_profiles import BrokerProfile, profiles
from support.in_process import scenario

from harness.faults.base import FAULTS
from harness.scenario.abilities import BrokerAbility
from harness.scenario.plugins import BROKER_SPECS

MEMORY, DOWN, PEER = "<memory>", "<down>", "<peer>"
BY_BROKER: dict[str, Callable[[BrokerProfile], str]] = {
    MEMORY: lambda profile: profile.node_memory,
    DOWN: lambda profile: profile.down,
    PEER: lambda profile: profile.peers[0],
}
"""Placeholder in a fault, or in where it acts → what a broker's profile puts in its place."""

ZONE, CONSUMER, PRODUCER = "<zone>", "<consumer>", "<producer>"
"""Placeholders in ``Case.on``: a zone, a consumer and a producer of the case's own."""
CLIENT_LINK = "{link: client-broker<zone>}"
TOXICS = ("control.add_toxic", "control.update_toxic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to ask for a fault.

    Attributes:
        fault: As in a scenario; ``BY_BROKER`` names what a profile fills in.
        on: Where it acts, with the placeholders above; empty for faults that act on the topic.
        span: How long; empty for faults that end by themselves.
        copied: On a cluster of several nodes on which everything has copies; else on one node.
        workload: What it needs of the workload in addition.
        zoned: Also alone in its run it acts on a zone of its own.
        calm: It acts before any other fault of its run, because changes of members disturb what it shows.
        alone: It never shares a run.
        targets: How many targets it must have had: a number (0 = any), every ``node``, or every link between ``peers``.
        like: What the name of each must look like; empty = anything.
        lost: Acts without which it has no effect, by their place in its context: ``nodes.kill``, ``nodes.disk.fill``.
        needs: Abilities of the broker that it takes.
    """

    fault: str
    on: str = ""
    span: str = "for: 2s"
    copied: bool = False
    workload: Mapping[str, str] = field(default_factory=dict)
    zoned: bool = False
    calm: bool = False
    alone: bool = False
    targets: int | Literal["nodes", "peers"] = 0
    like: str = ""
    lost: tuple[str, ...]
    needs: tuple[BrokerAbility, ...] = ()

    @property
    def kind(self) -> str:
        """The fault's registered name."""
        return self.fault.partition(":")[0]

    def of(self, broker: str) -> Case:
        """Return the case as it is of this broker: with what its profile fills in, and its number of targets."""
        profile = profiles()[broker]
        fault, on, like = self.fault, self.on, self.like
        for placeholder, text_of in BY_BROKER.items():
            text = text_of(profile)
            fault, on, like = (given.replace(placeholder, text) for given in (fault, on, like))
        targets = {"nodes": self.nodes(broker), "peers": len(profile.peers)}.get(str(self.targets), self.targets)
        return replace(self, fault=fault, on=on, like=like, targets=targets)

    def nodes(self, broker: str) -> int:
        """Return how many nodes its cluster has."""
        return profiles()[broker].copies if self.copied else 1

    def cluster(self, broker: str) -> str:
        """Return the cluster, as YAML."""
        nodes = self.nodes(broker)
        keys = [f"nodes: {nodes}", f"replicas: {nodes}" if self.copied else "", profiles()[broker].cluster]
        return f"{{{', '.join(filter(None, keys))}}}"

    def lacks(self, broker: str) -> BrokerAbility | None:
        """Return the first ability that it takes and a broker does not have."""
        return next((ability for ability in self.needs if ability not in BROKER_SPECS.get(broker).abilities), None)

    def fits(self, broker: str) -> bool:
        """Return whether a broker runs with as many nodes, and can do it."""
        return self.nodes(broker) in BROKER_SPECS.get(broker).node_counts and self.lacks(broker) is None

    def text(self, broker: str) -> str:
        """Return the scenario of this fault alone."""
        own, profile = self.of(broker), profiles()[broker]
        extra: dict[str, str] = {}
        if FAULTS.get(self.kind).spec.takes_node_down and profile.duration_with_restart:
            extra["duration"] = profile.duration_with_restart
        on, zone = own.on, ""
        if self.zoned:
            zone = ", zone: own"
            extra |= {"consumers": "2", "zones": "{own: [c0]}"}
        if PRODUCER in on or FAULTS.get(self.kind).spec.joins:
            # What goes away or is not there yet leaves one that works.
            extra |= {"producers": "2"} if PRODUCER in on else {"consumers": "2"}
        worker = "1" if extra.get("producers") == "2" or FAULTS.get(self.kind).spec.joins else "0"
        on = on.replace(ZONE, zone).replace(CONSUMER, f"c{worker}").replace(PRODUCER, f"p{worker}")
        text = scenario(
            own.fault, on, self.span, broker=broker, cluster=self.cluster(broker), **(extra | dict(self.workload))
        )
        # What is accepted meanwhile proves no fault, and with some brokers its bound lies beyond so short a run.
        return f"{text}  acceptance: off\n"


_OUTSIDE: Mapping[str, str] = {"consumer": "{handler_in: worker}"}
_LARGE: Mapping[str, str] = {"payload": "512KiB", "duration": "8s"}

_CASES: dict[str, Case] = {
    "add_partitions": Case(
        fault="add_partitions: {count: 2}",
        span="",
        lost=("topic.add_partitions",),
        needs=(BrokerAbility.ADD_PARTITIONS,),
    ),
    "bandwidth": Case(fault="bandwidth: {rate: 50KB/s}", on=CLIENT_LINK, span="for: 3s", lost=TOXICS),
    "blackhole": Case(fault="blackhole: {}", on=CLIENT_LINK, span="for: 2500ms", lost=TOXICS),
    "client_block": Case(
        fault="client_block: {}", on="{worker: <consumer>}", span="for: 3s", lost=("workers.block_handler",)
    ),
    "client_block outside the loop": Case(
        fault="client_block: {}",
        on="{worker: <consumer>}",
        span="for: 3s",
        workload=_OUTSIDE,
        lost=("workers.block_handler",),
    ),
    "client_join": Case(fault="client_join: {}", on="{worker: <consumer>}", span="", lost=("workers.join",)),
    "client_kill": Case(fault="client_kill: {}", on="{worker: <consumer>}", lost=("workers.kill",)),
    "client_kill of a producer": Case(fault="client_kill: {}", on="{worker: <producer>}", lost=("workers.kill",)),
    "client_leave": Case(fault="client_leave: {}", on="{worker: <consumer>}", lost=("workers.leave",)),
    "client_leave of a producer": Case(fault="client_leave: {}", on="{worker: <producer>}", lost=("workers.leave",)),
    "client_pause": Case(fault="client_pause: {}", on="{worker: <consumer>}", lost=("workers.pause",)),
    "client_slow": Case(
        # Changes of members stop its messages, and so what it shows.
        fault="client_slow: {extra: 30ms}",
        on="{worker: <consumer>}",
        span="for: 2500ms",
        calm=True,
        lost=("workers.slow_handler",),
    ),
    "cpu": Case(
        # Less than neighbours leave of a busy machine, or nothing would be throttled.
        fault="cpu: {limit: 0.15cores, burn: true}",
        on="{node: n1}",
        span="for: 2500ms",
        lost=("nodes.limit_cpu", "nodes.burn"),
    ),
    "cpu as a fraction": Case(
        fault="cpu: {fraction: 40%, burn: true}", on="{node: n1}", lost=("nodes.limit_cpu", "nodes.burn")
    ),
    "disconnect": Case(fault="disconnect: {}", on=CLIENT_LINK, lost=("control.switch_off", "control.switch_on")),
    "disk_full": Case(fault="disk_full: {}", on="{node: broker}", alone=True, lost=("nodes.disk.fill",)),
    "kill": Case(fault="kill: {}", on="{node: n1}", lost=("nodes.kill",)),
    "kill of the coordinator": Case(
        fault="kill: {}",
        on="{node: broker, mode: coordinator}",
        copied=True,
        targets=1,
        lost=("nodes.kill",),
        needs=(BrokerAbility.COORDINATOR,),
    ),
    "latency": Case(
        fault="latency: {delay: 40ms, jitter: 10ms, jitter_from: seed}", on=CLIENT_LINK, targets=1, lost=TOXICS
    ),
    "latency between all nodes": Case(
        fault="latency: {delay: 40ms, direction: up}",
        on="{link: broker-broker}",
        copied=True,
        targets="peers",
        like=r"n\d->n\d",
        lost=TOXICS,
    ),
    "latency from one node to another": Case(
        fault="latency: {delay: 40ms, direction: up}",
        on=f"{{link: {PEER}}}",
        copied=True,
        targets=1,
        like=PEER,
        lost=TOXICS,
    ),
    "latency to a partition's leader": Case(
        fault="latency: {delay: 40ms}",
        on="{link: client-broker, mode: leader, partition: 1<zone>}",
        copied=True,
        targets=1,
        like=r"(clients|z\d+)->n\d",
        lost=TOXICS,
        needs=(BrokerAbility.PARTITION_LEADERS,),
    ),
    "latency to one client alone": Case(
        fault="latency: {delay: 40ms}",
        on=CLIENT_LINK,
        zoned=True,
        targets=1,
        lost=TOXICS,
        needs=(BrokerAbility.ZONES,),
    ),
    "latency to the leader": Case(
        fault="latency: {delay: 40ms}",
        on="{link: client-broker, mode: leader<zone>}",
        copied=True,
        targets=1,
        like=r"(clients|z\d+)->n\d",
        lost=TOXICS,
    ),
    "limit_data": Case(fault="limit_data: {bytes: 20KiB}", on=CLIENT_LINK, span="for: 2500ms", lost=TOXICS),
    "limit_data towards the node": Case(
        fault="limit_data: {bytes: 20KiB, direction: up}", on=CLIENT_LINK, span="for: 2500ms", lost=TOXICS
    ),
    "memory": Case(
        fault=f"memory: {{limit: {MEMORY}}}",
        on="{node: broker}",
        # Page cache counts: it fills what is left, on a starved machine too.
        span="for: 6s",
        workload=_LARGE,
        alone=True,
        lost=("nodes.limit_memory",),
    ),
    "move_leader": Case(
        fault="move_leader: {}", span="", copied=True, lost=("leaders.move_leader",), needs=(BrokerAbility.MOVE_LEADER,)
    ),
    "move_leader of a partition": Case(
        fault="move_leader: {partition: 1}",
        span="",
        copied=True,
        lost=("leaders.move_leader",),
        needs=(BrokerAbility.MOVE_LEADER, BrokerAbility.PARTITION_LEADERS),
    ),
    "partition": Case(fault="partition: {}", on="{node: n1}", span="for: 3s", copied=True, lost=TOXICS),
    "partition one way, from everybody, of two": Case(
        fault="partition: {from: both, direction: out, together_with: [n2]}",
        on="{node: n1}",
        span="for: 3s",
        copied=True,
        lost=TOXICS,
    ),
    "pause": Case(fault="pause: {}", on="{node: n1}", lost=("nodes.pause",)),
    "power_loss": Case(
        fault=f"power_loss: {{down: {DOWN}}}",
        on="{node: n1}",
        span="",
        # Copies: what one node loses is not lost to the others.
        copied=True,
        alone=True,
        lost=("nodes.disk.cut",),
    ),
    "reset": Case(fault="reset: {every: 800ms}", on=CLIENT_LINK, lost=TOXICS),
    "restart": Case(fault="restart: {signal: TERM, down: 300ms}", on="{node: n1}", span="", lost=("nodes.stop",)),
    "restart of the coordinator": Case(
        fault="restart: {signal: KILL, down: 300ms}",
        on="{node: broker, mode: coordinator}",
        span="",
        copied=True,
        targets=1,
        lost=("nodes.kill",),
        needs=(BrokerAbility.COORDINATOR,),
    ),
    "rolling restart": Case(
        fault="restart: {signal: TERM, down: 300ms, rolling: true}",
        on="{node: broker}",
        span="",
        copied=True,
        workload={"duration": "12s"},
        targets="nodes",
        lost=("nodes.stop",),
    ),
    "slicer": Case(fault="slicer: {size: 512B, delay: 1ms}", on=CLIENT_LINK, lost=TOXICS),
    "slow_close": Case(fault="slow_close: {delay: 150ms}", on=CLIENT_LINK, lost=TOXICS),
    "stall": Case(fault="stall: {}", on=CLIENT_LINK, span="for: 2500ms", lost=TOXICS),
    "stall of one direction": Case(fault="stall: {direction: up}", on=CLIENT_LINK, span="for: 2500ms", lost=TOXICS),
    "stop": Case(fault="stop: {}", on="{node: n1}", lost=("nodes.stop",)),
}


@cache
def cases() -> Mapping[str, Case]:
    """Return name → case: those of this table, and what profiles bring for faults of their own."""
    found = dict(_CASES)
    for profile in profiles().values():
        found |= profile.cases
    return dict(sorted(found.items()))


def fault_id(name: str) -> str:
    """Return the id that a case's fault bears in a run of many."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
