"""Keys of ``cluster.config`` that are not a scenario's to set: the harness's own, and those that reach outside the run.

Owns how keys are found in a configuration and what is said of them. Never knows a key by name: each broker's package
has a table of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from harness.scenario import tree
from harness.scenario.nodes import child
from harness.scenario.reader import NodeReader
from harness.scenario.tree import Node, Scalar

TRUST_HINT = "--trust allows it, for a scenario that you trust like a program"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedKeys:
    """Some keys, and why a scenario does not set them.

    Attributes:
        patterns: Dotted paths below ``cluster.config``; ``*`` stands for any characters.
        is_: ``own``: the harness sets them itself, and they are always refused. ``outside``: they reach outside the run
            (files, addresses, code of others), and are refused unless the scenario is trusted.
        why: A sentence's second half: ``nodes keep their data in the run directory``.
    """

    patterns: tuple[str, ...]
    is_: Literal["own", "outside"]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigKeys:
    """What a broker's package says of the keys of its configuration.

    Attributes:
        reserved: The first that has a key's path counts.
        word: Regular expression of a key at any depth, so that no key is read as another one, or as several, in the
            format of the broker's file.
        word_hint: The same in words.
        ignores_case: The broker takes keys in any case; then patterns are in lower case.
    """

    reserved: tuple[ReservedKeys, ...]
    word: str
    word_hint: str
    ignores_case: bool = False

    def of(self, path: str) -> ReservedKeys | None:
        """Return what holds a dotted path below ``cluster.config``, or None."""
        compared = path.lower() if self.ignores_case else path
        return next(
            (keys for keys in self.reserved if any(fnmatchcase(compared, pattern) for pattern in keys.patterns)), None
        )

    def needs_trust(self, config: Mapping[str, Any]) -> bool:
        """Return whether a configuration as plain data reaches outside the run."""
        found = (self.of(path) for path in _paths(config, ""))
        return any(keys is not None and keys.is_ == "outside" for keys in found)


def check_config(cluster: Node | None, keys: ConfigKeys | None, reader: NodeReader, *, trusted: bool) -> None:
    """Report every key of ``cluster.config`` that is not the scenario's to set, where it is written.

    Args:
        cluster: The cluster as written; None = it is not.
        keys: Of the broker; None = it reserves none.
        reader: Collects the problems.
        trusted: Keys that reach outside the run are allowed.
    """
    config = child(cluster, "config")
    if keys is None or not isinstance(config, tree.Mapping):
        return
    for key, path in _written(config, ""):
        if not re.fullmatch(keys.word, key.text):
            reader.add(key.at, f"cluster.config: {key.text!r} is no key of a configuration", keys.word_hint)
            continue
        found = keys.of(path)
        if found is not None and found.is_ == "own":
            reader.add(key.at, f"cluster.config.{path} is the harness's own: {found.why}", "leave it out")
        elif found is not None and not trusted:
            reader.add(key.at, f"cluster.config.{path} reaches outside the run: {found.why}", TRUST_HINT)


def _written(node: tree.Mapping, prefix: str) -> Iterator[tuple[Scalar, str]]:
    for entry in node.entries:
        path = f"{prefix}{entry.key.text}"
        yield entry.key, path
        for below in _mappings(entry.value):
            yield from _written(below, f"{path}.")


def _mappings(node: Node) -> Iterator[tree.Mapping]:
    """Yield the mappings at or in a value; a list has no step of its own in a path."""
    if isinstance(node, tree.Mapping):
        yield node
    elif isinstance(node, tree.Sequence):
        for item in node.items:
            yield from _mappings(item)


def _paths(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield f"{prefix}{key}"
            yield from _paths(below, f"{prefix}{key}.")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item, prefix)
