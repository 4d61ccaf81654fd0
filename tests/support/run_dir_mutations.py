"""Damages run directories, one mutation at a time: files cut, changed, removed, added and exchanged."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.history.manifest import MANIFEST, READ
from harness.history.record import HEADER_BYTES, RECORD

_JSON = ("plan.json", "facts.json", "run.json", MANIFEST)


def covered(run_dir: Path) -> list[Path]:
    """Return every file that a verdict rests on."""
    files = [run_dir / name for name in (*READ, MANIFEST) if (run_dir / name).exists()]
    return [*files, *sorted((run_dir / "history").iterdir())]


def copy(run_dir: Path, to: Path) -> Path:
    """Copy what is judged, and the result."""
    to.mkdir(parents=True)
    for path in covered(run_dir):
        target = to / path.relative_to(run_dir)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copyfile(run_dir / "result.json", to / "result.json")
    return to


def contents(run_dir: Path) -> dict[str, bytes]:
    """Return path → content of every file that a verdict rests on."""
    return {str(path.relative_to(run_dir)): path.read_bytes() for path in covered(run_dir)}


def _journal(run_dir: Path, draw: random.Random) -> Path:
    return draw.choice(sorted(run_dir.glob("history/*.journal")))


def _events(run_dir: Path, draw: random.Random) -> Path:
    return draw.choice(sorted(run_dir.glob("history/*.events.jsonl")))


def _records(path: Path) -> tuple[bytes, list[bytes]]:
    content = path.read_bytes()
    body = content[HEADER_BYTES:]
    return content[:HEADER_BYTES], [body[at : at + RECORD.size] for at in range(0, len(body), RECORD.size)]


def _cut_at_a_record(run_dir: Path, draw: random.Random) -> None:
    path = _journal(run_dir, draw)
    head, records = _records(path)
    path.write_bytes(head + b"".join(records[: draw.randrange(len(records) or 1)]))


def _cut_in_a_record(run_dir: Path, draw: random.Random) -> None:
    path = _journal(run_dir, draw)
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(min(HEADER_BYTES, len(content) - 1), len(content))])


def _cut_the_end_record(run_dir: Path, draw: random.Random) -> None:
    path = _journal(run_dir, draw)
    path.write_bytes(path.read_bytes()[: -RECORD.size])


def _record_gone_twice_or_moved(run_dir: Path, draw: random.Random) -> None:
    path = _journal(run_dir, draw)
    head, records = _records(path)
    if not records:
        return
    at, what = draw.randrange(len(records)), draw.choice(["gone", "twice", "moved"])
    if what == "gone":
        del records[at]
    elif what == "twice":
        records.insert(at, records[at])
    else:
        records.insert(draw.randrange(len(records)), records.pop(at))
    path.write_bytes(head + b"".join(records))


def _called_version_1(run_dir: Path, draw: random.Random) -> None:
    path = _journal(run_dir, draw)
    content = path.read_bytes()
    path.write_bytes(content[:4] + struct.pack("<I", 1) + content[8 : -RECORD.size])


def _line_gone_twice_or_moved(run_dir: Path, draw: random.Random) -> None:
    path = _events(run_dir, draw)
    lines = path.read_bytes().splitlines(keepends=True)
    if not lines:
        return
    at, what = draw.randrange(len(lines)), draw.choice(["gone", "twice", "moved"])
    if what == "gone":
        del lines[at]
    elif what == "twice":
        lines.insert(at, lines[at])
    else:
        lines.insert(draw.randrange(len(lines)), lines.pop(at))
    path.write_bytes(b"".join(lines))


def _cut_at_a_line(run_dir: Path, draw: random.Random) -> None:
    path = _events(run_dir, draw)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: draw.randrange(len(lines) or 1)]))


def _flip(run_dir: Path, draw: random.Random) -> None:
    path = draw.choice(covered(run_dir))
    content = bytearray(path.read_bytes())
    if content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def _cut_anywhere(run_dir: Path, draw: random.Random) -> None:
    path = draw.choice(covered(run_dir))
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content) or 1)])


def _delete(run_dir: Path, draw: random.Random) -> None:
    draw.choice(covered(run_dir)).unlink()


def _empty(run_dir: Path, draw: random.Random) -> None:
    draw.choice(covered(run_dir)).write_bytes(b"")


def _duplicate(run_dir: Path, draw: random.Random) -> None:
    path = draw.choice([_journal(run_dir, draw), _events(run_dir, draw)])
    worker, _, rest = path.name.partition(".")
    shutil.copyfile(path, path.with_name(f"{worker}9.{rest}"))


def _swap(run_dir: Path, draw: random.Random) -> None:
    pattern = draw.choice(["history/*.journal", "history/*.events.jsonl"])
    one, other = draw.sample(sorted(run_dir.glob(pattern)), 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def _edit_json(run_dir: Path, draw: random.Random) -> None:
    path = run_dir / draw.choice([name for name in _JSON if (run_dir / name).exists()])
    content = json.loads(path.read_text(encoding="utf-8"))
    _edit(content, draw)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _edit(content: Any, draw: random.Random) -> None:
    """Remove, replace or change one value somewhere below."""
    place = draw.choice(list(content)) if isinstance(content, dict) else draw.randrange(len(content))
    inner = content[place]
    if isinstance(inner, dict | list) and inner and draw.random() < 0.7:
        _edit(inner, draw)
    elif draw.random() < 0.5:
        del content[place]
    else:
        others: tuple[Any, ...] = (None, 0, 1, -1, "", "x", [], {}, True, 2**62)
        content[place] = draw.choice([other for other in others if json.dumps(other) != json.dumps(inner)])


def _edit_an_event(run_dir: Path, draw: random.Random) -> None:
    path = _events(run_dir, draw)
    lines = path.read_bytes().splitlines()
    if not lines:
        return
    at = draw.randrange(len(lines))
    content = json.loads(lines[at])
    _edit(content, draw)
    lines[at] = json.dumps(content).encode()
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _relax_the_scenario(run_dir: Path, draw: random.Random) -> None:
    path = run_dir / "scenario.yaml"
    text = path.read_text(encoding="utf-8")
    digits = [at for at, letter in enumerate(text) if letter.isdigit()]
    at = draw.choice(digits)
    path.write_text(text[:at] + str(draw.randrange(10)) + text[at + 1 :], encoding="utf-8")


def _problems_gone(run_dir: Path, draw: random.Random) -> None:
    path = run_dir / "run.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for name in draw.choice([("problems",), ("drain",), ("error", "exit_code"), ("format",)]):
        content[name] = {"problems": [], "exit_code": 0, "format": 1}.get(name, "")
        if draw.random() < 0.5:
            del content[name]
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


MUTATIONS: Mapping[str, Callable[[Path, random.Random], None]] = {
    "journal cut at a record": _cut_at_a_record,
    "journal cut in a record": _cut_in_a_record,
    "end record cut": _cut_the_end_record,
    "record gone, twice or moved": _record_gone_twice_or_moved,
    "journal called version 1": _called_version_1,
    "event gone, twice or moved": _line_gone_twice_or_moved,
    "events cut at a line": _cut_at_a_line,
    "bit flipped": _flip,
    "file cut": _cut_anywhere,
    "file deleted": _delete,
    "file emptied": _empty,
    "file duplicated": _duplicate,
    "files exchanged": _swap,
    "JSON edited": _edit_json,
    "event edited": _edit_an_event,
    "scenario edited": _relax_the_scenario,
    "run.json without what was wrong": _problems_gone,
}
"""Name → what it does to a run directory; one that finds nothing to change leaves it as it is."""
