"""Reads a scenario file into a tree whose every value knows its line and column.

Owns what can go wrong before a scenario means anything: a missing file, an encoding, the YAML itself. What the keys
mean is read per variant (expand), because the matrix may change any of them.
"""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import Location, Problem, ScenarioError
from harness.regular import read_regular
from harness.scenario.document import TEXT_CHARS_MAX, read_document
from harness.scenario.plugins import Vocabulary
from harness.scenario.tree import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A scenario as written, before its matrix is expanded.

    Attributes:
        name: The file's stem.
        file: Path as given.
        root: Its tree.
        problems: What is wrong with its YAML short of a syntax error; reported with the rest by ``variants``.
        vocabulary: The words it may use.
        settings: Path → value as text, which a command line puts into it.
    """

    name: str
    file: str
    root: Mapping
    problems: tuple[Problem, ...]
    vocabulary: Vocabulary
    settings: abc.Mapping[str, str] = field(default_factory=dict)


def load_file(path: Path, vocabulary: Vocabulary) -> Source:
    """Read a scenario file.

    Raises:
        ScenarioError: When it cannot be read or is not one YAML document with a mapping at its root.
    """
    return load_text(read_text(path), str(path), vocabulary)


def read_text(path: Path, noun: str = "scenario") -> str:
    """Return the text of a file; raises ScenarioError when it cannot be read or is not UTF-8."""
    start = Location(str(path), 1, 1)
    try:
        content = read_regular(path, 4 * TEXT_CHARS_MAX)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScenarioError([Problem(start, f"cannot read the {noun}: {reason}")]) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        where = Location(str(path), before.count(b"\n") + 1, column)
        problem = Problem(where, f"not UTF-8: byte 0x{content[error.start]:02X}", "save the file as UTF-8")
        raise ScenarioError([problem]) from error


def load_text(text: str, name: str, vocabulary: Vocabulary) -> Source:
    """Read a scenario from text.

    Args:
        text: Content of the file.
        name: Path or other name for messages; its stem names the scenario.
        vocabulary: The words it may use.

    Raises:
        ScenarioError: When it is not one YAML document with a mapping at its root.
    """
    document = read_document(text, name)
    return Source(
        name=Path(name).stem, file=name, root=document.root, problems=document.problems, vocabulary=vocabulary
    )
