"""docs/extending.md is true: its code is the third party's in tests/third_party, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:python|toml)\n# (tests/third_party/[\w./]+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_of_code_names_its_file() -> None:
    assert len(BLOCKS) == PAGE.count("\n```python") + PAGE.count("\n```toml")
    assert len(BLOCKS) > 8


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(BLOCKS)])
def test_code_is_that_of_the_third_party(name: str, block: str) -> None:
    """Between two ``…`` every line stands in the file as on the page, one after the other."""
    text = (ROOT / name).read_text(encoding="utf-8")
    at = 0
    for part in block.split("…\n"):
        found = text.find(part, at)
        assert found >= 0, part
        at = found + len(part)


def test_every_path_exists() -> None:
    named = [name for name in re.findall(r"`((?:harness|tests|docs|docker)/[\w./-]+)`", PAGE) if "<" not in name]
    assert len(named) > 6
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_names_of_the_surface_are_exported() -> None:
    exported = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "harness" / "plugin_api").glob("*.py"))
    names = [
        "HealingFault",
        "OneOffFault",
        "LinkToxic",
        "NodeLife",
        "Freeze",
        "WorkerExit",
        "Evidence",
        "FaultSpec",
        "ResultBuilder",
        "Measure",
        "BrokerSpec",
        "BoundBroker",
        "Facts",
        "NodeSpec",
        "Admin",
        "Probe",
        "mesh",
        "Handler",
        "GoModule",
        "PythonPackage",
    ]
    assert [name for name in names if f"`{name}" not in PAGE or f'"{name}"' not in exported] == []
