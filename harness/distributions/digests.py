"""Digests of what is fetched: a lock kept with the code for what aliases stand for, a record of the first use for more.

Owns both formats (lines of a SHA-256 and a name) and the words of a mismatch. What was fetched is verified before any
of it runs. Knows no concrete software.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import DownloadError
from harness.runtime.ledger_lines import own_state_dir

_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """One file that was fetched.

    Attributes:
        file: Its name.
        sha256: Of its content, in hexadecimal.
        locked_as: Its name in locks; several files may have one (the wheels of a version).
    """

    file: str
    sha256: str
    locked_as: str


def files_in(folder: Path) -> list[FetchedFile]:
    """Return the files of a folder, by name."""
    found = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(FetchedFile(file=path.name, sha256=digest, locked_as=path.name))
    return found


def read_lock(path: Path) -> Mapping[str, frozenset[str]]:
    """Return name → the digests that it may have; raises ValueError for a line that is neither one nor a comment."""
    found: dict[str, frozenset[str]] = {}
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{path}:{number}: not a SHA-256 and a name")
        found[match[2]] = found.get(match[2], frozenset()) | {match[1]}
    return found


def verify(title: str, fetched: Iterable[FetchedFile], lock: Mapping[str, frozenset[str]], *, locked: bool) -> None:
    """Refuse files that are not those that are known; record those that are fetched for the first time.

    Args:
        title: What they belong to: name and version, which is also the name of its record.
        fetched: The files.
        lock: Name → its digests.
        locked: Each file must stand in the lock; else those that do not are compared with the record.

    Raises:
        DownloadError: A file has another digest, or none is known and one must be. Definite: nothing of it has run.
    """
    others: dict[str, str] = {}
    for one in fetched:
        known = lock.get(one.locked_as)
        if known is not None and one.sha256 not in known:
            raise DownloadError(
                f"{title}: {one.file} is not the file that the lock names: its SHA-256 is {one.sha256}",
                hint="what serves it, or a cache on the way, has another file; ask who looks after it",
            )
        if known is None and locked:
            raise DownloadError(
                f"{title}: {one.file} stands in no lock, and {title} is locked (SHA-256 {one.sha256})",
                hint="another client resolved other files; renew the lock once you know that they are right",
            )
        if known is None:
            others[one.file] = one.sha256
    if others:
        _compare_with_record(title, others)


def record_of(title: str) -> Path:
    """Return the file that records what was fetched of something the first time."""
    return own_state_dir() / "digests" / re.sub(r"[^0-9A-Za-z.+-]", "_", title)


def _compare_with_record(title: str, found: Mapping[str, str]) -> None:
    path = record_of(title)
    try:
        known = read_lock(path) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise DownloadError(
            f"what was fetched of {title} before cannot be read: {error}", hint=f"look at {path}, or remove it"
        ) from error
    for file, sha256 in found.items():
        if file in known and sha256 not in known[file]:
            raise DownloadError(
                f"{title}: {file} is not the file that was fetched the first time: its SHA-256 is {sha256}, and it was "
                f"{', '.join(sorted(known[file]))}",
                hint=f"when you know that the new one is right, remove its line from {path}",
            )
    new = {file: sha256 for file, sha256 in found.items() if file not in known}
    if new:
        _record(path, known, new)


def _record(path: Path, known: Mapping[str, frozenset[str]], new: Mapping[str, str]) -> None:
    lines = [f"{digest}  {name}\n" for name, digests in known.items() for digest in sorted(digests)]
    lines += [f"{digest}  {name}\n" for name, digest in new.items()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
        scratch.write_text("".join(lines), encoding="ascii")
        scratch.replace(path)
    except OSError as error:
        raise DownloadError(
            f"the digests of what was fetched cannot be recorded in {path}: {error.strerror or error}",
            hint="set HARNESS_STATE_DIR to a directory that can be written",
        ) from error
