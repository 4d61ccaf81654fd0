"""The options of ``harness suite`` by what they are about; the command gets the values of each group as one object.

Loads nothing but click: what suites are made of is loaded when the command runs.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.commands.options import (
    annotations_option,
    baseline_option,
    baseline_optional_option,
    isolate_option,
    pairs,
    reports_option,
    seed_option,
    set_option,
    store_option,
    summary_option,
    tag_option,
    tolerance_option,
    trust_option,
    variant_option,
    where_option,
)
from harness.errors import UsageError
from harness.runtime.contract import RUNTIMES
from harness.units import BYTES, DURATION, Unit

if TYPE_CHECKING:
    from harness.suites.choose import Wish

LAST: Final = "last"
"""The suite to resume that was begun last."""

Command = Callable[..., int]
Option = Callable[[Command], Command]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choosing:
    """Which runs are to be made, and when the suite ends early; see ``Wish``."""

    seed: int | None
    tags: tuple[str, ...]
    where: str
    wanted: tuple[str, ...]
    settings: tuple[str, ...]
    config: Path | None
    runtime: str | None
    repeat: int | None
    until_fail: bool
    fail_fast: bool
    deadline: str | None
    trust: bool

    def wish(self, names: tuple[str, ...], baseline: str) -> Wish:
        """Return what the line asks for; raises UsageError for what cannot be read."""
        from harness.suites.choose import Wish  # noqa: PLC0415  commands load only what they need

        return Wish(
            names=names,
            tags=self.tags,
            where=self.where,
            variant=pairs(self.wanted),
            settings=pairs(self.settings, "--set"),
            seed=self.seed,
            runtime=self.runtime,
            repeat=self.repeat,
            until_fail=self.until_fail,
            fail_fast=self.fail_fast,
            deadline_ns=_quantity("deadline", self.deadline, DURATION),
            config=self.config,
            baseline=baseline,
            trusted=self.trust,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What is done with these runs.

    Attributes:
        only_list, dry_run: Run nothing, and print which runs there are, or when each would start.
        resumed: ``LAST`` or a suite's directory; None = nothing is resumed.
        shard: Which part, as written; None = everything.
        costs_file: Run nothing, and write what each run is expected to take to this file.
        reports: Folder of the run directories.
    """

    only_list: bool
    dry_run: bool
    resumed: str | None
    shard: str | None
    costs_file: Path | None
    reports: Path

    @property
    def only_shown(self) -> bool:
        """Whether nothing is run."""
        return self.only_list or self.dry_run or self.costs_file is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What of this machine a suite may use, and what its runs are expected to take.

    Attributes:
        cores, memory: For all runs together, the latter as written; None = what there is.
        costs: File of costs, in place of those recorded here.
        isolate: See ``engine/isolation.py``.
    """

    cores: float | None
    memory: str | None
    costs: Path | None
    isolate: str

    @property
    def memory_bytes(self) -> int | None:
        """Memory for all runs together; raises UsageError for what cannot be read."""
        return _quantity("memory", self.memory, BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What is written and printed of the result."""

    junit: Path | None
    annotations: str
    summary: Path | None
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where runs are kept, and how the suite is compared with stored ones.

    Attributes:
        baseline_text, tolerance, optional: See ``BaselineRequest``; the first is None for no comparison.
        store_file: The store; None = the user's own.
        no_store: Runs are not added to it.
    """

    baseline_text: str | None
    tolerance: float
    optional: bool
    store_file: Path | None
    no_store: bool


def _group(name: str, kind: type, *options: Option) -> Option:
    """Return a decorator that adds options to a command, which gets their values as ``name``, an object of ``kind``."""
    fields = [field.name for field in dataclasses.fields(kind)]

    def add(command: Command) -> Command:
        @functools.wraps(command)
        def gathering(*args: Any, **values: Any) -> int:
            gathered = kind(**{field: values.pop(field) for field in fields})
            return command(*args, **values, **{name: gathered})

        called: Command = gathering
        for option in reversed(options):
            called = option(called)
        return called

    return add


choosing_options = _group(
    "choosing",
    Choosing,
    seed_option,
    tag_option,
    where_option,
    variant_option,
    set_option,
    click.option(
        "--config", type=click.Path(path_type=Path), help="File of suites.  [default: suites.yaml, if it exists]"
    ),
    click.option(
        "--runtime",
        type=click.Choice(["auto", *RUNTIMES, "both"]),
        envvar="HARNESS_RUNTIME",
        show_envvar=True,
        help="Where nodes run; both: every plan in processes and in containers.  [default: auto]",
    ),
    trust_option,
    click.option("--repeat", type=click.IntRange(1, 10_000), help="Run each plan N times.  [default: 1]"),
    click.option("--until-fail", is_flag=True, help="Go on until a run fails or the deadline comes."),
    click.option("--fail-fast", is_flag=True, help="Begin no run after one that failed."),
    click.option("--deadline", metavar="DURATION", help="Begin no run that is expected to end later than this (30m)."),
)
doing_options = _group(
    "doing",
    Doing,
    click.option("--list", "only_list", is_flag=True, help="Print the runs that are selected, and run nothing."),
    click.option("--dry-run", is_flag=True, help="Print the order, costs and expected time, and run nothing."),
    click.option(
        "--resume",
        "resumed",
        is_flag=False,
        flag_value=LAST,
        metavar="[DIR]",
        help="Make what a suite lacks: of this directory, else the last incomplete one; with NAMES, the last "
        "incomplete one of the same runs, or a new one.",
    ),
    click.option(
        "--shard", metavar="I/N|auto", help="Only this part of the suite, from 1/N; auto: as the variables of CI say."
    ),
    click.option(
        "--write-costs",
        "costs_file",
        type=click.Path(path_type=Path),
        help="Write what each run is expected to take to a file for --costs, and run nothing.",
    ),
    reports_option,
)
machine_options = _group(
    "machine",
    Machine,
    click.option("--cores", type=float, help="CPUs that all runs together may use.  [default: what there is, less 5%]"),
    click.option("--memory", metavar="SIZE", help="Memory that all runs together may use (4GiB)."),
    click.option("--costs", type=click.Path(path_type=Path), help="File of costs, in place of those recorded here."),
    isolate_option,
)
output_options = _group(
    "output",
    Output,
    click.option("--junit", type=click.Path(path_type=Path), help="Also write one JUnit XML file of the suite."),
    annotations_option,
    summary_option,
    click.option("--json", "as_json", is_flag=True, help="Print suite.json on stdout instead of text."),
)
kept_options = _group(
    "kept",
    Kept,
    baseline_option,
    tolerance_option,
    baseline_optional_option,
    store_option,
    click.option("--no-store", is_flag=True, help="Add the runs to no store."),
)


def _quantity(option: str, text: str | None, unit: Unit) -> int | None:
    if text is None:
        return None
    try:
        value = round(unit.parse(text))
    except ValueError as error:
        raise UsageError(f"--{option}: {error}") from error
    if value < 1:
        raise UsageError(f"--{option} must be more than 0, not {text!r}")
    return value
