"""The wheel has what a user needs besides the code, and works without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.shipped import scenario_names

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout and unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_it_ships_scenarios_docs_schema_licence_and_changes(unpacked: Path) -> None:
    shipped = unpacked / "harness" / "shipped_files"
    assert {path.name for path in (ROOT / "docs").glob("*.md")} == {
        path.name for path in (shipped / "docs").glob("*.md")
    }
    assert (shipped / "docs" / "schema" / "scenario.schema.json").is_file()
    assert len(list((shipped / "scenarios").rglob("*.yaml"))) == len(scenario_names())
    assert (shipped / "CHANGELOG.md").is_file()
    assert [
        path.read_text(encoding="utf-8").lstrip()[:14] for path in unpacked.glob("*.dist-info/licenses/LICENSE")
    ] == ["Apache License"]


def test_it_lists_and_copies_its_own_scenarios(unpacked: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}

    def harness(*words: str) -> str:
        command = [sys.executable, "-m", "harness", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert {item["name"] for item in json.loads(harness("list", "--json"))} == set(scenario_names())
    harness("copy", "gate/latency")
    assert "ok  latency.yaml" in harness("validate", "latency.yaml")
