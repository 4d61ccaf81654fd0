"""The first scenario of an application, as text with comments: its program in the consumers' place, three faults, and
what is expected.

Owns the words and what is chosen for a beginner. What a broker has is asked of its specification. Pure; writes no file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.scenario.abilities import BrokerAbility
from harness.scenario.application import words_in
from harness.scenario.application_fit import broker_words
from harness.scenario.explain import pairs
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BrokerSpec

_RATE: Final = 100
_NOT_OF_ITS_CLIENT: Final = frozenset({"application", "client", "transactional", "abort_every", "transaction_timeout"})
"""Options of consumers that are the reference consumer's alone."""
_OF_EVERY_RUN: Final[Mapping[str, str]] = {"bootstrap": "BOOTSTRAP_SERVERS", "member": "CLIENT_ID"}
_SHOWS: Final[Mapping[str, str]] = {
    "commits": "it needs no change; what the broker says of members and positions is judged",
    "lines": "it writes a line for each event to the Unix socket in REPORT_SOCKET",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a first scenario is made from.

    Attributes:
        broker: Alias of a distribution.
        command: The program and its arguments.
        shows: What it shows of its work.
        consumers: How many instances.
        directory: Where it runs, from the scenario's folder; empty = there.
        editor_line: First line, for editors.
    """

    broker: str
    command: tuple[str, ...]
    shows: str = "commits"
    consumers: int = 2
    directory: str = ""
    editor_line: str = ""


def takes_applications(spec: BrokerSpec) -> bool:
    """Return whether an application can take the consumers' place with this broker."""
    return any(field.name == "application" for field in dataclasses.fields(spec.consumer))


def draft(made: Draft, spec: BrokerSpec) -> str:
    """Return the text of the scenario; the loader says what does not fit in it."""
    grouped = BrokerAbility.GROUPS in spec.abilities
    lines = [made.editor_line] if made.editor_line else []
    lines += [
        "version: 1",
        "title: Our consumer goes on while one of its instances hangs, and another one dies",
        f"broker: {made.broker}",
        "cluster: {nodes: 1}",
        "workload:",
        "  # One producer of the harness sends; your program consumes.",
        f"  consumers: {made.consumers}",
        f"  partitions: {2 * made.consumers}",
        f"  rate: {_RATE}/s",
        "  payload: 256B",
        "  warmup: 5s",
        "  duration: 25s",
        "  # It ends as soon as everything is consumed. Limits on time are tested up to its end.",
        "  drain: 90s",
        "  consumer:",
        "    # What your client sets. Limits follow from it, and the harness sets none of it in your program.",
        "    # These are the values in force: write those that differ without the #.",
        *(f"    # {name}: {text}" for name, text in pairs(spec.consumer()) if name not in _NOT_OF_ITS_CLIENT),
        *_application(made, spec),
        *_faults(made.consumers),
        *_expect(made.shows, grouped=grouped),
    ]
    return "\n".join(lines) + "\n"


def _application(made: Draft, spec: BrokerSpec) -> list[str]:
    told = {word for text in made.command for word in words_in(text)}
    names = dict(_OF_EVERY_RUN)
    names |= {word: word.upper() for word in broker_words(spec, Cluster(topic=spec.topic()), Workload(), ())}
    names |= {"report": "REPORT_SOCKET"} if made.shows == "lines" else {}
    env = [f'        {name}: "{{{word}}}"' for word, name in names.items() if word not in told]
    lines = [
        "    application:",
        "      # One instance runs for each consumer. No shell reads the command. Words in braces are filled in.",
        f"      command: [{', '.join(_quoted(made.command))}]",
        f"      # {made.shows}: {_SHOWS[made.shows]}.",
        f"      shows: {made.shows}",
    ]
    if env:
        lines += ["      # Where it finds the run: rename these to what your program reads.", "      env:", *env]
    if made.directory:
        lines += [f"      directory: {json.dumps(made.directory)}"]
    return [
        *lines,
        "      # ready: {line: subscribed}      # a text in its log; or {http: 'http://127.0.0.1:{port}/ready'}",
        "      stop: {signal: TERM, patience: 10s}",
    ]


def _faults(consumers: int) -> list[str]:
    other = "c1" if consumers > 1 else "c0"
    return [
        "faults:",
        "  - latency: {delay: 50ms}",
        "    on: {link: client-broker}",
        "    at: 2s",
        "    for: 4s",
        "  - client_pause: {}               # it hangs: SIGSTOP, then SIGCONT",
        f"    on: {{worker: {other}}}",
        "    at: 8s",
        "    for: 3s",
        "  - client_kill: {}                # it dies: SIGKILL, and a new instance in the end",
        "    on: {worker: c0}",
        "    at: 14s",
        "    for: 3s",
    ]


def _expect(shows: str, *, grouped: bool) -> list[str]:
    lines = [
        "# `harness explain` shows the limits that follow from this file, `harness checks` every check.",
        "expect:",
    ]
    if shows == "lines":
        lines += [
            "  loss: {messages_max: 0}",
            "  duplicates: {copies_max: 0}     # those that at-least-once allows do not count",
            "  order: {inversions_max: 0, scope: key}",
        ]
    lines += ["  stall: {}"]
    lines += ["  rebalances: {}", "  ownership: {}"] if grouped else []
    return [*lines, "  recovery: {within_max: 60s}", f"  throughput: {{processed_min: {_RATE // 4}/s}}"]


def _quoted(words: Sequence[str]) -> list[str]:
    return [json.dumps(word, ensure_ascii=False) for word in words]
