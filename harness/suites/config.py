"""``suites.yaml``: suites by name. Every mistake is reported with its line and column.

Knows the file alone; ``choose`` finds out what a suite selects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from harness.errors import Location, Problem, ScenarioError
from harness.scenario.document import Document, read_document
from harness.scenario.load import read_text
from harness.scenario.reader import INVALID, NodeReader
from harness.scenario.tree import Mapping as MappingNode
from harness.scenario.tree import Node, Scalar
from harness.units import Duration

CONFIG_FILE: Final = Path("suites.yaml")
VERSION: Final = 1
_NOUN: Final = "file of suites"
_STARTS: Final = "it starts with 'version: 1' and 'suites:'"

RuntimeChoice = Literal["auto", "process", "docker", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One suite of the file. An option of the command line takes the place of a value here.

    Attributes:
        paths: Scenario files and folders, relative to the file of suites.
        tags: Only scenarios with one of these tags; empty = all.
        where: Only plans of which this is true; see docs/suites.md.
        variant: Only variants with these values, by path.
        seed: Takes the place of every scenario's own.
        runtime: Where nodes run; `both`: every plan in processes and in containers.
        repeat: How often each plan is run.
        until_fail: Go on until a run fails or the deadline comes.
        fail_fast: Begin no run after one that failed.
        deadline: No run begins that is expected to end later than this after the start of the suite.
        baseline: Stored runs that this suite is compared with (`last:5`).
    """

    paths: tuple[str, ...] = ("scenarios",)
    tags: tuple[str, ...] = ()
    where: str = ""
    variant: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    runtime: RuntimeChoice = "auto"
    repeat: int = field(default=1, metadata={"minimum": 1, "maximum": 10_000})
    until_fail: bool = False
    fail_fast: bool = False
    deadline_ns: Duration | None = field(default=None, metadata={"minimum": 1})
    baseline: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """A suite of the file, and where it is written.

    Attributes:
        definition: What it says.
        at: Of its name.
        where_at: Of its expression; None when it has none.
        folder: Where its paths begin.
    """

    definition: Definition
    at: Location
    where_at: Location | None
    folder: Path


def read_config(path: Path) -> Mapping[str, Defined]:
    """Return the suites of a file by name; raises ScenarioError with every problem found."""
    document = read_document(read_text(path, _NOUN), str(path), _NOUN, _STARTS)
    return _Reader(path, document).suites()


class _Reader:
    """Reads one file, collecting problems."""

    def __init__(self, path: Path, document: Document) -> None:
        self._folder, self._root = path.parent, document.root
        self._nodes = NodeReader()
        self._nodes.problems += document.problems

    def suites(self) -> Mapping[str, Defined]:
        for entry in self._root.entries:
            if entry.key.text not in {"version", "suites"}:
                self._nodes.unknown(entry.key, "", ("version", "suites"))
        self._check_version()
        listed = self._root.get("suites")
        found: dict[str, Defined] = {}
        if not isinstance(listed, MappingNode):
            at = listed.at if listed is not None else self._root.at
            self._nodes.add(at, "'suites' must be a mapping of names to suites", "suites: {smoke: {tags: [smoke]}}")
        else:
            for entry in listed.entries:
                self._read_suite(found, entry.key, entry.value)
        if self._nodes.problems:
            raise ScenarioError(_ordered(self._nodes.problems))
        return found

    def _check_version(self) -> None:
        version = self._root.get("version")
        if not isinstance(version, Scalar) or version.value != VERSION or isinstance(version.value, bool):
            at = version.at if version is not None else self._root.at
            self._nodes.add(at, f"the file needs 'version: {VERSION}' at the top level")

    def _read_suite(self, found: dict[str, Defined], name: Scalar, node: Node) -> None:
        if not name.text or "/" in name.text or name.text.endswith((".yaml", ".yml")):
            self._nodes.add(name.at, f"{name.text!r} cannot name a suite", "a name has no '/', and is no file's name")
        if name.text == "merge":
            self._nodes.add(name.at, "'merge' cannot name a suite", "`harness suite merge` merges shards")
        built = self._nodes.build(node, Definition, f"suites.{name.text}")
        if built is INVALID:
            return
        where = node.get("where") if isinstance(node, MappingNode) else None
        found[name.text] = Defined(
            definition=built, at=name.at, where_at=where.at if where is not None else None, folder=self._folder
        )


def _ordered(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.location.line, problem.location.column))
