"""The manifest: which files a run directory had when its run ended, with the length and checksum of each.

Owns how it is noticed that a file on which a verdict rests was cut, changed, removed or added since. It shows accidents
and edits; it is no signature, and a forged manifest is not found out.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.history.record import HEADER_BYTES, RECORD, RecordKind
from harness.regular import read_regular_text

MANIFEST: Final = "manifest.json"
VERSION: Final = 1
READ: Final = ("scenario.yaml", "plan.json", "facts.json", "run.json")
"""Files that judging reads, next to those of the history."""

_FOLDER: Final = "history"
_CHUNK: Final = 1 << 20
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSum:
    """A file as it lies there.

    Attributes:
        size: In bytes.
        checksum: CRC-32 of the whole.
        end: Of a journal with an END: whether the END's own length and checksum are those of what lies before it; None
            of any other file.
    """

    size: int
    checksum: int
    end: bool | None = None


def sum_of(path: Path) -> FileSum:
    """Return the length and checksum of a file; raises OSError."""
    checksum, size = 0, path.stat().st_size
    closing = size - RECORD.size if path.suffix == ".journal" and size >= HEADER_BYTES + RECORD.size else size
    with path.open("rb") as file:
        for start in range(0, closing, _CHUNK):
            checksum = zlib.crc32(file.read(min(_CHUNK, closing - start)), checksum)
        last = file.read()
    end = None
    if len(last) == RECORD.size and last[0] == RecordKind.END and (closing - HEADER_BYTES) % RECORD.size == 0:
        _, _, _, said, _, _, _, records, _, _ = RECORD.unpack(last)
        end = said == checksum and HEADER_BYTES + records * RECORD.size == closing
    return FileSum(size=closing + len(last), checksum=zlib.crc32(last, checksum), end=end)


def sums_of(run_dir: Path) -> dict[str, FileSum]:
    """Return the sum of every file of a run directory that a verdict rests on, by its path; raises OSError."""
    folder = run_dir / _FOLDER
    there = [name for name in READ if (run_dir / name).is_file()]
    there += sorted(f"{_FOLDER}/{path.name}" for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    with ThreadPoolExecutor(2) as threads:  # a checksum is taken without the interpreter's lock
        return dict(zip(there, threads.map(lambda name: sum_of(run_dir / name), there), strict=True))


def write_manifest(run_dir: Path) -> None:
    """Write what a run directory holds now, as the last file of its run; raises OSError."""
    files = {name: {"bytes": found.size, "crc32": found.checksum} for name, found in sums_of(run_dir).items()}
    content = {"version": VERSION, "files": files, "crc32": _of_itself(files)}
    made = run_dir / f"{MANIFEST}.new"
    try:  # whole or not at all: on a full disk, half a manifest would look like damage
        made.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        made.replace(run_dir / MANIFEST)
    except OSError:
        made.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Whether a run directory is whole.

    Attributes:
        sealed: It has a manifest.
        damage: Sentences on what is not as it was written.
        sums: Path → sum, of what lies there.
    """

    sealed: bool
    damage: tuple[str, ...]
    sums: Mapping[str, FileSum]

    @property
    def sentence(self) -> str:
        """All damage in one sentence; empty where there is none."""
        if not self.damage:
            return ""
        more = f", and {len(self.damage) - _SHOWN} more" if len(self.damage) > _SHOWN else ""
        return "the run directory is not as its run left it: " + "; ".join(self.damage[:_SHOWN]) + more


def inspect(run_dir: Path) -> Inspection:
    """Compare a run directory with its manifest, and its journals with their ENDs; raises OSError."""
    sums = sums_of(run_dir)
    path = run_dir / MANIFEST
    sealed = path.exists()
    damage = list(_compare(path, sums)) if sealed else []
    damage += [f"{name} does not fit its own end record" for name, found in sums.items() if found.end is False]
    return Inspection(sealed=sealed, damage=tuple(damage), sums=sums)


def _compare(path: Path, sums: Mapping[str, FileSum]) -> Iterator[str]:
    try:
        content = json.loads(read_regular_text(path))
        said = _files(content)
    except OSError as error:
        yield f"{MANIFEST} cannot be read: {error.strerror}"
        return
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        yield f"{MANIFEST} is damaged ({error or type(error).__name__})"
        return
    for name, (size, checksum) in said.items():
        found = sums.get(name)
        if found is None:
            yield f"{name} is missing"
        elif found.size != size:
            yield f"{name} has {found.size:,} bytes; the manifest says {size:,}"
        elif found.checksum != checksum:
            yield f"{name} was changed (CRC-32 {found.checksum:08x}; the manifest says {checksum:08x})"
    for name in sums.keys() - said.keys():
        yield f"{name} is not in the manifest"


def _files(content: Any) -> dict[str, tuple[int, int]]:
    if type(content["version"]) is not int or content["version"] != VERSION:
        raise ValueError(f"version {content['version']!r}; this harness reads version {VERSION}")
    if content["crc32"] != _of_itself(content["files"]):
        raise ValueError("its own checksum does not fit")
    return {name: (entry["bytes"], entry["crc32"]) for name, entry in content["files"].items()}


def _of_itself(files: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(files, sort_keys=True).encode())
