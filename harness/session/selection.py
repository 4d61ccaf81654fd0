"""Which plans a command line means: files and folders, tags, variants, a seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import NothingSelectedError, Problem, ScenarioError, UsageError, nearest
from harness.scenario.expand import variants
from harness.scenario.load import load_file, load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.scenario.plugins import Vocabulary
from harness.scenario.variant import Variant
from harness.session.vocabulary import vocabulary

_SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """One plan with the text it was made from.

    Attributes:
        plan: The plan.
        source: The text.
        seed_drawn: Neither the text nor the command line gave a seed: another machine draws another one.
    """

    plan: Plan
    source: str
    seed_drawn: bool = False


def scenario_files(paths: Sequence[Path]) -> list[Path]:
    """Return the scenario files among ``paths``: files as given, folders searched for ``*.yaml`` and ``*.yml``.

    Raises:
        UsageError: A path does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(found for found in path.rglob("*") if found.suffix in _SUFFIXES)
        elif path.exists():
            files.append(path)
        else:
            siblings = path.parent.iterdir() if path.parent.is_dir() else []
            known = [found.name for found in siblings if _is_alike(found, path)]
            raise UsageError(f"no such scenario: {path}", hint=nearest(path.name, known))
    return list(dict.fromkeys(files))


def _is_alike(found: Path, missing: Path) -> bool:
    """Return whether ``missing`` may be a misspelling of what was found: both files of scenarios, or both folders."""
    if missing.suffix in _SUFFIXES:
        return found.suffix in _SUFFIXES
    return found.is_dir() and not found.name.startswith(".")


def select(
    paths: Sequence[Path], *, tags: Iterable[str] = (), wanted: Mapping[str, str] | None = None, seed: int | None = None
) -> list[Selected]:
    """Return every plan selected, in order of file and variant.

    Args:
        paths: Scenario files and folders.
        tags: Keep scenarios that have at least one of these; empty = all.
        wanted: Matrix path → value: keep the variants that have all of them.
        seed: Takes the place of every scenario's own.

    Raises:
        ScenarioError: With every problem of every file.
        NothingSelectedError: Nothing is left.
    """
    words = vocabulary()
    keep, problems = set(tags), list[Problem]()
    expanded: list[tuple[Variant, str]] = []
    for file in scenario_files(paths):
        try:
            found = variants(load_file(file, words))
            text = file.read_text(encoding="utf-8-sig")
            expanded += [(variant, text) for variant in found]
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    _require_known(wanted or {}, [variant for variant, _ in expanded])
    selected = [
        Selected(plan=make_plan(variant, seed), source=text, seed_drawn=seed is None and variant.seed is None)
        for variant, text in expanded
        if (not keep or keep & set(variant.tags))
        and all(variant.labels.get(path) == value for path, value in (wanted or {}).items())
    ]
    if not selected:
        raise NothingSelectedError(
            "no scenario is selected",
            hint=f"none of the {len(expanded)} variants found has the tags and the values asked for"
            if expanded
            else f"no *.yaml below {', '.join(map(str, paths)) or 'the paths given'}",
        )
    return selected


def replan(text: str, file: str, wanted: Mapping[str, str], seed: int, words: Vocabulary | None = None) -> Plan:
    """Return the plan that a run directory was made from: same text, variant and seed.

    Raises:
        UsageError: The text has no such variant any more.
    """
    for variant in variants(load_text(text, file, words or vocabulary())):
        if dict(variant.labels) == dict(wanted):
            return make_plan(variant, seed)
    raise UsageError(f"{file} has no variant {dict(wanted)}")


def _require_known(wanted: Mapping[str, str], found: Sequence[Variant]) -> None:
    paths = {path for variant in found for path in variant.labels}
    for path in wanted:
        if path not in paths:
            raise UsageError(f"no scenario selected has a matrix over {path!r}", hint=nearest(path, paths))
