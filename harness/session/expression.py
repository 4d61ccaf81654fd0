"""The expressions of ``--where`` and ``--tag``: which plans of those that were selected are meant.

A small language of its own: ``kind == kafka and not fault == cpu and nodes >= 3``. It is parsed and interpreted here,
and never handed to Python. Every error names the column, and the nearest right word.

    or   := and ("or" and)*
    and  := not ("and" not)*
    not  := "not" not | "(" or ")" | test
    test := FIELD | FIELD OP VALUE | FIELD ["not"] "in" "(" VALUE ("," VALUE)* ")"

A field with several values (tags, faults, checks) is equal to a value when one of them is. A value may end or begin
with ``*`` where text is compared. A field alone is true when it has a value other than no, nothing or 0.

Of ``--tag`` a test is one tag: ``gate and not kafka``, ``(gate or canary) and rocket*``.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.errors import UsageError, nearest
from harness.units import DURATION, Unit

Value = float | bool | frozenset[str]
"""Of a field of one plan: a number (durations in ns), yes or no, or words."""

Test = Callable[[Mapping[str, Value]], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<op>==|!=|<=|>=|<|>|=|\(|\)|,)|'(?P<single>[^']*)'|"(?P<double>[^"]*)"|"""
    r"""(?P<word>[^\s=!<>(),'"]+)|(?P<wrong>\S))"""
)
_COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": lambda one, other: one == other,
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
_EQUAL: Final = ("==", "=", "!=")
_BOOLEANS: Final = {"true": True, "yes": True, "false": False, "no": False}
_KEYWORDS: Final = frozenset({"and", "or", "not", "in"})
_TAG: Final = "tag"
_LENGTH_MAX: Final = 2_000
_DEPTH_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What a field is.

    Attributes:
        kind: ``words``, ``number``, ``duration`` or ``yes or no``.
        known: Of words: every value that there is, so that a misspelled one is found; None = any.
    """

    kind: str
    known: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


class ExpressionError(UsageError):
    """An expression is wrong; knows the column, from 1."""

    def __init__(self, message: str, column: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.column = column


def parse(text: str, fields: Mapping[str, Field]) -> Test:
    """Return the test that an expression means; raises ExpressionError.

    Args:
        text: The expression.
        fields: Name → field, of everything that it may ask for.
    """
    if len(text) > _LENGTH_MAX:
        raise ExpressionError(f"the expression has more than {_LENGTH_MAX} characters", _LENGTH_MAX)
    return _Parser(_tokens(text), len(text) + 1, fields).whole()


def parse_tags(text: str, known: Iterable[str]) -> Callable[[Iterable[str]], bool]:
    """Return the test that an expression of tags means; raises ExpressionError.

    Args:
        text: The expression; a single tag is one, too.
        known: Every tag that there is, so that a misspelled one is found.
    """
    if len(text) > _LENGTH_MAX:
        raise ExpressionError(f"the expression has more than {_LENGTH_MAX} characters", _LENGTH_MAX)
    test = _TagParser(_tokens(text), len(text) + 1, {_TAG: Field(kind="words", known=frozenset(known))}).whole()
    return lambda tags: test({_TAG: frozenset(tags)})


def pointed(option: str, text: str, error: ExpressionError) -> UsageError:
    """Return an error of an expression with the option that it was given to, and a mark below its column."""
    mark = " " * (error.column - 1) + "^"
    return UsageError(f"{option}, column {error.column}: {error.message}\n    {text}\n    {mark}", hint=error.hint)


def _tokens(text: str) -> list[_Token]:
    found = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        assert match is not None
        kind = match.lastgroup or ""
        start = match.start(kind) - (kind in {"single", "double"})
        if kind == "wrong":
            what = "a quotation mark that is not closed" if match["wrong"] in "'\"" else f"{match['wrong']!r}"
            raise ExpressionError(f"{what} cannot stand here", start + 1)
        quoted = kind in {"single", "double"}
        found.append(_Token("text" if quoted else kind, match[kind], start + 1))
        position = match.end()
    return found


class _Parser:
    """Reads tokens from left to right."""

    def __init__(self, tokens: Sequence[_Token], end: int, fields: Mapping[str, Field]) -> None:
        self._tokens, self._fields = tokens, fields
        self._end = _Token("end", "the end of the expression", end)
        self._next = 0
        self._depth = 0

    def whole(self) -> Test:
        test = self._or()
        if self._peek().kind != "end":
            raise self._unexpected("'and', 'or' or the end")
        return test

    def _or(self) -> Test:
        tests = [self._and()]
        while self._takes("or"):
            tests.append(self._and())
        return tests[0] if len(tests) == 1 else lambda plan: any(test(plan) for test in tests)

    def _and(self) -> Test:
        tests = [self._not()]
        while self._takes("and"):
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda plan: all(test(plan) for test in tests)

    def _not(self) -> Test:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise ExpressionError(f"nested deeper than {_DEPTH_MAX} levels", self._peek().column)
        try:
            if self._takes("not"):
                inner = self._not()
                return lambda plan: not inner(plan)
            if self._takes("("):
                inner = self._or()
                self._need(")")
                return inner
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> Test:
        token = self._peek()
        if token.kind != "word" or token.text in _KEYWORDS:
            raise self._unexpected("the name of a field")
        if token.text not in self._fields:
            raise ExpressionError(f"no field {token.text!r}", token.column, nearest(token.text, self._fields))
        name, field = token.text, self._fields[token.text]
        self._next += 1
        negated = self._peek().text == "not" and self._peek(1).text == "in" and self._takes("not")
        if self._takes("in"):
            tests = self._list(name, field)
            return lambda plan: any(test(plan) for test in tests) != negated
        operator = self._peek()
        if operator.kind != "op" or operator.text not in _COMPARED:
            return lambda plan: bool(plan[name])
        self._next += 1
        if operator.text not in _EQUAL and field.kind in {"words", "yes or no"}:
            raise ExpressionError(f"{name} has no order: it is compared with == or !=", operator.column)
        return self._compared(name, field, operator.text)

    def _list(self, name: str, field: Field) -> list[Test]:
        self._need("(")
        tests = [self._compared(name, field, "==")]
        while self._takes(","):
            tests.append(self._compared(name, field, "=="))
        self._need(")")
        return tests

    def _compared(self, name: str, field: Field, operator: str) -> Test:
        """Return the comparison of a field with the value that stands next."""
        token = self._peek()
        if token.kind not in {"word", "text"} or (token.kind == "word" and token.text in _KEYWORDS):
            raise self._unexpected("a value")
        self._next += 1
        if field.kind == "words":
            return _words_test(name, _word(field, name, token), equal=operator != "!=")
        value: float = _boolean(name, token) if field.kind == "yes or no" else _number(field, name, token)
        compare = _COMPARED[operator]
        return lambda plan: compare(_as_number(plan[name]), value)

    def _peek(self, ahead: int = 0) -> _Token:
        position = self._next + ahead
        return self._tokens[position] if position < len(self._tokens) else self._end

    def _takes(self, text: str) -> bool:
        found = self._peek()
        if found.kind in {"word", "op"} and found.text == text:
            self._next += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._takes(text):
            raise self._unexpected(f"{text!r}")

    def _unexpected(self, expected: str) -> ExpressionError:
        found = self._peek()
        shown = found.text if found.kind == "end" else repr(found.text)
        return ExpressionError(f"expected {expected}, found {shown}", found.column)


class _TagParser(_Parser):
    """Reads an expression whose every test is a tag."""

    def _test(self) -> Test:
        token = self._peek()
        if token.kind not in {"word", "text"} or (token.kind == "word" and token.text in _KEYWORDS):
            raise self._unexpected("a tag")
        self._next += 1
        return _words_test(_TAG, _word(self._fields[_TAG], _TAG, token), equal=True)


def _words_test(name: str, pattern: str, *, equal: bool) -> Test:
    def test(plan: Mapping[str, Value]) -> bool:
        words = plan[name]
        assert isinstance(words, frozenset)
        return any(fnmatch.fnmatchcase(word, pattern) for word in words) == equal

    return test


def _word(field: Field, name: str, token: _Token) -> str:
    pattern = token.text
    if field.known is not None and not _any_matches(pattern, field.known):
        raise ExpressionError(f"no {name} {pattern!r}", token.column, nearest(pattern, field.known))
    return pattern


def _any_matches(pattern: str, known: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(word, pattern) for word in known)


def _boolean(name: str, token: _Token) -> bool:
    if token.text not in _BOOLEANS:
        raise ExpressionError(f"{name} is yes or no, not {token.text!r}", token.column)
    return _BOOLEANS[token.text]


def _number(field: Field, name: str, token: _Token) -> float:
    unit: Unit | None = DURATION if field.kind == "duration" else None
    try:
        value = float(token.text) if unit is None else float(unit.parse(token.text))
        if not math.isfinite(value):
            raise ValueError(token.text)
        return value
    except ValueError as error:
        why = str(error) if unit is not None else f"{token.text!r} is not a number"
        raise ExpressionError(f"{name}: {why}", token.column) from error


def _as_number(value: Value) -> float:
    assert not isinstance(value, frozenset)
    return float(value)
