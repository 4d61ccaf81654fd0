"""Registries: a fault, check or broker is one file that registers itself under its name.

Built-in modules are imported from the room's package; third parties add theirs through entry points. Knows no
concrete entry.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from harness.errors import UsageError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Named entries of one kind, loaded on first use.

    Args:
        kind: Word for messages (``fault``).
        package: Package whose modules register the built-in entries (``harness.faults``).
        group: Entry-point group in which third parties name modules to import.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind = kind
        self._package = package
        self._group = group
        self._entries: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers an entry; a name taken twice is an error."""

        def add(entry: T) -> T:
            if name in self._entries and self._entries[name] is not entry:
                raise UsageError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str) -> T:
        """Return the entry ``name``; raises UsageError naming the nearest known one."""
        self._load()
        if name not in self._entries:
            raise UsageError(f"unknown {self.kind} {name!r}", hint=nearest(name, self._entries))
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Return every registered name, sorted."""
        self._load()
        return tuple(sorted(self._entries))

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield (name, entry) in order of name."""
        self._load()
        yield from sorted(self._entries.items())

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        for entry in entry_points(group=self._group):
            entry.load()
