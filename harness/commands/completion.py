"""What a shell offers after TAB: tags, faults, checks, scenarios and kinds of values. Never fails and never prints: a
completion that cannot be made is none.

Loads nothing but click before it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

_FILES_MAX = 1_000


def complete_tags(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the tags of the scenarios below ``scenarios``, and the kinds of brokers."""
    head, last = _last_word(begun)
    return [CompletionItem(head + tag) for tag in sorted(_tags()) if tag.startswith(last)]


def complete_faults(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the names of faults."""
    from harness.faults.base import FAULTS  # noqa: PLC0415  asked for only then

    return [CompletionItem(name) for name in FAULTS.names() if name.startswith(begun)]


def complete_scenarios(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the names of the scenarios that the harness ships."""
    from harness.shipped import scenario_names  # noqa: PLC0415

    return [CompletionItem(name) for name in scenario_names() if name.startswith(begun)]


def scenario_paths(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return scenario files and folders that begin like this."""
    prefix = begun[: begun.rfind("/") + 1]
    return [CompletionItem(prefix + name) for name in _entries(Path(prefix)) if (prefix + name).startswith(begun)]


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(
            f"{entry.name}/" if entry.is_dir() else entry.name
            for entry in folder.iterdir()
            if not entry.name.startswith(".") and (entry.is_dir() or entry.suffix in {".yaml", ".yml"})
        )
    except OSError:
        return []


def _tags() -> set[str]:
    """Return the tags in scenario files here, read without loading what makes plans."""
    from harness.scenario.plugins import BROKER_SPECS  # noqa: PLC0415

    found = set(BROKER_SPECS.names())
    for text in _texts(Path("scenarios")):
        found.update(_tags_of(text))
    return found


def _texts(folder: Path) -> Iterator[str]:
    from harness.regular import read_regular_text  # noqa: PLC0415

    for count, path in enumerate(sorted(folder.rglob("*.y*ml"))):
        if count >= _FILES_MAX:
            return
        try:
            yield read_regular_text(path)
        except (OSError, ValueError):
            continue


def _tags_of(text: str) -> Iterable[str]:
    from harness.errors import HarnessError  # noqa: PLC0415
    from harness.scenario.document import read_document  # noqa: PLC0415
    from harness.scenario.tree import Sequence, as_written  # noqa: PLC0415

    try:
        tags = read_document(text, "scenario").root.get("tags")
    except HarnessError:
        return []
    return [as_written(item) for item in tags.items] if isinstance(tags, Sequence) else []


def _last_word(begun: str) -> tuple[str, str]:
    """Return what stands before the last word of an expression, and that word."""
    start = max(begun.rfind(" "), begun.rfind("(")) + 1
    return begun[:start], begun[start:]
