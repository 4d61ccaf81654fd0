"""Registries: what plug-ins of one kind there are, found by name. Knows no concrete entry.

A fault or a check is one file, and all of a kind are loaded together (``Registry``). A broker is a package of several
parts, of which a process loads the ones it needs, one package at a time (``PackageRegistry``).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.errors import UsageError, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class _Named(Generic[T]):
    """Entries by name, as they registered themselves."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers an entry; a name taken twice is an error."""

        def add(entry: T) -> T:
            if name in self._entries and self._entries[name] is not entry:
                raise UsageError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return add


class Registry(_Named[T]):
    """Entries of one kind, one file each, all loaded on first use.

    Args:
        kind: Word for messages (``fault``).
        package: Package whose modules register the built-in entries (``harness.faults``); its sub-packages hold none.
        group: Entry-point group in which third parties name modules to import.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        super().__init__(kind)
        self._package = package
        self._group = group
        self._loaded = False

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
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.ispkg:
                importlib.import_module(f"{self._package}.{module.name}")
        for entry in _entry_points(self._group):
            _load(entry.module, entry.name)
        self._loaded = True


def _entry_points(group: str) -> Iterable[EntryPoint]:
    """Return what third parties have declared in a group."""
    from importlib.metadata import entry_points  # noqa: PLC0415  as costly as asyncio, and workers do without it

    return entry_points(group=group)


def _load(path: str, owner: str) -> ModuleType:
    """Import a module; raises UsageError that names the plug-in when it cannot be imported."""
    try:
        return importlib.import_module(path)
    except ImportError as error:
        raise UsageError(
            f"the plug-in {owner} cannot be imported: {path}: {error}", hint="reinstall or remove its package"
        ) from error


class Packages:
    """The packages that hold plug-ins of several parts, found without importing them.

    Args:
        parents: Packages whose sub-packages are ours (``harness.brokers``).
        group: Entry-point group in which third parties name packages: ``<name> = <package>``.
    """

    def __init__(self, parents: tuple[str, ...], group: str) -> None:
        self._parents = parents
        self._group = group

    @cached_property
    def own_paths(self) -> Mapping[str, str]:
        """Name → dotted path of each of our packages; those of third parties are not looked for."""
        found: dict[str, str] = {}
        for parent in self._parents:
            for module in pkgutil.iter_modules(importlib.import_module(parent).__path__):
                if module.ispkg:
                    found[module.name] = f"{parent}.{module.name}"
        return found

    @cached_property
    def paths(self) -> Mapping[str, str]:
        """Name → dotted path of the package; raises UsageError when two packages have one name."""
        found = dict(self.own_paths)
        for entry in _entry_points(self._group):
            if found.get(entry.name, entry.value) != entry.value:
                raise UsageError(f"two packages are named {entry.name!r}: {found[entry.name]} and {entry.value}")
            found[entry.name] = entry.value
        return found

    def own_part(self, part: str) -> Mapping[str, str]:
        """Return name → dotted path of one part of each of our packages."""
        return {name: f"{path}.{part}" for name, path in self.own_paths.items()}

    def part(self, part: str) -> Mapping[str, str]:
        """Return name → dotted path of one part of each package."""
        return {name: f"{path}.{part}" for name, path in self.paths.items()}

    def words(self, part: str, name: str) -> Mapping[str, str]:
        """Return name of a package → the word that its module ``part`` declares as ``name``, of those
        that declare one.
        """
        modules = {package: _load(path, package) for package, path in self.part(part).items()}
        return {package: getattr(module, name) for package, module in modules.items() if hasattr(module, name)}

    def tables(self, part: str, table: str) -> Mapping[str, Mapping[str, str]]:
        """Return package → a table of words that its module ``part`` declares, empty where it declares none."""
        found: dict[str, Mapping[str, str]] = {}
        for name, path in self.paths.items():
            found[path] = getattr(_load(f"{path}.{part}", name), table, {})
        return found


class PackageRegistry(_Named[T]):
    """Entries of one kind, each in a part of its package; an entry's module is imported when that entry is asked for.

    Args:
        kind: Word for messages (``broker``).
        modules: Returns name → dotted path of the module that registers the entry; called on first use.
        own: Likewise of ours alone: one that is asked for by its name then costs no look for third parties'.
    """

    def __init__(
        self,
        kind: str,
        modules: Callable[[], Mapping[str, str]],
        own: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        super().__init__(kind)
        self._find, self._find_own = modules, own

    @cached_property
    def _modules(self) -> Mapping[str, str]:
        return self._find()

    @cached_property
    def _own(self) -> Mapping[str, str]:
        return self._find_own()

    def get(self, name: str) -> T:
        """Return the entry ``name``, importing its module alone; raises UsageError naming the nearest known one."""
        if name not in self._entries:
            path = self._own.get(name) or self._modules.get(name)
            if path is None:
                raise UsageError(f"unknown {self.kind} {name!r}", hint=nearest(name, self._modules))
            _load(path, name)
            if name not in self._entries:
                raise UsageError(f"the module {path} does not register the {self.kind} {name!r}")
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Return the name of every entry, sorted; imports none."""
        return tuple(sorted(self._modules))

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield (name, entry) in order of name, importing every module."""
        for name in self.names():
            yield name, self.get(name)


BROKER_PACKAGES = Packages(("harness.brokers",), "broker_chaos_harness.brokers")
"""A broker is one package; its parts are ``spec``, ``broker``, ``client``, ``aliases``, ``distribution`` and ``image``,
and ``gateway`` where clients need one.
"""

SOFTWARE_PACKAGES = Packages(("harness.brokers", "harness.distributions"), "broker_chaos_harness.brokers")
"""What brings software to run: the brokers' packages, and those of tools that every run needs."""


def software_modules(table: str) -> Callable[[], Mapping[str, str]]:
    """Return a function that finds kind → module by a table (``DISTRIBUTIONS``, ``IMAGES``) of the packages'
    ``aliases``.
    """

    def find() -> Mapping[str, Any]:
        tables = SOFTWARE_PACKAGES.tables("aliases", table)
        return {kind: f"{path}.{module}" for path, words in tables.items() for kind, module in words.items()}

    return find
