"""A user's own program in the consumers' place: what a scenario says of it, and the words of its command that a run
fills in. Pure; starts nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from harness.errors import nearest
from harness.units import Duration

_S: Final = 1_000_000_000
_LONGEST_NS: Final = 3600 * _S
_WORD: Final = re.compile(r"\{\{(\w*)\}\}|\{([A-Za-z_]\w*)\}", re.ASCII)

OWN_WORDS: Final[Mapping[str, str]] = {
    "bootstrap": "addresses of the links of its zone, `host:port` with commas between them",
    "member": "its name in the run: `c0`, `c1`…",
    "port": "a port of 127.0.0.1 that is free, one for each instance",
    "python": "the Python that runs the harness",
    "report": "path of the Unix socket that takes its lines",
}
"""Words that a run fills in whatever the broker, with what they stand for."""
SHOWN: Final[Mapping[str, str]] = {
    "lines": "deliveries, handlers' ends and commits are its own word",
    "commits": "what is known of it is the broker's word on members and positions; single messages are not judged",
}
"""What an application shows → whose word a verdict rests on."""
READY: Final[Mapping[str, str]] = {"lines": "it has connected to {report}", "commits": "its process runs"}
"""What an application shows → when it is ready, where a scenario says nothing."""
AT_RUN: Final = frozenset({"bootstrap", "port", "python", "report"})
"""Of these, those that are known only once a run has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """When an application is ready; one of the two, or neither.

    Attributes:
        line: A line of its log holds this text.
        http: A GET of this address is answered with a status from 200 to 299 (`http://127.0.0.1:{port}/ready`).
    """

    line: str = ""
    http: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """How an application is asked to finish and leave.

    Attributes:
        signal: Sent to its first process.
        patience_ns: How long it may take; then all its processes are killed.
    """

    signal: Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2"] = "TERM"
    patience_ns: Duration = field(default=10 * _S, metadata={"minimum": 1, "maximum": _LONGEST_NS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A program of yours in the consumers' place: one instance for each consumer.

    Attributes:
        command: The program and its arguments. `{bootstrap}`, `{member}` and others are filled in; `{{member}}` stands
            for `{member}` itself.
        shows: What it shows of its work. `lines`: it reports each event as a line to `{report}`. `commits`: nothing.
            The broker's word on the group's members and positions is all there is.
        directory: Where it runs: absolute, or from the scenario's folder, which it is when left out.
        env: Environment variables, filled in likewise, besides the few that every process of a run inherits.
        ready: When it is ready. Left out: with `lines` once it has connected to `{report}`, with `commits` at once.
        ready_within_ns: How long that may take.
        stop: How it is asked to finish.
    """

    command: tuple[str, ...]
    shows: Literal["lines", "commits"]
    directory: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Ready = field(default_factory=Ready)
    ready_within_ns: Duration = field(default=60 * _S, metadata={"minimum": 1, "maximum": _LONGEST_NS})
    stop: StopOrder = field(default_factory=StopOrder)


def application_of(consumer: object) -> Application | None:
    """Return the application that consumers' options name (their ``application``); None when reference consumers run,
    and of a broker whose consumers take none.
    """
    found = getattr(consumer, "application", None)
    return found if isinstance(found, Application) else None


def sentences(consumer: object) -> tuple[str, ...]:
    """Return what an application makes true of a run, for people; nothing where reference consumers run."""
    application = application_of(consumer)
    if application is None:
        return ()
    return (f"application, shows {application.shows}: {SHOWN[application.shows]}",)


def shown_by(consumer: object) -> Literal["", "lines", "commits"]:
    """Return what the application that consumers' options name shows of its work; empty for reference consumers."""
    application = application_of(consumer)
    return "" if application is None else application.shows


def directory_of(application: Application, scenario_file: str) -> Path:
    """Return where an application runs, absolute."""
    return (Path(scenario_file).parent / application.directory).absolute()


def with_directory(consumer: Any, directory: Path) -> Any:
    """Return consumers' options whose application runs in a directory, wherever its scenario lies by now."""
    application = application_of(consumer)
    if application is None:
        return consumer
    return dataclasses.replace(consumer, application=dataclasses.replace(application, directory=str(directory)))


def words_in(text: str) -> Iterator[str]:
    """Yield the words in a text that are to be filled in, in order."""
    return (found[2] for found in _WORD.finditer(text) if found[2])


def fill_in(text: str, words: Mapping[str, str]) -> str:
    """Return a text with its words filled in; one that is not known stays as it is, and ``{{word}}`` is ``{word}``."""

    def filled(found: re.Match[str]) -> str:
        return words.get(found[2], found[0]) if found[2] else f"{{{found[1]}}}"

    return _WORD.sub(filled, text)


def unknown_words(text: str, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each word in a text that no run fills in, with a hint."""
    return ((word, nearest(word, known)) for word in words_in(text) if word not in known)
