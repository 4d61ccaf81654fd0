"""What people read is said in plain words: README, docs, help texts of the Makefile, scenarios, and the texts in code.

Held: a list of words that do not appear, and the length of the sentences of prose. Code, tables and names in backticks count for
neither length; strings count where they are shown (messages, help, docstrings).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md")) + [ROOT / "README.md", ROOT / "docker" / "README.md"]
SCENARIOS = sorted((ROOT / "scenarios").rglob("*.yaml"))
MODULES = sorted((ROOT / "harness").rglob("*.py"))

AVOIDED = {
    "nobody": "name the actor: no broker, no consumer",
    "somebody": "name the actor",
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
}
_AVOIDED = re.compile(rf"(?<![\w`/.-])({'|'.join(map(re.escape, sorted(AVOIDED, key=len, reverse=True)))})(?![\w`.]*[\w/(])", re.IGNORECASE)

MEAN_WORDS = 20
"""Words of a sentence, on average over a page."""

MOST_WORDS = 40
"""Words of the longest sentence of a page."""


def prose(text: str) -> list[str]:
    """Return the paragraphs and list items of a page, without code blocks, indented code, tables and headings."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    parts: list[str] = []
    joined = False
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", "|")) or line.startswith("    "):
            joined = False
            continue
        starts_item = re.match(r"[-*] |\d+\. ", stripped)
        if joined and not starts_item:
            parts[-1] += f" {stripped}"
        else:
            parts.append(re.sub(r"^([-*]|\d+\.) ", "", stripped))
        joined = True
    return parts


def sentences(text: str) -> list[str]:
    """Return the sentences of a page's prose; a semicolon ends none, a full stop in a name or a figure neither."""
    found: list[str] = []
    for part in prose(text):
        plain = re.sub(r"`[^`]*`", "code", part)
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
        found += [sentence for sentence in re.split(r"(?<=[.!?:])[\"”*)]*\s+(?=[A-Z\"“*(\[]|code)", plain) if sentence]
    return found


def words(sentence: str) -> int:
    """Return how many words a sentence has."""
    return len(re.findall(r"[A-Za-z0-9][\w'’.,%-]*", sentence))


def avoided(text: str) -> list[str]:
    """Return the words of `text` that are not to be used, each with what to write."""
    plain = re.sub(r"`[^`]*`", "code", text)
    return [f"{found[0]!r} ({AVOIDED[found[1].lower()]}): …{plain[max(0, found.start() - 40) : found.end() + 20]!r}" for found in _AVOIDED.finditer(plain)]


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield each string of a module with its line: literals, pieces of formatted strings and docstrings, but no word alone."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name if page.parent.name != "docker" else "docker")
def test_a_page_uses_plain_words(page: Path) -> None:
    assert not avoided(re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL))
