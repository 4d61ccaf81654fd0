"""What the words of ``harness suite`` mean: names and paths become items.

Owns the order in which a name is looked up, and how the options of the command line and of ``suites.yaml`` go together.
Knows nothing of how runs are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from harness.errors import NothingSelectedError, Problem, ScenarioError, UsageError, nearest
from harness.session.expression import ExpressionError, Test, parse
from harness.session.fields import tags_of, values_of
from harness.session.selection import (
    Selected,
    known_fields,
    scenario_files,
    select,
    tag_test,
    where_test,
    with_settings,
)
from harness.suites.config import CONFIG_FILE, Defined, Definition, read_config
from harness.suites.item import SuiteItem, firsts_of, repeated

T = TypeVar("T")

SCENARIOS: Final = Path("scenarios")
_SUFFIXES: Final = (".yaml", ".yml")
_NAMED_MAX: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line asks for; None and empty mean that a suite's own definition holds.

    Attributes:
        names: Names of suites, folders or tags, and paths.
        tags, where, variant: Narrow whatever the names select, as it is written.
        settings: Path → value as text, put into what is left.
        seed, runtime, repeat, until_fail, fail_fast, deadline_ns, baseline: As in ``Definition``.
        trusted: Scenarios may set keys of ``cluster.config`` that reach outside the run.
        config: File of suites; None = ``suites.yaml`` when there is one.
    """

    names: tuple[str, ...]
    tags: tuple[str, ...] = ()
    where: str = ""
    variant: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    runtime: str | None = None
    repeat: int | None = None
    until_fail: bool = False
    fail_fast: bool = False
    deadline_ns: int | None = None
    baseline: str = ""
    config: Path | None = None
    trusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen.

    Attributes:
        name: Of the suite: the names, joined by ``+``.
        items: In order of the names, files, variants, runtimes and repetitions; at least one.
        used: What each name that is no path was taken for, and what is made less often, one sentence each.
        repeat: The largest number of repetitions asked for.
        until_fail, fail_fast, deadline_ns, baseline: In force for the whole.
    """

    name: str
    items: tuple[SuiteItem, ...]
    used: tuple[str, ...]
    repeat: int = 1
    until_fail: bool = False
    fail_fast: bool = False
    deadline_ns: int | None = None
    baseline: str = ""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What one name was taken for; ``used`` is empty for a path."""

    name: str
    definition: Definition
    paths: tuple[Path, ...]
    used: str
    defined: Defined | None = None


def choose(wish: Wish) -> Choice:
    """Return the items that a command line means.

    Raises:
        UsageError: A name means nothing, an expression is wrong, or suites do not go together: they disagree, or want
            a scenario with different seeds.
        ScenarioError: With every problem of every scenario, or of the file of suites.
        NothingSelectedError: A name, or one of its paths or tags, selects nothing, or all names together.
    """
    config = _config(wish.config)
    meanings = [_meaning(name, config, trusted=wish.trusted) for name in wish.names]
    items: dict[str, SuiteItem] = {}
    selected = [_selected(meaning, wish) for meaning in meanings]
    every = [one for found in selected for one in found]
    asked = where_test(wish.where, every)
    tagged = tag_test(wish.tags, every)
    used: list[str] = []
    for meaning, found in zip(meanings, selected, strict=True):
        mine = _items(
            meaning, found, wish, lambda item: tagged(item.plan) and asked(values_of(item.plan, item.runtime))
        )
        used += [meaning.used] if meaning.used else []
        used += [] if mine else [f"{meaning.name}: the options leave none of its {len(found)} plans"]
        for item in mine:
            _require_one_plan(items.setdefault(item.key, item), item)
    until_fail = wish.until_fail or any(meaning.definition.until_fail for meaning in meanings)
    races = sorted({item.plan.scenario for item in items.values() if item.plan.attempts is not None})
    if until_fail and races:
        used.append(f"--until-fail makes these only once, because their attempts count together: {', '.join(races)}")
    _require_variants(wish.variant, every)
    if wish.settings:
        items = _set(items.values(), wish)
    if not items:
        raise NothingSelectedError(
            "no scenario is selected",
            hint=f"none of the {len(every)} plans of {', '.join(wish.names)} has what the options ask for",
        )
    return Choice(
        name=_name_of(wish.names),
        items=tuple(items.values()),
        used=tuple(used),
        repeat=max(wish.repeat or meaning.definition.repeat for meaning in meanings),
        until_fail=until_fail,
        fail_fast=wish.fail_fast or any(meaning.definition.fail_fast for meaning in meanings),
        deadline_ns=wish.deadline_ns if wish.deadline_ns is not None else _deadline(meanings),
        baseline=wish.baseline or _baseline(meanings),
    )


def _name_of(names: Iterable[str]) -> str:
    """Return one name for all that was asked for, short enough for a line: ``smoke+slow+nightly+2 more``."""
    different = list(dict.fromkeys(names))
    more = len(different) - _NAMED_MAX
    return "+".join([*different[:_NAMED_MAX], *([f"{more} more"] if more > 0 else [])])


def _config(path: Path | None) -> Mapping[str, Defined]:
    if path is None and not CONFIG_FILE.exists():
        return {}
    return read_config(path or CONFIG_FILE)


def _meaning(name: str, config: Mapping[str, Defined], *, trusted: bool) -> _Meaning:
    """Return what a name means: a suite that is defined, else a folder of scenarios, else a path, else a tag."""
    if name in config:
        defined = config[name]
        paths = tuple(defined.folder / path for path in defined.definition.paths)
        return _Meaning(name, defined.definition, paths, f"{name}: the suite of {defined.at.file}", defined)
    folder = SCENARIOS / name
    plain = "/" not in name and not name.endswith(_SUFFIXES)
    if plain and folder.is_dir():
        return _Meaning(name, Definition(), (folder,), f"{name}: the folder {folder}")
    path = Path(name)
    if path.exists() or not plain:
        scenario_files([path])  # a path that is missing is compared with what is there
        return _Meaning(name, Definition(), (path,), "")
    found = select([SCENARIOS], trusted=trusted) if SCENARIOS.is_dir() else []
    tags = sorted({tag for one in found for tag in tags_of(one.plan)})
    if name in tags:
        definition = Definition(tags=(name,))
        return _Meaning(name, definition, (SCENARIOS,), f"{name}: the scenarios below {SCENARIOS} with this tag")
    folders = [entry.name for entry in SCENARIOS.iterdir() if entry.is_dir()] if SCENARIOS.is_dir() else []
    raise UsageError(
        f"no suite, folder of scenarios, path or tag {name!r}", hint=nearest(name, {*config, *folders, *tags})
    )


def _selected(meaning: _Meaning, wish: Wish) -> list[Selected]:
    """Return the plans of one name, before the command line narrows them."""
    definition = meaning.definition
    seed = wish.seed if wish.seed is not None else definition.seed
    try:
        for path in meaning.paths:
            if not scenario_files([path]):
                raise NothingSelectedError("no scenario is selected", hint=f"no *.yaml below {path}")
        return select(meaning.paths, tags=definition.tags, wanted=definition.variant, seed=seed, trusted=wish.trusted)
    except ScenarioError:
        raise
    except (UsageError, NothingSelectedError) as error:
        if meaning.defined is None:
            raise
        raise type(error)(f"{meaning.defined.at}: {meaning.name}: {error.message}", hint=error.hint) from error


def _items(
    meaning: _Meaning, found: Sequence[Selected], wish: Wish, asked: Callable[[SuiteItem], bool]
) -> list[SuiteItem]:
    """Return the items of one name that the command line leaves; raises NothingSelectedError when it has none."""
    definition = meaning.definition
    runtime = wish.runtime or definition.runtime
    runtimes = ("process", "docker") if runtime == "both" else (runtime,)
    own = _own(meaning, found)
    items = [item for item in firsts_of(found, runtimes) if own(values_of(item.plan, item.runtime))]
    if not items:
        at = f"{meaning.defined.where_at or meaning.defined.at}: " if meaning.defined is not None else ""
        raise NothingSelectedError(
            f"{at}{meaning.name}: no scenario is selected",
            hint=f"of none of its {len(found)} plans is {definition.where!r} true",
        )
    left = [
        item
        for item in items
        if all(item.plan.variant.get(path) == value for path, value in wish.variant.items()) and asked(item)
    ]
    return repeated(left, wish.repeat or definition.repeat)


def _set(items: Iterable[SuiteItem], wish: Wish) -> dict[str, SuiteItem]:
    """Return items with values put into their plans; those that become one are one."""
    found: dict[str, SuiteItem] = {}
    for (runtime, repetition), group in _alike(items).items():
        for selected in with_settings(group, wish.settings, wish.seed, trusted=wish.trusted):
            item = SuiteItem(selected=selected, runtime=runtime, repetition=repetition)
            found.setdefault(item.key, item)
    return found


def _alike(items: Iterable[SuiteItem]) -> dict[tuple[str, int], list[Selected]]:
    """Return (runtime, repetition) → plans."""
    found: dict[tuple[str, int], list[Selected]] = {}
    for item in items:
        found.setdefault((item.runtime, item.repetition), []).append(item.selected)
    return found


def _own(meaning: _Meaning, found: Sequence[Selected]) -> Test:
    """Return what the expression of a suite demands of an item."""
    if not meaning.definition.where:
        return _always
    try:
        return parse(meaning.definition.where, known_fields(found))
    except ExpressionError as error:
        assert meaning.defined is not None
        at = meaning.defined.where_at or meaning.defined.at
        message = f"suites.{meaning.name}.where, column {error.column} of the expression: {error.message}"
        raise ScenarioError([Problem(at, message, error.hint)]) from error


def _always(_: object) -> bool:
    return True


def _require_one_plan(first: SuiteItem, other: SuiteItem) -> None:
    """Refuse two plans of one scenario in one place of the suite; a seed that is drawn is drawn once."""
    drawn = first.selected.seed_drawn or other.selected.seed_drawn
    if first.plan.digest != other.plan.digest and not drawn:
        raise UsageError(
            f"{first.key} is selected as two plans, with the seeds {first.plan.seed} and {other.plan.seed}",
            hint="give one --seed for all, or make them two suites",
        )


def _require_variants(wanted: Mapping[str, str], found: Sequence[Selected]) -> None:
    """Refuse a path of ``--variant`` that no scenario has a matrix over."""
    paths = {path for one in found for path in one.plan.variant}
    for path in wanted:
        if path not in paths:
            raise UsageError(f"no scenario selected has a matrix over {path!r}", hint=nearest(path, paths))


def _one_of(option: str, values: Mapping[str, T]) -> T | None:
    """Return the one value that suites give to an option that holds for the whole; None when none does."""
    if len(set(values.values())) > 1:
        said = ", ".join(f"{name} says {value}" for name, value in values.items())
        raise UsageError(f"these suites do not agree in {option}: {said}", hint=f"say it with --{option}")
    return next(iter(values.values()), None)


def _baseline(meanings: Sequence[_Meaning]) -> str:
    said = {one.name: one.definition.baseline for one in meanings if one.definition.baseline}
    return _one_of("baseline", said) or ""


def _deadline(meanings: Sequence[_Meaning]) -> int | None:
    """Return the shortest deadline of all: what they share must end by then."""
    return min((one.definition.deadline_ns for one in meanings if one.definition.deadline_ns is not None), default=None)
