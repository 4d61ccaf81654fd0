"""Hostile inputs, each a function of its number: scenarios, run directories and ledgers, damaged or made up."""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.run_dir_mutations import MUTATIONS, covered

from harness.history.manifest import MANIFEST
from harness.history.record import HEADER_BYTES, RECORD

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.yaml"))

HOSTILE = (
    *(
        "[",
        "]",
        "{",
        "}",
        ":",
        ",",
        "- ",
        "&a ",
        "*a",
        "!!python/object:os.system ",
        "<<: ",
        "? ",
        "| ",
        "> ",
        "#",
        "%",
    ),
    *("null", "~", "true", "yes", "NaN", ".inf", "-1", "0x7fffffffffffffff", "9" * 400, "1e999", "1" * 5000),
    *("999999999h", "0.0000000001ns", "-5s", "1s1s", "٣s", "5 s", "99999999GiB", "0/s", "1e9/s"),
    *(
        "\x00",
        "\x1b[31m",
        "\u2028",
        "\ufeff",
        "\udc80",
        "é",
        "💥",
        "\t",
        "\r",
        "\n---\n",
        "...\n",
        "'",
        '"',
        "\\",
        "\\u",
    ),
    *("{a: " * 60, "[" * 3000, "&a [*a, *a]", "faults: [" + "{kill: {}, on: {node: n1}, at: 1s, for: 1s}," * 700 + "]"),
    *("matrix: {seed: [" + ",".join(map(str, range(700))) + "]}", "x" * 140_000, "{after: kill-1}", "when: {}"),
)

_FIELDS = (
    *((4, "<I", 2**32 - 1), (8, "<q", 2**63 - 1), (16, "<i", 2**31 - 1), (20, "<i", 2**31 - 1)),
    *((24, "<q", 2**63 - 1), (32, "<q", 2**63 - 1), (40, "<q", 2**63 - 1)),
)
"""Of a record: place, form, largest."""

_WORDS = (
    "kill",
    "n1",
    "broker",
    "client-broker",
    "c0",
    "p0",
    "leader",
    "random",
    "all",
    "loss",
    "stall",
    "off",
    "at",
    "for",
)


def scenario(draw: random.Random) -> bytes:
    """Return a shipped scenario that was mutated a few times, with words of others and hostile ones."""
    text = draw.choice(SCENARIOS).read_text(encoding="utf-8")
    for _ in range(draw.randint(1, 6)):
        text = draw.choice((_splice, _swap_lines, _cut, _replace_word, _indent, _repeat))(text, draw)
    content = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.15 and content:
        at = draw.randrange(len(content))
        content = content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :]
    return content


def _splice(text: str, draw: random.Random) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(HOSTILE) + text[at:]


def _swap_lines(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "".join(lines)


def _cut(text: str, draw: random.Random) -> str:
    low, high = sorted((draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)))
    return text[:low] + text[high:] if draw.random() < 0.3 else text[:low] + text[min(high, low + 20) :]


def _replace_word(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    words[draw.randrange(len(words))] = draw.choice((*HOSTILE, *_WORDS))
    return " ".join(words)


def _indent(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at = draw.randrange(len(lines))
    lines[at] = " " * draw.randrange(9) + lines[at].lstrip()
    return "".join(lines)


def _repeat(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    low = draw.randrange(len(lines))
    part = lines[low : low + draw.randint(1, 8)]
    return "".join([*lines[:low], *part * draw.choice((2, 2, 3, 40)), *lines[low:]])


def damage(run_dir: Path, draw: random.Random) -> str:
    """Damage a copied run directory in one to three ways; return which."""
    names = [draw.choice((*MUTATIONS, *_WORSE, *_WORSE)) for _ in range(draw.randint(1, 3))]
    told = []
    for name in sorted(names, key=lambda name: name == _PIPE):  # a pipe last: another one would wait for its content
        told.append(name)
        try:
            {**MUTATIONS, **_WORSE}[name](run_dir, draw)
        except (OSError, ValueError, IndexError, KeyError, TypeError, StopIteration, RecursionError):
            told[-1] += " (found nothing to damage)"  # an earlier one left it nothing
    if draw.random() < 0.6:
        (run_dir / MANIFEST).unlink(missing_ok=True)  # then nothing is noticed by its checksum
        told.append("no manifest")
    return ", ".join(told)


def _unsealed_bits(run_dir: Path, draw: random.Random) -> None:
    """Flip bits of a journal's records and take its END away: each number may then be any."""
    path = draw.choice(sorted(run_dir.glob("history/*.journal")))
    content = bytearray(path.read_bytes()[: -RECORD.size])
    for _ in range(draw.choice((1, 1, 1, 5, 50))):
        at = draw.randrange(HEADER_BYTES, len(content))
        content[at] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def _fields_at_their_bounds(run_dir: Path, draw: random.Random) -> None:
    """Set a field of a record to a number at the bounds of its type, and take the END away."""
    path = draw.choice(sorted(run_dir.glob("history/*.journal")))
    content = bytearray(path.read_bytes()[: -RECORD.size])
    record = HEADER_BYTES + RECORD.size * draw.randrange((len(content) - HEADER_BYTES) // RECORD.size)
    place, form, most = draw.choice(_FIELDS)
    least = 0 if form == "<I" else -most - 1
    struct.pack_into(form, content, record + place, draw.choice((most, least, most // 2, 2**20, 2**24)))
    path.write_bytes(content)


def _a_pipe(run_dir: Path, draw: random.Random) -> None:
    path = draw.choice((*covered(run_dir), run_dir / "result.json", run_dir / "history" / "x.1.journal"))
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _hostile_json(run_dir: Path, draw: random.Random) -> None:
    path = draw.choice([path for path in (*covered(run_dir), run_dir / "result.json") if path.suffix != ".journal"])
    hostile = ("[" * 50_000, "1e999", '{"a":' * 20_000, "9" * 5000, "\ud800", "null", "[]", '"x"', "{}", "NaN", "")
    content = path.read_text(encoding="utf-8", errors="replace")
    at = draw.randrange(len(content) + 1)
    made = draw.choice((content[:at] + draw.choice(hostile) + content[at:], draw.choice(hostile)))
    path.write_bytes(made.encode("utf-8", "surrogatepass"))


def _hostile_numbers(run_dir: Path, draw: random.Random) -> None:
    """Put a number that no run has in the place of one."""
    path = draw.choice([path for path in (*covered(run_dir), run_dir / "result.json") if path.suffix != ".journal"])
    lines = path.read_text(encoding="utf-8").splitlines()
    at = draw.choice([at for at, line in enumerate(lines) if any(sign.isdigit() for sign in line)])
    first = next(place for place, sign in enumerate(lines[at]) if sign.isdigit())
    rest = lines[at][first:].lstrip("0123456789")
    number = draw.choice(("-1", "0", "1e308", "1e999", str(2**63), str(2**31), str(10**30), "NaN", "0.5", "[]", '"a"'))
    lines[at] = lines[at][:first] + number + rest
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


_PIPE = "named pipe"
_WORSE: dict[str, Callable[[Path, random.Random], None]] = {
    "bits of an open journal flipped": _unsealed_bits,
    "field at its bounds": _fields_at_their_bounds,
    _PIPE: _a_pipe,
    "hostile JSON": _hostile_json,
    "hostile number": _hostile_numbers,
}


def ledger(draw: random.Random) -> bytes:
    """Return the lines of a ledger, some of which no harness has written."""
    values: tuple[Any, ...] = (
        "/sys/fs/cgroup/x",
        "/tmp",
        "../..",
        "/",
        "",
        7,
        None,
        [],
        {},
        1.5,
        True,
        "\x1b[31m",
        "n1",
        "\ud800",
    )
    lines: list[bytes] = []
    for _ in range(draw.randint(0, 8)):
        acts: tuple[Any, ...] = ("run", "process", "cgroup", "mount", "docker", "any", 3, None, [])
        fields = {
            name: draw.choice(values) for name in draw.sample(("run_dir", "pid", "path", "point", "image", "name"), 3)
        }
        lines.append(json.dumps({"act": draw.choice(acts)} | fields).encode("utf-8", "surrogatepass"))
    content = b"\n".join(lines)
    for _ in range(draw.randint(0, 3)):
        at = draw.randrange(len(content) + 1)
        hostile = (b"\xff", b"null", b"[" * 30_000, b"\n", b"{}", b"\x00", b'"', b"9" * 5000)
        content = content[:at] + draw.choice(hostile) + content[at + draw.randrange(3) :]
    return content
