"""People read plain words: in README, docs, the Makefile's help, scenarios, and the strings of the code.

Two rules are checked. Words of a short list do not appear. Sentences of prose stay short, on average over a page and
each by itself. Code, tables and names in backticks are no prose.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "docker" / "README.md"]
SCENARIOS = sorted((ROOT / "scenarios").rglob("*.yaml"))
TEMPLATES = sorted((ROOT / "harness" / "report" / "templates").glob("*.j2"))
MODULES = sorted((ROOT / "harness").rglob("*.py"))

AVOIDED = {
    "nobody": "name the actor: no node, no consumer",
    "somebody": "name the actor",
    "everybody": "all members, every client",
    "anew": "again",
    "tell": "say, report, show",
    "tells": "says, reports, shows",
    "told": "said, reported",
    "beside": "next to, in addition to",
    "stand still": "stop, stall",
    "stands still": "stops, stalls",
    "stood still": "stopped, stalled",
    "standing still": "stopping, stalling",
    "at fault": "caused by",
    "and paid": "and was stalled, affected",
    "as it must": "as expected",
}
_AVOIDED = re.compile(rf"(?<![\w`-])(?:{'|'.join(map(re.escape, AVOIDED))})(?![\w`-])", re.IGNORECASE)

MEAN_WORDS = 16
"""Words of a sentence, on average over a page, at most."""

MOST_WORDS = 30
"""Words of any one sentence of a page, at most."""


def without_code(text: str) -> str:
    """Return a page without its blocks of code; names in backticks become one word."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(?: {4}|\t).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "code", text)


def sentences(page: str) -> list[str]:
    """Return the sentences of a page's paragraphs and list items; a semicolon or a colon ends none."""
    found: list[str] = []
    prose = re.sub(r"^(?:#|\|).*$", "", without_code(page), flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", prose):
        part = re.sub(r"^([-*]|\d+\.) ", "", " ".join(block.split()))
        part = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", part)
        found += re.split(r"(?<=[.!?])[\"”*)]*\s+(?=[\"“*(]*(?:[A-Z]|code\b))", part)
    return [sentence for sentence in found if sentence]


def words(sentence: str) -> int:
    """Return the number of words of a sentence."""
    return len(re.findall(r"[A-Za-z0-9][\w'’.,%-]*", sentence))


def avoided(text: str) -> list[str]:
    """Return each word of the list in `text`, with its surroundings and what to write in its place."""
    return [
        f"…{text[max(0, word.start() - 40) : word.end() + 20]}… write: {AVOIDED[word[0].lower()]}"
        for word in _AVOIDED.finditer(text)
    ]


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string of a module that has a space: messages, help, docstrings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, re.sub(r"`[^`]*`", "code", node.value)


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_no_page_uses_an_avoided_word(page: Path) -> None:
    assert avoided(without_code(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_the_sentences_of_a_page_are_short(page: Path) -> None:
    lengths = {sentence: words(sentence) for sentence in sentences(page.read_text(encoding="utf-8"))}
    assert {sentence: length for sentence, length in lengths.items() if length > MOST_WORDS} == {}
    assert mean(lengths.values()) <= MEAN_WORDS


@pytest.mark.parametrize("path", [*SCENARIOS, *TEMPLATES, ROOT / "Makefile"], ids=_named)
def test_no_scenario_template_or_help_of_make_uses_an_avoided_word(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert avoided(re.sub(r"\{[{%].*?[%}]\}|<[^>]*>", " ", text) if path in TEMPLATES else text) == []


@pytest.mark.parametrize("module", MODULES, ids=_named)
def test_no_string_of_the_code_uses_an_avoided_word(module: Path) -> None:
    shown = {line: avoided(text) for line, text in texts(module.read_text(encoding="utf-8"))}
    assert {line: found for line, found in shown.items() if found} == {}


def test_the_rules_find_what_they_look_for() -> None:
    page = "It `tells`.\n\nNobody stood\nstill, and 0.5 s later n1 told c0 (`x: y`). Two.\n\n- **Three** words. Four.\n"
    assert [words(sentence) for sentence in sentences(page)] == [2, 11, 1, 2, 1]
    assert [found.partition("… write: ")[2] for found in avoided(" ".join(without_code(page).split()))] == [
        "name the actor: no node, no consumer",
        "stopped, stalled",
        "said, reported",
    ]
    assert [
        line for line, text in texts('X = "a told thing"\nY = "word"\n"""A docstring of `told` words."""\n') if text
    ] == [1, 3]
