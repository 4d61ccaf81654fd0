"""add_partitions: the topic gets more partitions while it is in use; they stay."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.clock import NS_PER_S
from harness.errors import ControlError, RefusedError
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind, Stage
from harness.faults.kit import evidence
from harness.faults.kit.cluster_commands import retry_until_accepted
from harness.faults.kit.lifetime import OneOffFault
from harness.scenario.abilities import BrokerAbility
from harness.scenario.model import TOPIC
from harness.scenario.plugins import FaultSpec

_SPAN_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPartitionsOptions:
    """Options of add_partitions.

    Attributes:
        count: How many partitions are added to those that there are.
    """

    count: int = field(metadata={"minimum": 1, "maximum": 1000})


class AddPartitions(OneOffFault[AddPartitionsOptions]):
    """The topic grows. No broker takes partitions away: they stay."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._before = 0

    async def apply(self) -> None:
        """Add them; the command is given until it is accepted."""
        topic = self.context.topic
        if topic is None:
            raise ControlError("this broker's administration cannot add partitions")

        async def needed(unanswered: bool) -> bool:
            count = await topic.partition_count()
            if not count:
                raise RefusedError("no node says how many partitions the topic has")
            if unanswered and count == self._before + self.options.count:
                return False
            self._before = count
            return True

        await retry_until_accepted(
            self.context, needed, lambda: topic.add_partitions(self._before + self.options.count)
        )

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the cluster's metadata names as many more, asked over another connection than the command's."""
        return (await self._count("effect"),)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether the cluster's metadata still names them."""
        return (await self._count("healing"),)

    async def _count(self, stage: Stage) -> Evidence:
        topic = self.context.topic
        count = await topic.partition_count() if topic is not None else 0
        wanted = self._before + self.options.count
        return evidence.sentence(
            stage,
            TOPIC,
            "the cluster's metadata",
            self._before > 0 and count == wanted,
            f"{count} partitions (before: {self._before})",
            f"{wanted} partitions",
        )


FAULTS.register("add_partitions")(
    FaultKind(
        name="add_partitions",
        summary="Add partitions to the topic while it is in use; they stay.",
        spec=FaultSpec(
            options=AddPartitionsOptions,
            acts_on="topic",
            ends_itself=True,
            span_ns=lambda _, __: _SPAN_NS,
            needs=(BrokerAbility.ADD_PARTITIONS,),
            partitions_added=lambda options: options.count,
        ),
        make=AddPartitions,
        describe=lambda options: f"{options.count} more",
    )
)
