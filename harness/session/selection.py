"""Which plans a command line means: files and folders, tags, expressions, variants, values that it sets, a seed.

Owns that plans are selected as they are written, and that what is set comes after.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from harness.brokers.base import BROKERS
from harness.checks.base import CHECKS
from harness.errors import NothingSelectedError, Problem, ScenarioError, UsageError, nearest
from harness.faults.base import FAULTS
from harness.regular import read_regular
from harness.scenario.application import application_of
from harness.scenario.characters import hostile_name
from harness.scenario.expand import variants
from harness.scenario.head import Head
from harness.scenario.load import load_text, read_text
from harness.scenario.matrix import axis_values
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.scenario.plugins import BROKER_SPECS, Vocabulary
from harness.scenario.settings import OptionPlace, read_settings
from harness.scenario.variant import Variant
from harness.session.expression import ExpressionError, Field, Test, parse, parse_tags, pointed
from harness.session.fields import fields_of, tags_of, values_of
from harness.session.vocabulary import vocabulary

_SUFFIXES = frozenset({".yaml", ".yml"})
_TAG: Final = re.compile(r"[^\s()'\",=!<>]+")
_PLAN_FILE: Final = "plan.json"
"""What a run directory has next to its copy of the scenario."""
_KEY: Final = re.compile(r"^[\"']?([A-Za-z_][\w-]*)[\"']?[ \t]*:", re.MULTILINE)
_BYTES_MAX: Final = 2**20
"""Of what is looked into; a scenario that is larger is refused anyway."""
_OWN_KEYS: Final = frozenset(field.name for field in fields(Head)) - {"version"}
"""Top-level keys of scenarios that other documents hardly have all to themselves."""


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

    Below a folder, hidden folders and run directories (which keep copies of scenarios) are left out, and so are YAML
    files that have no top-level key of a scenario. A file that is named is taken whatever it holds.

    Raises:
        UsageError: A path does not exist or cannot be reached, a folder cannot be searched, or a name
            holds what could steer a terminal.
    """
    files: list[Path] = []
    for path in paths:
        mode = _mode(path)
        if mode is None:
            with contextlib.suppress(OSError):  # then nothing is offered in its place
                known = [found.name for found in path.parent.iterdir() if _is_alike(found, path)]
                raise UsageError(f"no such scenario: {path}", hint=nearest(path.name, known))
            raise UsageError(f"no such scenario: {path}")
        files += _below(path) if stat.S_ISDIR(mode) else [path]
    for file in files:
        if found := hostile_name(str(file)):
            raise UsageError(
                f"the name of a scenario holds the character {found}: {str(file)!a}", hint="give it another name"
            )
    return list(dict.fromkeys(files))


def _mode(path: Path) -> int | None:
    """Return the mode of what is at a path; None when there is nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"cannot reach {path}: {error.strerror}") from error


def _unsearched(error: OSError) -> None:
    """Refuse a folder that cannot be searched: its scenarios would be left out without a word."""
    raise UsageError(
        f"cannot search the folder {error.filename}: {error.strerror}", hint="name the folders that are meant"
    ) from error


def _below(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder, onerror=_unsearched):
        if _PLAN_FILE in names and "scenario.yaml" in names and Path(place) != folder:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if Path(name).suffix in _SUFFIXES]
    return [path for path in sorted(found) if _may_be_scenario(path)]


def _may_be_scenario(path: Path) -> bool:
    """Return whether a file is a scenario, or one that is spoilt: only what is clearly something else is none."""
    try:
        text = read_regular(path, _BYTES_MAX).decode("utf-8-sig")
    except (OSError, ValueError):
        return True  # the loader says what is wrong with it
    keys = set(_KEY.findall(text))
    return not keys or bool(keys & _OWN_KEYS)


def _is_alike(found: Path, missing: Path) -> bool:
    """Return whether ``missing`` may be a misspelling of what was found: both files of scenarios, or both folders."""
    if missing.suffix in _SUFFIXES:
        return found.suffix in _SUFFIXES
    return found.is_dir() and not found.name.startswith(".")


def select(
    paths: Sequence[Path],
    *,
    tags: Sequence[str] = (),
    where: str = "",
    wanted: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    seed: int | None = None,
    runtime: str = "auto",
    trusted: bool = False,
) -> list[Selected]:
    """Return every plan selected, in order of file and variant.

    Args:
        paths: Scenario files and folders.
        tags: Keep plans of which one of these expressions of tags is true; empty = all.
        where: Keep plans of which this expression is true; empty = all.
        wanted: Matrix path → value: keep the variants that have all of them.
        settings: Path → value as text, put into every plan that was selected as it is written.
        seed: Takes the place of every scenario's own.
        runtime: What is asked for, for ``where``.
        trusted: They may set keys of ``cluster.config`` that reach outside the run.

    Raises:
        ScenarioError: With every problem of every file, or of what is set.
        UsageError: An expression is wrong.
        NothingSelectedError: Nothing is left.
    """
    found = _planned(paths, seed, trusted=trusted)
    _require_known(wanted or {}, [item.plan for item in found])
    tagged = tag_test(tags, found)
    true_of = where_test(where, found)
    selected = [
        item
        for item in found
        if tagged(item.plan)
        and all(item.plan.variant.get(path) == value for path, value in (wanted or {}).items())
        and true_of(values_of(item.plan, runtime))
    ]
    if not selected:
        raise NothingSelectedError(
            "no scenario is selected",
            hint=f"none of the {len(found)} variants found has the tags and the values asked for"
            if found
            else f"no *.yaml below {', '.join(map(str, paths)) or 'the paths given'}",
        )
    return with_settings(selected, settings, seed, trusted=trusted) if settings else selected


def _planned(paths: Sequence[Path], seed: int | None, *, trusted: bool) -> list[Selected]:
    """Return the plan of every variant of every file."""
    words, problems = replace(vocabulary(), trusted=trusted), list[Problem]()
    expanded: list[tuple[Variant, str]] = []
    for file in scenario_files(paths):
        try:
            text = read_text(file)
            found = variants(load_text(text, str(file), words))
            expanded += [(variant, text) for variant in found]
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return [_selected(variant, text, seed) for variant, text in expanded]


def _selected(variant: Variant, text: str, seed: int | None) -> Selected:
    return Selected(plan=make_plan(variant, seed), source=text, seed_drawn=seed is None and variant.seed is None)


def with_settings(
    selected: Sequence[Selected], settings: Mapping[str, str], seed: int | None = None, *, trusted: bool = False
) -> list[Selected]:
    """Return plans with values put into them; variants that become one are one.

    Args:
        selected: The plans as written.
        settings: Path → value as text.
        seed: Takes the place of every scenario's own.
        trusted: They may set keys of ``cluster.config`` that reach outside the run.

    Raises:
        ScenarioError: With every problem; what is wrong with a value is located in the option that gave it.
    """
    read_settings(settings)  # what no scenario takes is told once, before any of them is looked at
    words = replace(vocabulary(), trusted=trusted)
    found: dict[tuple[str, frozenset[tuple[str, str]]], Selected] = {}
    problems: dict[Problem, list[str]] = {}
    refused: set[str] = set()
    expanded: dict[str, tuple[Variant, ...]] = {}
    for item in selected:
        file = item.plan.file
        if file in refused:
            continue
        try:
            if file not in expanded:
                expanded[file] = variants(replace(load_text(item.source, file, words), settings=settings))
        except ScenarioError as error:
            refused.add(file)
            for problem in error.problems:
                problems.setdefault(problem, []).append(file)
            continue
        labels = {**item.plan.variant, **settings}
        variant = next(one for one in expanded[file] if dict(one.labels) == labels)
        made = _selected(variant, item.source, seed)
        if made.seed_drawn and item.seed_drawn:  # it was drawn once, and stays
            made = replace(made, plan=make_plan(variant, item.plan.seed))
        found.setdefault((file, frozenset(labels.items())), made)
    if problems:
        raise ScenarioError(_in_files(problem, files) for problem, files in problems.items())
    return list(found.values())


def _in_files(problem: Problem, files: Sequence[str]) -> Problem:
    """Return a problem of an option with the scenario that has it."""
    if not isinstance(problem.location, OptionPlace):
        return problem
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return replace(problem, message=f"{problem.message} [in {files[0]}{more}]")


def tag_test(tags: Sequence[str], found: Sequence[Selected]) -> Callable[[Plan], bool]:
    """Return whether one of these expressions of tags is true of a plan; of no expressions at all, it always is.

    Args:
        tags: The expressions, as given to ``--tag``.
        found: Every plan that there is to select from, whose tags are known.

    Raises:
        NothingSelectedError: A single tag is one that no plan has.
        UsageError: An expression is wrong, or names such a tag.
    """
    # A kind of broker is a word even where no plan has it: 'not kafka' is true of a folder without Kafka.
    known = {tag for item in found for tag in tags_of(item.plan)} | set(BROKERS.names())
    tests = []
    for text in tags:
        try:
            tests.append(parse_tags(text, known))
        except ExpressionError as error:
            if _TAG.fullmatch(text.strip()):
                raise NothingSelectedError(
                    f"no scenario selected has the tag {text.strip()!r}", hint=error.hint
                ) from error
            raise pointed("--tag", text, error) from error
    return lambda plan: not tests or any(test(tags_of(plan)) for test in tests)


def where_test(where: str, found: Sequence[Selected]) -> Test:
    """Return whether an expression is true of a plan's fields; raises UsageError. An empty one always is."""
    if not where:
        return lambda _: True
    try:
        return parse(where, known_fields(found))
    except ExpressionError as error:
        raise pointed("--where", where, error) from error


def known_fields(found: Sequence[Selected]) -> Mapping[str, Field]:
    """Return the fields that an expression may name, and their words as far as these plans and the registries know."""
    words = {"fault": FAULTS.names(), "check": CHECKS.names(), "kind": BROKER_SPECS.names()}
    return fields_of([one.plan for one in found], words)


def replan(text: str, file: str, wanted: Mapping[str, str], seed: int, words: Vocabulary | None = None) -> Plan:
    """Return the plan that a run directory was made from: same text, variant, values that were set, and seed.

    Whether the scenario is trusted was asked when it was selected, and is not asked again.

    Raises:
        UsageError: The text has no such variant any more.
    """
    source = load_text(text, file, replace(words or vocabulary(), trusted=True))
    settings = settings_of(text, file, wanted) if wanted else {}
    for variant in variants(replace(source, settings=settings)):
        if dict(variant.labels) == dict(wanted):
            return make_plan(variant, seed)
    raise UsageError(f"{file} has no variant {dict(wanted)}")


def settings_of(text: str, file: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return which values of a variant are none of its scenario's matrix: they were set.

    Args:
        text: Of the scenario.
        file: Its name.
        labels: Path → value, of the variant.
    """
    values = axis_values(load_text(text, file, vocabulary()).root)
    return {path: value for path, value in labels.items() if value not in values.get(path, ())}


def _require_known(wanted: Mapping[str, str], found: Sequence[Plan]) -> None:
    paths = {path for plan in found for path in plan.variant}
    for path in wanted:
        if path not in paths:
            raise UsageError(
                f"no scenario selected has a matrix over {path!r}",
                hint=f"{nearest(path, paths)} `--set` sets what no matrix varies".strip(),
            )


def needs_trust(plan: Plan) -> bool:
    """Return whether a plan reaches outside its run, so that its scenario must be trusted.

    One with an application does: it starts a program.
    """
    if application_of(plan.workload.consumer) is not None:
        return True
    known = dict(BROKER_SPECS.items()).get(plan.broker_kind)
    return known is not None and known.config_keys is not None and known.config_keys.needs_trust(plan.cluster.config)
