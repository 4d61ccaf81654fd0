"""The top level of a scenario file and the words of a fault entry, as dataclasses that the loader and
the schema share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from harness.scenario.model import Attempts
from harness.units import Duration

SEED_MAX: Final = 2**53 - 1
SEED_DEFAULT: Final = 1
TAG_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]*$"
ZONE_PATTERN: Final = r"^[a-z][a-z0-9-]*$"
ID_PATTERN: Final = r"^[a-z][a-z0-9_-]*$"
NODE_PATTERN: Final = r"^n[0-9]+$"
"""Names that look like a node's whatever the broker."""
VERSION_PATTERN: Final = r"^[0-9]+\.[0-9]+\.[0-9]+(-RC\.[0-9]+)?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A scenario: a cluster, a workload, faults, and what is expected of it.

    Attributes:
        version: Version of this language.
        title: One line that says what holds, or what must not.
        why: The reason why it matters, or where the case comes from.
        tags: Words by which scenarios are selected.
        broker: The distribution: an alias (`nats-2`) or an exact version (`nats-2.12.1`). Needed unless the matrix
            varies it.
        seed: From which every random choice is drawn; `random` draws a new one each time and records it.
        matrix: Dotted path → list of values. Every combination is one variant.
        cluster: The broker cluster.
        workload: What is sent and consumed.
        faults: What is done to the cluster, its links and the workers, and when.
        expect: Check → limits. Checks that are not named are shown, not judged.
        must_fail: Canaries: exactly these checks of `expect` must fail.
        attempts: For races: how often it is run, and how often it must show.
    """

    version: Literal[1]
    title: str
    why: str = ""
    tags: tuple[str, ...] = ()
    broker: str = ""
    seed: Any = SEED_DEFAULT
    matrix: Any = None
    cluster: Any = None
    workload: Any = None
    faults: Any = None
    expect: Any
    must_fail: Any = None
    attempts: Attempts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWords:
    """The keys of a fault entry other than the fault itself.

    Attributes:
        on: Where it acts; not written for faults that act on the topic.
        id: Its name in reports and for `after`; kind and position (`latency-1`) when left out.
        at_ns: When it is applied, after the end of warm-up.
        when: The state at which it is applied, in place of `at`.
        for_ns: How long until it is healed; not written for faults that end by themselves.
    """

    on: Any = None
    id: str = ""
    at_ns: Duration | None = None
    when: Any = None
    for_ns: Duration | None = field(default=None, metadata={"minimum": 1})
