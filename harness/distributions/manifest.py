"""Manifests: what is known of a cached executable, and whether it is still the one that was cached.

Owns ``manifest.json``. Knows neither where entries lie nor how they are made.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What ``manifest.json`` says of an entry.

    Attributes:
        name: Of the entry.
        version: As the executable tells it.
        executable: Relative to the entry's directory.
        size_bytes, mtime_ns, sha256: Of the executable when it was made.
        built_with: ``go 1.26.8``.
        built_wall: ISO 8601 UTC.
        build_ns: How long it took.
    """

    name: str
    version: str
    executable: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    built_with: str
    built_wall: str
    build_ns: int

    @staticmethod
    def of(out: Path, executable: Path, *, name: str, version: str, built_with: str, build_ns: int) -> Manifest:
        """Return the manifest of an executable below ``out`` that was made just now."""
        status = executable.stat()
        return Manifest(
            name=name,
            version=version,
            executable=str(executable.relative_to(out)),
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            sha256=_sha256(executable),
            built_with=built_with,
            built_wall=datetime.now(tz=UTC).isoformat(timespec="seconds"),
            build_ns=build_ns,
        )

    @staticmethod
    def read(directory: Path) -> Manifest:
        """Return the manifest in ``directory``; raises OSError, ValueError or TypeError when there is no valid one."""
        content: Any = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("not a JSON object")
        for field in dataclasses.fields(Manifest):
            wanted = int if field.type == "int" else str
            if not isinstance(content.get(field.name), wanted):
                raise TypeError(f"{field.name} is missing or of the wrong type")
        # A newer version of this tool may have written more than we know.
        return Manifest(**{field.name: content[field.name] for field in dataclasses.fields(Manifest)})

    def write(self, directory: Path) -> None:
        """Write the manifest into ``directory``, onto the disk."""
        with (directory / MANIFEST).open("w", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(self), indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def damage(self, directory: Path, *, thorough: bool) -> str:
        """Return what is wrong with the executable in ``directory``, or an empty string.

        The content is compared when ``thorough`` or when only the time differs, as after copying the cache.
        """
        path = directory / self.executable
        try:
            status = path.stat()
            if status.st_size != self.size_bytes:
                return f"{status.st_size} bytes instead of {self.size_bytes}"
            if not os.access(path, os.X_OK):
                return "not executable"
            suspect = thorough or status.st_mtime_ns != self.mtime_ns
            if suspect and _sha256(path) != self.sha256:
                return "its content differs from its checksum"
        except OSError as error:
            return f"{self.executable}: {error.strerror}"
        return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
