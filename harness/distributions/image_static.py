"""Images of static programs: the program and nothing else (``FROM scratch``)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from harness.distributions.base import Installation, Progress
from harness.distributions.cache import Cache, CachedEntry
from harness.distributions.image_official import require_version
from harness.distributions.images import Build, Content
from harness.runtime.docker.engine import Client


@dataclass(frozen=True, slots=True)
class StaticImage:
    """A static program in an image of its own.

    Attributes:
        kind: Of the distribution.
        recipe: Folder of its Dockerfile.
        command: Command line inside our own image.
        officials: Command lines inside the project's official images, of which each image has one.
        version_word: Argument with which it reports its version.
    """

    kind: str
    recipe: Path
    command: tuple[str, ...]
    officials: tuple[tuple[str, ...], ...]
    version_word: str = "--version"

    @property
    def based(self) -> bool:
        """False: a static program needs nothing around it."""
        return False

    def content(self, held: CachedEntry, cache: Cache, progress: Progress) -> Content:
        """Return the program; the manifest holds its checksum."""
        del cache, progress
        (file,) = held.manifest.files.values()
        return Content(
            recipe=self.recipe,
            files={held.path.name: held.path},
            command=self.command,
            versions={self.kind: held.manifest.version},
            digest=hashlib.sha256(file.sha256.encode()).hexdigest(),
        )

    def finish(self, client: Client, image: str, content: Content, build: Build, progress: Progress) -> Installation:
        """Return the image as it is."""
        del client, build, progress
        return _installation(content, image, self.command)

    def official(self, client: Client, content: Content, image: str) -> Installation:
        """Return the official image, once it has reported its version; raises UnfitEnvironmentError."""
        version = content.versions[self.kind]
        command = require_version(client, image, self.kind, version, self.officials, (self.version_word,))
        return _installation(content, image, command)


def _installation(content: Content, image: str, command: tuple[str, ...]) -> Installation:
    return Installation(command=command, directory=Path("/"), versions=content.versions, image=image)
