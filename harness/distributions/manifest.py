"""Manifests: what is known of the files of a cached entry, and whether they are still those that were cached.

Owns ``manifest.json``. Knows neither where entries lie nor how they are made.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of an entry when it was made."""

    size_bytes: int
    mtime_ns: int
    sha256: str

    def damage(self, path: Path, *, thorough: bool) -> str:
        """Return how the file at ``path`` differs, or an empty string."""
        try:
            status = path.stat()
            if status.st_size != self.size_bytes:
                return f"{status.st_size} bytes instead of {self.size_bytes}"
            suspect = thorough or status.st_mtime_ns != self.mtime_ns
            if suspect and _sha256(path) != self.sha256:
                return "its content differs from its checksum"
        except OSError as error:
            return f"{error.strerror}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What ``manifest.json`` says of an entry.

    Attributes:
        name: Of the entry.
        version: As the software itself reports it.
        executable: Relative to the entry's directory; empty when the entry is no single program.
        files: Path relative to the entry's directory → the file. What else lies there later (Python's bytecode) is not
            of the entry.
        built_with: ``go 1.26.8``.
        built_wall: ISO 8601 UTC.
        build_ns: How long it took.
    """

    name: str
    version: str
    executable: str
    files: Mapping[str, File]
    built_with: str
    built_wall: str
    build_ns: int

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes for file in self.files.values())

    @staticmethod
    def of(out: Path, executable: Path | None, *, name: str, version: str, built_with: str, build_ns: int) -> Manifest:
        """Return the manifest of what was made below ``out`` just now."""
        return Manifest(
            name=name,
            version=version,
            executable="" if executable is None else str(executable.relative_to(out)),
            files=dict(sorted(_files(out))),
            built_with=built_with,
            built_wall=datetime.now(tz=UTC).isoformat(timespec="seconds"),
            build_ns=build_ns,
        )

    @staticmethod
    def read(directory: Path) -> Manifest:
        """Return the manifest in ``directory``; raises OSError, ValueError or TypeError when there is no valid one."""
        content: Any = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        wanted = {"str": str, "int": int, "Mapping[str, File]": dict}
        values = _fields(content, {field.name: wanted[str(field.type)] for field in dataclasses.fields(Manifest)})
        of_file = {"size_bytes": int, "mtime_ns": int, "sha256": str}
        values["files"] = {path: File(**_fields(file, of_file)) for path, file in values["files"].items()}
        return Manifest(**values)

    def write(self, directory: Path) -> None:
        """Write the manifest into ``directory``, onto the disk."""
        with (directory / MANIFEST).open("w", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(self), indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def damage(self, directory: Path, *, thorough: bool) -> str:
        """Return what is wrong with the first damaged file in ``directory``, or an empty string.

        A file's content is compared when ``thorough`` or when only its time differs, as after copying the cache.
        """
        for path, file in self.files.items():
            damage = file.damage(directory / path, thorough=thorough)
            if damage:
                return f"{path}: {damage}"
        if self.executable and not os.access(directory / self.executable, os.X_OK):
            return f"{self.executable}: not executable"
        return ""


def _fields(content: Any, wanted: Mapping[str, type]) -> dict[str, Any]:
    """Return the wanted fields of a JSON object; a newer version of this tool may have written more than we know."""
    if not isinstance(content, dict):
        raise TypeError("not a JSON object")
    for name, kind in wanted.items():
        if not isinstance(content.get(name), kind):
            raise TypeError(f"{name} is missing or of the wrong type")
    return {name: content[name] for name in wanted}


def _files(directory: Path) -> Iterator[tuple[str, File]]:
    for path in directory.rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and path.name != MANIFEST:
            file = File(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, sha256=_sha256(path))
            yield str(path.relative_to(directory)), file


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
