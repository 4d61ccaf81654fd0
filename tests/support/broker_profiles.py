"""What tests must know of each broker: one profile a broker, in ``tests/brokers/<kind>.py``; the folder is the list.

The conformance suite, the benchmarks and the order in which tests run read these and name no broker. A third party's
broker takes part with a profile in a folder that ``HARNESS_PROFILES`` names.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "brokers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """What spoils a gate, so that it must fail.

    Attributes:
        settings: Path in the scenario (``faults.0.for``) → value that takes the place of the gate's own.
        check: The check that must then fail.
    """

    settings: Mapping[str, Any]
    check: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerProfile:
    """One broker, as tests use it.

    Attributes:
        alias: The distribution that tests run.
        quick_consumer: Options of a consumer that notices soon what is lost, as YAML.
        copies: Nodes of a cluster on which everything has copies.
        peers: The links between these nodes.
        cluster: Further keys of every cluster, as YAML (``topic: {flush: sync}``).
        node_memory: A limit above what a node holds when it has just started, and below that with some
            seconds of page cache.
        down: How long a node that lost its power stays away, so that it comes back as one that was missed.
        duration_with_restart: Of a workload in which a node dies and returns; empty = no longer than any other.
        returns, returns_stopped: How long one takes to be back in the cluster after a SIGKILL, and after a SIGTERM.
        settles: After a fault that takes no node down, until the broker is as before.
        jvm: Its nodes are JVMs: several at once take all of a small machine's CPUs.
        client_library: The package that its reference clients import, and no other broker's.
        sabotages: Gate on this broker (the name of its file, without suffix) → what spoils it. Every gate has one.
        cases: Name → ``fault_cases.Case`` of a fault that comes with the broker's package.
    """

    alias: str
    quick_consumer: str
    copies: int = 3
    peers: tuple[str, ...] = tuple(f"n{source}->n{target}" for source, target in permutations((1, 2, 3), 2))
    cluster: str = ""
    node_memory: str
    down: str
    duration_with_restart: str = ""
    returns: str = "1s"
    returns_stopped: str = "1s"
    settles: str = "0s"
    jvm: bool = False
    client_library: str
    sabotages: Mapping[str, Sabotage] = field(default_factory=dict)
    cases: Mapping[str, Any] = field(default_factory=dict)


def shipped() -> Mapping[str, BrokerProfile]:
    """Return kind → profile of the brokers of this repository."""
    return {path.stem: importlib.import_module(f"brokers.{path.stem}").PROFILE for path in sorted(FOLDER.glob("*.py"))}


@cache
def profiles() -> Mapping[str, BrokerProfile]:
    """Return kind → profile of every broker that takes part, those whose nodes are light first."""
    found = dict(shipped())
    for path in sorted(Path(folder) for folder in os.environ.get("HARNESS_PROFILES", "").split(os.pathsep) if folder):
        for file in sorted(path.glob("*.py")):
            spec = importlib.util.spec_from_file_location(f"profiles.{file.stem}", file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            found[file.stem] = module.PROFILE
    return dict(sorted(found.items(), key=lambda item: item[1].jvm))
