"""From text to a tree of located nodes: YAML 1.2, and nothing of what a scenario means.

Owns what is accepted as YAML: one document, plain data, no merge keys, no custom tags, bounded in size and depth.
Never knows a key of the scenario language.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, replace
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml import nodes as yaml_nodes
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLStreamError

from harness.errors import Location, Problem, ScenarioError
from harness.scenario.characters import HOSTILE, hostile
from harness.scenario.tree import KeyValue, Mapping, Node, Scalar, Sequence

TEXT_CHARS_MAX: Final = 131_072
DEPTH_MAX: Final = 40
_TOO_DEEP: Final = f"nested deeper than {DEPTH_MAX} levels"
NODES_MAX: Final = 12_000
SIGNS_MAX: Final = 12_000
"""Signs that begin or part values. The parser takes 0.1 ms for each value, and every value has one of them."""
INT_DIGITS_MAX: Final = 30

_SIGN: Final = re.compile(r"[\[{,:?\n-]")
_TAG: Final = "tag:yaml.org,2002:"
_DIRECTIVE: Final = re.compile(r"^%YAML[ \t]+(\S+)", re.MULTILINE)
_PARSER_ERRORS: Final = (
    # ruamel.yaml lets these through on hostile input (an escape beyond Unicode, ten thousand brackets…).
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    YAMLError,
    YAMLStreamError,
)


@dataclass(frozen=True, slots=True)
class Document:
    """The tree of a file, and what is wrong with its YAML short of a syntax error."""

    root: Mapping
    problems: tuple[Problem, ...]


SCENARIO_STARTS: Final = "a scenario starts with 'version: 1' and needs 'expect'"


def read_document(text: str, file: str, noun: str = "scenario", starts: str = SCENARIO_STARTS) -> Document:
    """Return the tree of one YAML document.

    Args:
        text: Content of the file.
        file: Name for messages.
        noun: What the document is.
        starts: How one begins, a hint.

    Raises:
        ScenarioError: When there is no tree to go on with: a syntax error, no or several documents, a root that is
            not a mapping, or one that is too large or too deep.
    """
    start = Location(file, 1, 1)
    if len(text) > TEXT_CHARS_MAX:
        raise ScenarioError([Problem(start, f"the file has {len(text)} characters, more than {TEXT_CHARS_MAX}")])
    for number, sign in enumerate(_SIGN.finditer(text)):
        if number == SIGNS_MAX:
            line = text.count("\n", 0, sign.start()) + 1
            where = Location(file, line, sign.start() - text.rfind("\n", 0, sign.start()))
            raise ScenarioError([Problem(where, f"the file has more than {SIGNS_MAX} values and signs around them")])
    directive = _DIRECTIVE.search(text)
    if directive is not None and directive[1] != "1.2":
        line = text.count("\n", 0, directive.start()) + 1
        raise ScenarioError([Problem(Location(file, line, 1), f"{noun}s are YAML 1.2, not {directive[1]}")])
    composed = _compose(text, file, noun)
    if composed is None:
        raise ScenarioError([Problem(start, "the file is empty", starts)])
    tree = _Tree(file)
    try:
        root = tree.convert(composed, 0)
    except RecursionError:
        root = None
    if not isinstance(root, Mapping):
        if root is not None:
            tree.add(root.at, f"a {noun} is a mapping of keys to values", "it starts with 'version: 1'")
        raise ScenarioError(_in_file_order(tree.problems))
    if tree.sizes[id(composed)] > NODES_MAX:
        raise ScenarioError([Problem(start, f"with its aliases expanded the file has more than {NODES_MAX} values")])
    return Document(root, tuple(tree.problems))


def _in_file_order(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.location.line, problem.location.column))


class _Composer(Composer):
    """Ruamel's own, bounded in depth: its scanner takes the square of the number of brackets that are open."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the node that the next events make."""
        self._depth += 1
        if self._depth > DEPTH_MAX + 1:  # the root is at depth 0
            raise MarkedYAMLError(problem=_TOO_DEEP, problem_mark=self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _compose(text: str, file: str, noun: str) -> yaml_nodes.Node | None:
    """Return ruamel's node tree; every way in which its parser gives up becomes a ScenarioError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an anchor used twice is legal YAML: the later one counts from there on
            yaml = YAML(typ="safe", pure=True)
            yaml.Composer = _Composer
            root: yaml_nodes.Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Location(file, mark.line + 1, mark.column + 1) if mark is not None else Location(file, 1, 1)
        several = "another document" in (error.problem or "")
        message = f"a file holds one {noun}: a second document starts here" if several else _sentence(error)
        message = _TOO_DEEP if error.problem == _TOO_DEEP else message
        compared = "character '>'" in message or "block scalar" in message
        hint = 'write a comparison in quotes, e.g. "> 1000"' if compared else ""
        raise ScenarioError([Problem(where, message, hint)]) from error
    except RecursionError as error:
        raise ScenarioError([Problem(Location(file, 1, 1), _TOO_DEEP)]) from error
    except _PARSER_ERRORS as error:
        raise ScenarioError([_unmarked(text, file, error)]) from error
    return root


def _sentence(error: MarkedYAMLError) -> str:
    problem = " ".join(str(error.problem or "cannot be parsed").split())
    context = " ".join(str(error.context or "").split())
    return f"not valid YAML: {problem}" + (f", {context}" if context else "")


def _unmarked(text: str, file: str, error: Exception) -> Problem:
    """Return the problem behind an error without a mark; a character that YAML forbids has a position."""
    position = getattr(error, "position", None)
    if isinstance(position, int) and position <= len(text):
        before = text[:position]
        where = Location(file, before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
        return Problem(where, f"not valid YAML: character U+{ord(text[position]):04X} is not allowed")
    return Problem(Location(file, 1, 1), f"not valid YAML: {' '.join(str(error).split())[:200]}")


class _Tree:
    """Converts ruamel's nodes, collecting problems; an alias becomes the same node again."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.sizes: dict[int, int] = {}
        self._done: dict[int, Node] = {}
        self._open: set[int] = set()

    def add(self, at: Location, message: str, hint: str = "") -> None:
        self.problems.append(Problem(at, message, hint))

    def convert(self, node: yaml_nodes.Node, depth: int) -> Node:
        """Return the tree of ``node``. Sizes count an alias as often as it is used."""
        identity = id(node)
        if identity in self._done:
            return self._done[identity]
        at = Location(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
        if identity in self._open:
            raise ScenarioError([Problem(at, "an alias refers to the value that contains it")])
        if depth > DEPTH_MAX:
            raise ScenarioError([Problem(at, _TOO_DEEP)])
        self._open.add(identity)
        result: Node
        if isinstance(node, yaml_nodes.MappingNode):
            result = self._mapping(node, at, depth)
        elif isinstance(node, yaml_nodes.SequenceNode):
            self._check_tag(node, "seq", at)
            result = Sequence(at, tuple(self.convert(item, depth + 1) for item in node.value))
            self.sizes[identity] = 1 + sum(self.sizes[id(item)] for item in node.value)
        else:
            result = self._scalar(node, at)
            self.sizes[identity] = 1
        self._open.discard(identity)
        self._done[identity] = result
        return result

    def _mapping(self, node: yaml_nodes.MappingNode, at: Location, depth: int) -> Mapping:
        self._check_tag(node, "map", at)
        entries: list[KeyValue] = []
        seen: dict[str, Location] = {}
        size = 1
        for key_node, value_node in node.value:
            key = self.convert(key_node, depth + 1)
            value = self.convert(value_node, depth + 1)
            if value == Scalar(value.at, "null", "", None):
                value = replace(value, at=key.at)  # an empty value's own mark is that of the next token
            size += self.sizes[id(key_node)] + self.sizes[id(value_node)]
            if key_node.tag == f"{_TAG}merge":
                self.add(key.at, "merge keys ('<<') are not part of YAML 1.2", "repeat the keys, or alias one value")
            elif not isinstance(key, Scalar) or key.kind != "str":
                self.add(key.at, "a key must be a word", "quote it if it is meant to be text")
            elif key.text in seen:
                first = seen[key.text]
                self.add(key.at, f"{key.text!r} is written twice", f"first in line {first.line}")
            else:
                seen[key.text] = key.at
                entries.append(KeyValue(key, value))
        self.sizes[id(node)] = size
        return Mapping(at, tuple(entries))

    def _check_tag(self, node: yaml_nodes.Node, expected: str, at: Location) -> None:
        if node.tag != f"{_TAG}{expected}":
            self.add(at, f"tag {_short(str(node.tag))} is not supported", "scenarios are plain data: leave the tag out")

    def _scalar(self, node: yaml_nodes.Node, at: Location) -> Scalar:
        text = str(node.value)
        if found := hostile(text):
            self.add(at, f"character {found} is not allowed in text", "leave it out, or name it in plain words")
            text = HOSTILE.sub("\N{REPLACEMENT CHARACTER}", text)
            return Scalar(at, "str", text, text)
        tag = str(node.tag).removeprefix(_TAG)
        if tag in ("str", "timestamp", "merge", "value"):
            return Scalar(at, "str", text, text)
        try:
            return _resolve(at, tag, text)
        except ValueError as error:
            self.add(at, str(error))
        except KeyError:
            self._check_tag(node, "str", at)
        return Scalar(at, "str", text, text)


def _short(tag: str) -> str:
    return f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag


def _resolve(at: Location, tag: str, text: str) -> Scalar:
    """Return the scalar of a resolved or explicit tag; KeyError for an unknown tag, ValueError for a bad value."""
    if tag == "null":
        return Scalar(at, "null", text, None)
    if tag == "bool":
        value = {"true": True, "false": False}.get(text.lower())
        if value is None:
            raise ValueError(f"{text!r} is neither true nor false")
        return Scalar(at, "bool", text, value)
    if tag == "int":
        return Scalar(at, "int", text, _integer(text))
    if tag == "float":
        return Scalar(at, "float", text, _number(text))
    raise KeyError(tag)


def _integer(text: str) -> int:
    digits = text.replace("_", "").lower()
    if len(digits) > INT_DIGITS_MAX:
        raise ValueError(f"a number of {len(digits)} digits is too large")
    if not digits.isascii():
        raise ValueError(f"{text!r} is not a whole number: digits are 0 to 9")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    base = {"0x": 16, "0o": 8}.get(digits[:2], 10)  # YAML 1.2: 010 is ten
    try:
        return sign * int(digits.removeprefix("0x").removeprefix("0o"), base)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def _number(text: str) -> float:
    try:
        value = float(text.replace("_", "")) if text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value
