"""move_leader: a partition (of NATS: the stream) is handed to another replica that is in sync, while it is in use."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.brokers.base import Leadership
from harness.clock import NS_PER_S
from harness.errors import ControlError, RefusedError
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.cluster_commands import retry_until_accepted
from harness.faults.kit.lifetime import OneOffFault
from harness.scenario.abilities import BrokerAbility
from harness.scenario.model import TOPIC
from harness.scenario.plugins import FaultPlace, FaultSpec, Refusal

_SPAN_NS = 2 * NS_PER_S
_SERVES_NS = 5 * NS_PER_S
"""How long a new leader may take to serve. (Kafka: it reports its log's end once its followers have fetched from it,
0.1 s to 1.5 s on a busy machine; NATS: 0.3 s.) One that takes longer than the plan's span delays the end of the
timeline.
"""

_POLL_S = 0.015
_PROBE = "the nodes' own answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLeaderOptions:
    """Options of move_leader.

    Attributes:
        partition: Whose leader. Brokers with one leader for all partitions take 0.
    """

    partition: int = field(default=0, metadata={"minimum": 0})


class MoveLeader(OneOffFault[MoveLeaderOptions]):
    """Leadership changes hands, and stays where it is then."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._before = ""
        self._elsewhere: Leadership | None = None

    async def apply(self) -> None:
        """Give the command until it is accepted, and wait until another node serves: only then is it carried out."""
        leaders = self.context.leaders
        if leaders is None:
            raise ControlError("this broker's administration cannot hand leadership over")

        async def needed(unanswered: bool) -> bool:
            now = await leaders.leadership(self.options.partition)
            if not now.leader:
                raise RefusedError("no node leads, so there is no leadership to hand over")
            if unanswered and now.leader != self._before:
                return False
            self._before = now.leader
            return True

        await retry_until_accepted(self.context, needed, lambda: leaders.move_leader(self.options.partition))
        deadline_ns = self.context.now_ns() + _SERVES_NS
        for _ in itertools.count():
            if self._has_moved(await self._now()) or self.context.now_ns() >= deadline_ns:
                break
            await asyncio.sleep(_POLL_S)

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether another node leads, or has led since, according to most nodes and to itself, asked
        over other connections.
        """
        now = self._elsewhere or await self._now()
        required = "another node leads, and says so itself"
        return (evidence.sentence("effect", TOPIC, _PROBE, self._has_moved(now), self._describe(now), required),)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether a node leads, and every replica is in sync with it."""
        now = await self._now()
        whole = now.obeyed and bool(now.replicas) and set(now.in_sync) == set(now.replicas)
        shown = f"{self._describe(now)}; in sync: {', '.join(now.in_sync) or 'none'}"
        required = f"a node leads; in sync: {', '.join(sorted(now.replicas)) or 'every replica'}"
        return (evidence.sentence("healing", TOPIC, _PROBE, whole, shown, required),)

    def _has_moved(self, now: Leadership) -> bool:
        moved = bool(self._before) and now.leader not in {"", self._before} and now.obeyed
        if moved and self._elsewhere is None:
            self._elsewhere = now  # it need not stay there: other faults may move it on, or back
        return moved

    async def _now(self) -> Leadership:
        leaders = self.context.leaders
        return Leadership() if leaders is None else await leaders.leadership(self.options.partition)

    def _describe(self, now: Leadership) -> str:
        own = "" if now.obeyed or not now.leader else ", but does not say so itself"
        return f"{now.leader or 'no node'} leads{own} (before: {self._before or 'not known'})"


def _validate(options: MoveLeaderOptions, place: FaultPlace | None) -> Iterator[Refusal]:
    """Yield why leadership cannot be handed over here."""
    if place is None:
        return
    lacking = place.lacks(BrokerAbility.PARTITION_LEADERS) if options.partition else None
    if lacking is not None:
        yield dataclasses.replace(lacking, key="partition")
    elif place.cluster.replicas < 2:
        yield Refusal("with 1 replica there is no other replica to lead")
    elif options.partition >= place.workload.partitions:
        yield Refusal(f"there is no partition {options.partition}, of {place.workload.partitions}", "partition")


FAULTS.register("move_leader")(
    FaultKind(
        name="move_leader",
        summary="Hand a partition's (or the stream's) leadership to another replica that is in sync.",
        spec=FaultSpec(
            options=MoveLeaderOptions,
            acts_on="topic",
            ends_itself=True,
            span_ns=lambda _, __: _SPAN_NS,
            needs=(BrokerAbility.MOVE_LEADER,),
            validate=_validate,
        ),
        make=MoveLeader,
        describe=lambda options: f"of partition {options.partition}",
    )
)
