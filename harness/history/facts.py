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
from harness.history.old_facts import translate, translate_2, translate_3, translate_4, translate_5
from harness.regular import read_regular_text

VERSION: Final = 6
"""Of the form of ``facts.json``; a file that names none has the form 1. Until version 2 it said nothing of locks, dead
letters, delayed messages and threads; until version 3, nothing of the plan's length, of accepting sends, of what is
pending at once, of isolation, outputs, open transactions, late redeliveries and removals, of what a log may do with
what it holds, and of what is given up; until version 4, nothing of how many bytes a message takes; until version 5,
nothing of what consumers show of their work."""

PARTITIONS_MAX: Final = 1_000_000
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
        pending_max: So many deliveries of a partition may be unacknowledged at once; 0 = not said.
        asked_max: A consumer asks for so many messages of a partition at once, and again only when it was given them;
            0 = not said, so nothing is known of when the broker sent one.
    """

    confirmed: bool = False
    wait_ns: int = 30_000_000_000
    pending_max: int = 0
    asked_max: int = 0


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
        notice_ns: How long after the members have changed each of them knows what is its own; 0 = by the end of a
            session.
        lock_ns: A member works on a partition only while the broker grants it a lock, which lives this long after it
            was last renewed; 0 = there are no locks.
    """

    states: Mapping[str, StateMeaning]
    rounds_per_change: int = 1
    eager: bool = False
    session_timeout_ns: int = 0
    rebalance_timeout_ns: int = 0
    notice_ns: int = 0
    lock_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Removals:
    """What a broker may remove from a log by its configuration, acknowledged messages included.

    Attributes:
        settled: A message is removed once it was settled: acknowledged by its consumers.
        count_max: The log keeps so many messages, the newest ones, over all partitions; 0 = no limit, here and below.
        bytes_max: It keeps so many bytes, over all partitions, or of each where logs are one to a partition.
        message_bytes_min, message_bytes_max: One entry of the log takes no fewer and no more of these bytes; 0 = not
            said.
        names_in_bytes: The fewest are those of a message whose partition, key and sequence have one digit each; each
            further digit takes one byte more, and nothing else differs.
        age_ns_max: It keeps a message for so long.
        per_partition_max: It keeps so many messages of each partition, the newest ones.
        compacted: It keeps the newest message of each key alone.
        of_copy: Consumers read a copy that removes messages by limits of its own.
    """

    settled: bool = False
    count_max: int = 0
    bytes_max: int = 0
    message_bytes_min: int = 0
    message_bytes_max: int = 0
    names_in_bytes: bool = False
    age_ns_max: int = 0
    per_partition_max: int = 0
    compacted: bool = False
    of_copy: bool = False

    @property
    def of_oldest(self) -> bool:
        """Whether messages may be removed at the beginning of the log, consumed or not."""
        return bool(self.count_max or self.bytes_max or self.age_ns_max or self.per_partition_max)

    @property
    def inside(self) -> bool:
        """Whether messages may be removed between others that stay."""
        return self.settled or self.compacted or self.per_partition_max > 0


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
        planned_end_ns: When the declared drain ends, from the start of the timeline; 0 = not known.
        first_fault_ns: When the first fault is applied at the latest, from the start of the timeline; without faults 0.
        sends_acknowledged: Brokers answer sends, so that one without an answer was not accepted.
        accept_ns_derived: Longest time for which a partition may accept nothing of a producer in this plan's faults;
            ``accept_formula``. 0 = not said.
        transaction_ns: A producer collects messages for so long, at most, before it commits them; 0 = no transactions.
        aborts_on_purpose: Producers abort some of their transactions themselves.
        refusals: Sentences: what of this configuration lets a broker refuse sends.
        limits_ns_derived: Check and metric (``rebalances.length_ns_max``) → its default in this plan's faults, where
            the check would take the broker's worst case; ``limits_formulas``.
        causes_ns_derived: Cause of a pause (``owner``, ``collateral``…) → longest that the configuration allows;
            ``causes_formulas`` says how each is derived.
        threads_per_partition: Threads of one consumer that may handle messages of one partition at once; 0 = not said.
        dead_letters: The broker puts messages aside whose handlers failed too often, into a log of their own.
        delay_early_ns: How much before it is due a delayed message may come: the precision of the broker's clock.
        isolation: What consumers and the audit are given of transactions: what is ``committed``, or all
            (``uncommitted``); empty = not said.
        outputs: Consumers write one message for each that they process, in one transaction with its position.
        open_transaction_ns: Consumers are given nothing beyond a transaction that is open, which the broker aborts
            after this long; 0 = there are none, or they hold nothing up.
        late_redelivery: Sentence on what lets a redelivery come after its successors; empty = nothing does.
        removal: Sentence on what may remove messages from a log before they were consumed; empty = nothing does.
        durable: Acknowledged messages must survive what this plan does to the nodes.
        removals: What the broker may remove from a log; None = not said.
        attempts_max: The broker delivers a message so many times at most, then gives it up; 0 = without limit.
        first_offset: Place of the first message of a log; -1 = not said.
        starts_at: Where a consumer begins that has no position, or one that the log no longer has: ``earliest``,
            ``latest``, or ``error``: nowhere; empty = not said, or positions are the broker's.
        reads_copy: Consumers read a copy of the log that producers write. Its messages bear the places of the original.
        one_log: All partitions lie in one log: an offset is one place, whatever the partition.
        fixed_partitions: A message lies in the partition that its SEND names, whatever its producer tried.
        shows: What consumers show of their work: everything, as their journals have it (``""`` of reference consumers,
            ``lines`` of an application), or nothing but what the broker says of members and positions (``commits``).
        fixed_owners: Partition → the only worker that reads it, where these show commits alone and no group deals
            partitions out.
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
    planned_end_ns: int = 0
    first_fault_ns: int = 0
    sends_acknowledged: bool = True
    accept_ns_derived: int = 0
    accept_formula: str = ""
    transaction_ns: int = 0
    aborts_on_purpose: bool = False
    refusals: tuple[str, ...] = ()
    limits_ns_derived: Mapping[str, int] = field(default_factory=dict)
    limits_formulas: Mapping[str, str] = field(default_factory=dict)
    causes_ns_derived: Mapping[str, int] = field(default_factory=dict)
    causes_formulas: Mapping[str, str] = field(default_factory=dict)
    threads_per_partition: int = 0
    dead_letters: bool = False
    delay_early_ns: int = 0
    isolation: Literal["", "committed", "uncommitted"] = ""
    outputs: bool = False
    open_transaction_ns: int = 0
    late_redelivery: str = ""
    removal: str = ""
    durable: bool = True
    removals: Removals | None = None
    attempts_max: int = 0
    first_offset: int = -1
    starts_at: Literal["", "earliest", "latest", "error"] = ""
    reads_copy: bool = False
    one_log: bool = False
    fixed_partitions: bool = False
    shows: Literal["", "lines", "commits"] = ""
    fixed_owners: Mapping[int, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()

    @property
    def retention(self) -> bool:
        """Whether the broker may remove messages at the beginning of a log by itself; also where nothing is said."""
        return self.removals is None or self.removals.of_oldest

    @property
    def removes_inside(self) -> bool:
        """Whether the broker may remove messages between others by itself; not where nothing is said."""
        return self.removals is not None and self.removals.inside

    @property
    def by_positions(self) -> bool:
        """Whether the group's positions and members alone show what consumers do: no delivery is recorded."""
        return self.shows == "commits"

    @property
    def session_timeout_ns(self) -> int:
        """Time-out of the group's session; 0 without a group."""
        return 0 if self.group is None else self.group.session_timeout_ns

    @property
    def reads_uncommitted(self) -> bool:
        """Whether consumers are given messages of open and of aborted transactions, too."""
        return self.isolation == "uncommitted" and self.transaction_ns > 0

    @property
    def eager(self) -> bool:
        """Whether members of the group give everything back at every rebalance; False without a group."""
        return self.group is not None and self.group.eager

    def yields(self, cause: str) -> bool:
        """Return whether a pause can have this cause, as far as the configuration says; unknown causes can."""
        group, acknowledged = self.group, self.settling.acknowledged
        dealt = group is not None and "rebalancing" in group.states.values()
        return {
            "lock": group is not None and group.lock_ns > 0,
            "pending": acknowledged is not None and acknowledged.pending_max > 0,
            "transaction": self.open_transaction_ns > 0,
            "coordinator": dealt,
            "collateral": group is not None,
            "rebalance": group is not None,
        }.get(cause, True)

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
        content = json.loads(read_regular_text(path))
        if not isinstance(content, dict):
            raise ValueError(f"{type(content).__name__} in place of an object")  # noqa: TRY004  one error for all
        version = content.pop("version", 1)
        if type(version) is not int or not 1 <= version <= VERSION:
            raise ValueError(f"its version is {version!r}, and this harness reads 1 to {VERSION}")
        if version == 1:
            facts = Facts.of(translate(content))
        else:
            for before, translated in ((2, translate_2), (3, translate_3), (4, translate_4), (5, translate_5)):
                content = translated(content) if version <= before else content
            facts = typed.read(Facts, content)
        if not 1 <= facts.partitions <= PARTITIONS_MAX:
            raise ValueError(f"partitions: {facts.partitions} is not between 1 and {PARTITIONS_MAX:,}")
        return facts

    @staticmethod
    def of(content: Mapping[str, Any]) -> Facts:
        """Return facts from the present form as JSON has it; what it does not name keeps its default.

        Raises:
            ValueError: A key is unknown, missing or of another type.
        """
        return typed.read(Facts, content, defaults=True)
