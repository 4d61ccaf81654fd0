"""docs/architecture.md is true: what it names exists, every room is named, and rooms stand in order of imports."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = sorted(path.name for path in (ROOT / "harness").iterdir() if path.is_dir() and any(path.glob("*.py")))


def _named() -> list[str]:
    """Return every path that the page names."""
    return [name for name in re.findall(r"`([\w./<>-]+)`", PAGE) if "/" in name and "<" not in name]


def test_every_path_exists() -> None:
    """A path is below the repository, ``harness/``, ``docs/`` or a run directory."""
    outside = {"logs/"}
    missing = [
        name
        for name in _named()
        if name not in outside and not any((ROOT / start / name).exists() for start in ("", "harness", "docs"))
    ]
    assert missing == []
    assert len(_named()) > 60


def test_every_room_and_every_module_below_them_is_named() -> None:
    modules = sorted(path.name for path in (ROOT / "harness").glob("*.py") if path.name != "__init__.py")
    assert [room for room in ROOMS if f"| `{room}/` |" not in PAGE] == []
    assert [module for module in modules if f"`{module}`" not in PAGE] == []


def test_rooms_stand_in_the_order_of_imports() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    height = {
        module.removeprefix("harness."): number
        for number, layer in enumerate(layers)
        for module in re.split(r"\s*[|:]\s*", layer)
    }
    rows = re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE)
    found = [height[room] for room in rows if room in height]
    assert len(found) == len(ROOMS)
    assert found == sorted(found)


def test_key_questions_are_answered_with_one_file_each() -> None:
    section = PAGE.partition("## Where key things are")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+\?) \| `(harness/[\w/]+\.py)`", section, re.MULTILINE)
    for words in (
        "drain",
        "redelivery",
        "jitter",
        "bypasses",
        "ports",
        "exit codes",
        "torn",
        "SIGKILL",
        "tag",
        "stall",
    ):
        assert sum(words in question for question, _ in rows) == 1, words
