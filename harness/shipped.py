"""What comes with the harness besides its code: scenarios, docs and schemas, in a checkout or in the installed package.

Owns where they lie. Knows nothing of what is in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SCHEMA_FILE: Final = "scenario.schema.json"
EDITOR_LINE: Final = "# yaml-language-server: $schema="
"""How the first line of a scenario names its schema to an editor."""


def shipped(name: str) -> Path:
    """Return a folder that is shipped: ``scenarios``, ``docs``, or ``docs/schema``."""
    inside_repository = Path(__file__).parents[1]
    if (inside_repository / "pyproject.toml").is_file():
        return inside_repository / name
    return Path(__file__).parent / "shipped_files" / name


def scenario_names() -> list[str]:
    """Return ``<folder>/<name>`` of every scenario, sorted."""
    folder = shipped("scenarios")
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def schema_text() -> str:
    """Return the JSON Schema of scenario files, as published."""
    return (shipped("docs/schema") / SCHEMA_FILE).read_text(encoding="utf-8")
