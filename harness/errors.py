"""The error tree: every way a command can fail, each with its exit code.

Owns what is said to the user when something is refused or cannot be done. Knows nothing of any room above it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final


class ExitCode(IntEnum):
    """Exit codes of every command; of several runs see ``suite_exit_code``."""

    PASS = 0
    VIOLATED = 1
    INTERRUPTED = 2
    INTERNAL = 3
    USAGE = 4
    NOTHING_SELECTED = 5
    INCONCLUSIVE = 6
    ENVIRONMENT = 7
    DIFFERS = 8
    """``harness check`` alone: its verdict is not the one in ``result.json``."""


_SEVEREST_FIRST: Final = (
    ExitCode.VIOLATED,
    ExitCode.INTERNAL,
    ExitCode.ENVIRONMENT,
    ExitCode.INCONCLUSIVE,
    ExitCode.INTERRUPTED,
)


def suite_exit_code(codes: Iterable[int]) -> ExitCode:
    """Return the exit code of several runs: the most severe, in the order 1, 3, 7, 6, 2, else 0.

    Codes of usage errors are no results of runs; one among ``codes`` counts as an internal error, never as a pass, and
    so does a code that does not exist. Of no codes at all, 5: nothing was selected.
    """
    occurred = set(codes)
    if not occurred:
        return ExitCode.NOTHING_SELECTED
    if occurred - {ExitCode.PASS, *_SEVEREST_FIRST}:
        occurred.add(ExitCode.INTERNAL)
    return next((code for code in _SEVEREST_FIRST if code in occurred), ExitCode.PASS)


def race_decided(codes: Sequence[int | None], *, runs: int, at_least: int) -> ExitCode | None:
    """Return how a race ended: 0 once it showed often enough what is declared, 1 once it no longer can; None before.

    Args:
        codes: Exit codes of the runs that have ended. One that neither passed nor failed has shown nothing.
        runs: How many the race takes at most.
        at_least: How many of them must pass.
    """
    shown = sum(code == ExitCode.PASS for code in codes)
    if shown >= at_least:
        return ExitCode.PASS
    return ExitCode.VIOLATED if len(codes) - shown > runs - at_least else None


_MACHINES: Final = frozenset(
    (
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENAMETOOLONG, errno.ELOOP),
    )
)


class HarnessError(Exception):
    """Base of every error that is shown as one clear message, never as a traceback.

    Args:
        message: What went wrong, with the limit and the measured value where there are such.
        hint: What the user can do about it; empty when there is nothing to say.
    """

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(HarnessError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a scenario file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a scenario file."""

    location: Location
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.location}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class ScenarioError(UsageError):
    """A scenario file is invalid; carries every problem found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NothingSelectedError(HarnessError):
    """A selection matched no scenario: never green by absence."""

    exit_code = ExitCode.NOTHING_SELECTED


class UnfitEnvironmentError(HarnessError):
    """This machine, a download, a broker or a proxy could not do what the run needs. Definite: no verdict exists."""

    exit_code = ExitCode.ENVIRONMENT


def is_machines(error: OSError) -> bool:
    """Return whether an error of the operating system says something of the machine, its rights and its room, and not
    that what was asked for is wrong.
    """
    return error.errno in _MACHINES


class DownloadError(UnfitEnvironmentError):
    """A distribution could not be fetched or built."""


class StartError(UnfitEnvironmentError):
    """A node, proxy or worker did not start or did not become ready before its deadline."""


class AbilityError(UnfitEnvironmentError):
    """A fault needs an ability (CPU limits, pausing…) that this node or machine does not have."""


class ControlError(UnfitEnvironmentError):
    """A control port (Toxiproxy, broker administration) did not answer, or answered something else.

    Indefinite: the request may have been carried out.
    """


class DisturbedError(HarnessError):
    """Something outside the run ended a part of it, so that nothing more can be proven."""

    exit_code = ExitCode.INCONCLUSIVE


class RefusedError(ControlError):
    """What was asked was refused, or not even asked. Definite: it was not carried out."""


_SHORT = 3
"""Letters of a word that counts as short."""
_COMPARED_MAX = 200
"""Letters of a word; comparing takes the square of them."""
_LISTED_MAX = 60
"""Names in a hint: more than all faults, all checks or the keys of a section, and still read."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint naming the known word nearest to ``word``, or listing them when none is near."""
    import difflib  # noqa: PLC0415  most commands make no mistake, and it takes a while to load

    names = sorted(known)
    if len(word) > _COMPARED_MAX:
        return _known(names)
    # One wrong letter is half of a word of two, such as n9: in longer words, half is another word.
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5 if len(word) <= _SHORT else 0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return _known(names)


def _known(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED_MAX} more" if len(names) > _LISTED_MAX else ""
    return f"known: {', '.join(names[:_LISTED_MAX])}{more}" if names else ""


def relative(path: Path) -> str:
    """Return ``path`` relative to the working directory when it lies below it, for messages."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
