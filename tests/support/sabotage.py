"""Takes the effect of chosen faults away: what such a fault asks of nodes, links, workers and the broker does nothing.

The evidence, all other faults and the harness's own cleaning up keep every act. Knows no fault and no broker.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.faults.base import FAULTS, Fault, FaultContext, FaultKind

_MANY = ("nodes", "workers")
"""Fields of a context that hold one thing for each name."""


class LostActError(AssertionError):
    """What a case names as an act is none: nothing would be taken away."""


def take_away(patch: pytest.MonkeyPatch, lost: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Let faults act without effect until ``patch`` is undone.

    Args:
        patch: Puts the registered kinds back.
        lost: Id of a fault → the acts that it loses (see ``fault_cases.Case.lost``).

    Returns:
        Id of a fault → every lost act that it asked for, in order; it fills while runs are made.
    """
    asked: dict[str, list[str]] = {fault: [] for fault in lost}
    for name, kind in FAULTS.items():
        patch.setitem(FAULTS._entries, name, replace(kind, make=_maker(kind, lost, asked)))
    return asked


def _maker(
    kind: FaultKind, lost: Mapping[str, Sequence[str]], asked: Mapping[str, list[str]]
) -> Callable[[FaultContext], Fault]:
    def make(context: FaultContext) -> Fault:
        own = context.planned.id
        return kind.make(without(context, lost[own], asked[own]) if own in lost else context)

    return make


def without(context: FaultContext, acts: Sequence[str], asked: list[str]) -> FaultContext:
    """Return a context in which these acts do nothing but add their name to ``asked``."""
    roots: dict[str, list[str]] = {}
    for act in acts:
        root, _, rest = act.partition(".")
        if root not in {field.name for field in dataclasses.fields(context)} or not rest:
            raise LostActError(f"a fault's context has no {act}")
        roots.setdefault(root, []).append(rest)
    changed: dict[str, Any] = {}
    for root, paths in roots.items():
        held = getattr(context, root)
        changed[root] = (
            _Each(held, paths, f"{root}.", asked) if root in _MANY else _stand_in(held, paths, f"{root}.", asked)
        )
    return replace(context, **changed)


class _Each(Mapping[str, Any]):
    """Name → its stand-in."""

    def __init__(self, held: Mapping[str, Any], paths: Sequence[str], prefix: str, asked: list[str]) -> None:
        self._held, self._rest = held, (paths, prefix, asked)

    def __getitem__(self, name: str) -> Any:
        return _stand_in(self._held[name], *self._rest)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def _stand_in(target: Any, paths: Sequence[str], prefix: str, asked: list[str]) -> Any:
    """Return what is ``target`` in everything but these acts, and also looks like it to ``isinstance``."""
    if target is None:
        return None
    gone = {path for path in paths if "." not in path}
    deeper: dict[str, list[str]] = {}
    for path in paths:
        first, _, rest = path.partition(".")
        if rest:
            deeper.setdefault(first, []).append(rest)
    for name in gone | deeper.keys():
        if not hasattr(target, name):
            raise LostActError(f"{type(target).__name__} has no {name}")

    def read(_: Any, name: str) -> Any:
        if name in gone:
            return _nothing(getattr(target, name), f"{prefix}{name}", asked)
        found = getattr(target, name)
        return _stand_in(found, deeper[name], f"{prefix}{name}.", asked) if name in deeper else found

    def write(_: Any, name: str, value: Any) -> None:
        setattr(target, name, value)

    kind = type(target)
    return object.__new__(type(kind.__name__, (kind,), {"__getattribute__": read, "__setattr__": write}))


def _nothing(original: Callable[..., Any], name: str, asked: list[str]) -> Callable[..., Any]:
    """Return what does nothing in the place of an act, and is awaited where the act is."""

    async def awaited(*_: Any, **__: Any) -> None:
        asked.append(name)

    def called(*_: Any, **__: Any) -> None:
        asked.append(name)

    return awaited if inspect.iscoroutinefunction(original) else called
