"""What the configuration of a run makes true, written to ``facts.json`` by the engine and read by the checks.

Checks derive from it what is allowed; they never ask a broker or a scenario.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Configuration facts of one run.

    Attributes:
        partitions: Number of independent logs.
        nodes: Node names.
        worker_zones: Worker → client zone.
        links: Link name → (zone, node) of the client links.
        ack_policy: Consumer acknowledgement: ``explicit`` or ``none``.
        ack_when: Whether the consumer acknowledges ``after`` or ``before`` its handler finished.
        acks_confirmed: Acknowledgements are confirmed by the broker (double ack).
        ack_wait_ns: An unacknowledged message is redelivered after this long.
        message_ids: The producer sends ids by which the broker drops duplicates.
        dedupe_window_ns: How long the broker remembers ids.
        shared_partitions: More than one consumer may own a partition at once (no order can be expected).
        detection_bound_ns: After the leader is reachable again, how long the client may take to notice and to be
            given messages: derived from its time-outs; ``detection_formula`` says how.
        pause_ns_derived: Longest pause that the configuration allows in this plan's faults; ``pause_formula``.
        group_protocol: How partitions find their owners: ``classic`` or ``consumer`` (KIP-848) groups of the broker,
            empty without groups (owners are fixed).
        eager: The assignor takes every partition from every member at every rebalance.
        session_timeout_ns: The group expels a member that it has not heard of for this long; 0 without groups.
        rebalance_timeout_ns: The group expels a member that has not polled, or not joined a rebalance, for this long
            (``max.poll.interval.ms``); 0 without groups.
        commits: Progress is told by COMMIT positions, not by an ACKED per message.
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
    ack_policy: Literal["explicit", "none"] = "explicit"
    ack_when: Literal["after", "before"] = "after"
    acks_confirmed: bool = False
    ack_wait_ns: int = 30_000_000_000
    message_ids: bool = True
    dedupe_window_ns: int = 120_000_000_000
    shared_partitions: bool = False
    detection_bound_ns: int = 0
    detection_formula: str = ""
    pause_ns_derived: int = 0
    pause_formula: str = ""
    group_protocol: Literal["", "classic", "consumer"] = ""
    eager: bool = False
    session_timeout_ns: int = 0
    rebalance_timeout_ns: int = 0
    commits: bool = False
    membership_changes: int = 0
    topic_partitions_added: int = 0
    causes_ns_derived: Mapping[str, int] = field(default_factory=dict)
    causes_formulas: Mapping[str, str] = field(default_factory=dict)
    durable: bool = True
    allowed: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Facts:
        """Read what ``save`` wrote; raises ValueError or TypeError when it does not fit."""
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content["links"] = {name: tuple(ends) for name, ends in content["links"].items()}
        for name in ("nodes", "allowed"):
            content[name] = tuple(content[name])
        return Facts(**content)
