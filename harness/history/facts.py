"""What the configuration of a run makes true, written to ``facts.json`` by the engine and read by the checks.

Owns the parts: what every run has, how deliveries are settled, and the consumer group. Checks derive from them what is
allowed; they never ask a broker or a scenario, and never know a broker's protocol by name.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from harness.history import typed
from harness.history.old_facts import translate

VERSION: Final = 2
"""Of the form of ``facts.json``; a file that names none has the form 1."""

_PARTITIONS_MAX: Final = 1_000_000
"""Far more than a scenario may have; checks take memory for each."""

StateMeaning = Literal["settled", "rebalancing", "empty", "gone"]
"""What a group's state means: every partition has its owner; partitions are being dealt out; there are no members; the
node that answered knows no such group (which proves nothing about members)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """Deliveries are acknowledged one by one.

    Attributes:
        confirmed: The broker confirms acknowledgements (double ack).
        wait_ns: An unacknowledged message is redelivered after this long.
    """

    confirmed: bool = False
    wait_ns: int = 30_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """How a consumer settles deliveries: one by one, by positions, or both; with neither, the broker settles on
    delivery.

    Attributes:
        acknowledged: Each delivery has an acknowledgement of its own (an ACKED record); None = it has none.
        positions: Progress is a position per partition (COMMIT records).
        when: Whether the consumer settles ``after`` or ``before`` its handler finished.
    """

    acknowledged: Acknowledged | None = None
    positions: bool = False
    when: Literal["after", "before"] = "after"

    @property
    def on_delivery(self) -> bool:
        """Whether a delivery is settled as soon as it is made: the broker waits for nothing."""
        return self.acknowledged is None and not self.positions


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """The consumer group by which partitions find their owners.

    Attributes:
        states: State that its broker may report → what it means.
        rounds_per_change: Rebalances that one change of its members takes at most (eager 1, cooperative 2).
        eager: Every rebalance takes every partition from every member.
        session_timeout_ns: The group expels a member that it has not heard of for this long; 0 = never.
        rebalance_timeout_ns: The group expels a member that has not polled, or not joined a rebalance, for this long;
            0 = never.
    """

    states: Mapping[str, StateMeaning]
    rounds_per_change: int = 1
    eager: bool = False
    session_timeout_ns: int = 0
    rebalance_timeout_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Configuration facts of one run.

    Attributes:
        partitions: Number of independent logs.
        nodes: Node names.
        worker_zones: Worker → client zone.
        links: Link name → (zone, node) of the client links.
        settling: How consumers settle deliveries.
        group: The consumer group; None when partitions have fixed owners.
        message_ids: The producer sends ids by which the broker drops duplicates.
        dedupe_window_ns: How long the broker remembers ids.
        shared_partitions: More than one consumer may own a partition at once (no order can be expected).
        detection_bound_ns: After the leader is reachable again, how long the client may take to notice and to be
            given messages: derived from its time-outs; ``detection_formula`` says how.
        pause_ns_derived: Longest pause that the configuration allows in this plan's faults; ``pause_formula``.
        membership_changes: Departures and returns of consumers that the plan itself makes, each counted.
        topic_partitions_added: Partitions that the plan adds.
        causes_ns_derived: Cause of a pause (``owner``, ``collateral``…) → longest that the configuration allows;
            ``causes_formulas`` says how each is derived.
        durable: Acknowledged messages must survive what this plan does to the nodes.
        allowed: Sentences: what this configuration allows (``a message may be lost when …``).
    """

    partitions: int
    nodes: tuple[str, ...]
    worker_zones: Mapping[str, str]
    links: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    settling: Settling = field(default_factory=lambda: Settling(acknowledged=Acknowledged()))
    group: GroupFacts | None = None
    message_ids: bool = True
    dedupe_window_ns: int = 120_000_000_000
    shared_partitions: bool = False
    detection_bound_ns: int = 0
    detection_formula: str = ""
    pause_ns_derived: int = 0
    pause_formula: str = ""
    membership_changes: int = 0
    topic_partitions_added: int = 0
    causes_ns_derived: Mapping[str, int] = field(default_factory=dict)
    causes_formulas: Mapping[str, str] = field(default_factory=dict)
    durable: bool = True
    allowed: tuple[str, ...] = ()

    @property
    def session_timeout_ns(self) -> int:
        """Time-out of the group's session; 0 without a group."""
        return 0 if self.group is None else self.group.session_timeout_ns

    @property
    def eager(self) -> bool:
        """Whether members of the group give everything back at every rebalance; False without a group."""
        return self.group is not None and self.group.eager

    def meaning(self, state: str) -> StateMeaning | None:
        """Return what a group's state means; None for one that the facts do not name."""
        return None if self.group is None else self.group.states.get(state)

    def save(self, path: Path) -> None:
        """Write as JSON, with the version of the form."""
        content = {"version": VERSION} | dataclasses.asdict(self)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Facts:
        """Read what this or an earlier version wrote; raises ValueError when it does not fit."""
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"{type(content).__name__} in place of an object")  # noqa: TRY004  one error for all
        version = content.pop("version", 1)
        if type(version) is not int or version not in (1, VERSION):
            raise ValueError(f"its version is {version!r}, and this harness reads 1 to {VERSION}")
        facts = Facts.of(translate(content)) if version == 1 else typed.read(Facts, content)
        if not 1 <= facts.partitions <= _PARTITIONS_MAX:
            raise ValueError(f"partitions: {facts.partitions} is not between 1 and {_PARTITIONS_MAX:,}")
        return facts

    @staticmethod
    def of(content: Mapping[str, Any]) -> Facts:
        """Return facts from the present form as JSON has it; what it does not name keeps its default.

        Raises:
            ValueError: A key is unknown, missing or of another type.
        """
        return typed.read(Facts, content, defaults=True)
