"""Which tests call a function: a mutant of it needs no others, and the quickest of them come first.

Owns the reading of it, from one run without a mutant. Calls are seen, not lines. What is called outside of tests, or in
a module that keeps what it computed, may concern every test. Must never know a mutant's change.
"""

from __future__ import annotations

import ast
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType

import pytest

_OUTSIDE = ""
"""In place of a test's name: what is called when modules are loaded and tests collected."""
_CHECKS = "harness.checks.any"
"""How deep the modules of checks lie; what several of them share lies deeper."""
_KEEPS = {True: 'scope="module"', False: "@functools.cache\n"}
"""Whether it is a file of tests → what stands in one that keeps something from one test, or call, to the next."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What one run of all tests of a stage shows.

    Attributes:
        seconds: Of each test, by its name (node id), in the order in which they ran.
        called: Names of tests, or ``""``, by module and function.
        keeping: Modules of the source and files of tests that keep what they computed.
        importers: Modules of the source that import a module, by its name.
    """

    seconds: Mapping[str, float]
    called: Mapping[tuple[str, str], frozenset[str]]
    keeping: frozenset[str]
    importers: Mapping[str, frozenset[str]]

    def tests(self, module: str, function: str) -> list[str]:
        """Return the names of the tests that a change of a function concerns, those first that tell soonest."""
        here: set[str] = set().union(*(tests for (name, _), tests in self.called.items() if name == module))
        concerned = self.called.get((module, function), frozenset())
        if not function or not self.is_called_by_tests_alone(module, function):
            concerned = frozenset(self.seconds)
        files = {_file(test) for test in concerned if _file(test) in self.keeping}
        wanted = [test for test in self.seconds if test in concerned or _file(test) in files]
        named = self._nearest(module)
        near = {test for test in wanted if any(f"[{name}/" in test or f"_{name}." in test for name in named)}
        return sorted(wanted, key=lambda test: (test not in here, test not in near, self._cost(test), test))

    def _nearest(self, module: str) -> set[str]:
        """Return the last names of a module and of the checks, or others as shallow, that import it most directly.

        All checks judge most histories, and a test looks at what one of them says.
        """
        found = {module}
        while found and not any(name.count(".") == _CHECKS.count(".") for name in found):
            found = set().union(*(self.importers.get(name, ()) for name in found))
        return {name.rpartition(".")[2] for name in {module, *found}}

    def is_called_by_tests_alone(self, module: str, function: str) -> bool:
        """Return whether nothing that was computed before a test began, or is kept between tests, comes from it."""
        return module not in self.keeping and _OUTSIDE not in self.called.get((module, function), ())

    def _cost(self, test: str) -> float:
        """Return its seconds; tests that share something stay together, and cost what all of them do."""
        if _file(test) not in self.keeping:
            return self.seconds[test]
        return sum(took for other, took in self.seconds.items() if _file(other) == _file(test))

    def save(self, path: Path) -> None:
        """Write it for another process."""
        called = [[*place, sorted(tests)] for place, tests in self.called.items()]
        importers = {name: sorted(others) for name, others in self.importers.items()}
        content = {
            "seconds": self.seconds,
            "called": called,
            "keeping": sorted(self.keeping),
            "importers": importers,
        }
        path.write_text(json.dumps(content), encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Reach:
        """Return what another process wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        called = {(module, function): frozenset(tests) for module, function, tests in content["called"]}
        importers = {name: frozenset(others) for name, others in content["importers"].items()}
        return Reach(content["seconds"], called, frozenset(content["keeping"]), importers)


class Watching:
    """A plug-in of pytest that sees which functions of some folders each test calls.

    Args:
        root: The checkout.
        folders: Of the functions, relative to it.
    """

    def __init__(self, root: Path, folders: Sequence[str]) -> None:
        self._root = root
        self._prefixes = tuple(f"{root / folder}/" for folder in folders)
        self._test = _OUTSIDE
        self._codes: dict[str, set[CodeType]] = {_OUTSIDE: set()}
        self._now = self._codes[_OUTSIDE]
        self._seconds: dict[str, float] = {}

    def begin(self) -> None:
        """See calls from now on."""
        threading.settrace(self._see)
        sys.settrace(self._see)

    def _see(self, frame: FrameType, event: str, arg: object) -> None:
        if frame.f_code not in self._now and frame.f_code.co_filename.startswith(self._prefixes):
            self._now.add(frame.f_code)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Note what is called from a test's setup to its teardown."""
        self._now = self._codes.setdefault(item.nodeid, set())
        sys.settrace(self._see)  # a test may have put its own one in its place
        began = time.process_time()
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid] = round(time.process_time() - began, 4)
            self._now = self._codes[_OUTSIDE]

    def reach(self) -> Reach:
        """Return what was seen; sees nothing more."""
        sys.settrace(None)
        threading.settrace(None)
        called: dict[tuple[str, str], set[str]] = {}
        places = {code: self._place(code) for code in set[CodeType]().union(*self._codes.values())}
        for test, codes in self._codes.items():
            for code in codes:
                called.setdefault(places[code], set()).add(test)
        source = {self._name(path): path for prefix in self._prefixes for path in Path(prefix).rglob("*.py")}
        files = {self._root / _file(test) for test in self._seconds} | {*source.values()}
        keeping = {name for path in files if _keeps(name := self._name(path), path)}
        frozen = {place: frozenset(tests) for place, tests in called.items()}
        return Reach(self._seconds, frozen, frozenset(keeping), importers_of(source))

    def _place(self, code: CodeType) -> tuple[str, str]:
        """Return module and function as a mutant names them: what has no name belongs to what is around it."""
        names = code.co_qualname.replace(".<locals>", "").split(".")
        while names and names[-1].startswith("<"):
            names.pop()
        return self._name(Path(code.co_filename)), ".".join(names)

    def _name(self, path: Path) -> str:
        """Return a module's dotted name, of a file of tests its path."""
        relative = path.relative_to(self._root)
        return relative.as_posix() if relative.parts[0] == "tests" else ".".join(relative.with_suffix("").parts)


def importers_of(source: Mapping[str, Path]) -> dict[str, frozenset[str]]:
    """Return by module which others of some modules import it."""
    found: dict[str, set[str]] = {}
    for importer, path in source.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                for name in (node.module, *(f"{node.module}.{item.name}" for item in node.names)):
                    found.setdefault(name, set()).add(importer)
    return {name: frozenset(importers) for name, importers in found.items() if name in source}


class Choosing:
    """A plug-in of pytest that runs some of the tests that were collected, in the order given."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._rank = {test: rank for rank, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the others."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank), key=lambda item: self._rank[item.nodeid]
        )


def _keeps(name: str, path: Path) -> bool:
    return path.exists() and _KEEPS[name.endswith(".py")] in path.read_text(encoding="utf-8")


def _file(test: str) -> str:
    return test.partition("::")[0]
