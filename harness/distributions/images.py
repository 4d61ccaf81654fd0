"""Distributions as images: the same bits that the process runtime uses, built from ``docker/`` and cached by content.

Owns tags, labels and building. An image's tag ends in a digest of everything that goes into it, so that one that exists
is the right one, and what changed is built again. What a kind of distribution puts in, and how it is started inside, is
its own ``ImageKind``'s. Knows nothing of runs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import filelock

from harness.distributions.base import Distribution, Installation, Progress, ensure_cached, entry_of
from harness.distributions.cache import Cache, CachedEntry
from harness.distributions.tool import check_stop
from harness.errors import DownloadError, UnfitEnvironmentError, nearest
from harness.registry import PackageRegistry, software_modules
from harness.runtime.docker.engine import Client, engine

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER = "broker-chaos-harness"
"""First part of the name of every image of ours."""

LABEL = "broker-chaos-harness.image"
"""Label of every image of ours; its value is the distribution's kind, or ``base``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What goes into an image.

    Attributes:
        recipe: Folder of its Dockerfile.
        files: Path in the build's context → file or directory on this machine; symbolic links are followed.
        command: First words of the command line inside the image.
        versions, parts: As of the installation.
        digest: Of the files, where that is known without reading them all again; empty = of the manifest alone.
    """

    recipe: Path
    files: Mapping[str, Path]
    command: tuple[str, ...]
    versions: Mapping[str, str]
    parts: Mapping[str, Path] = field(default_factory=dict)
    digest: str = ""


class ImageKind(Protocol):
    """How one kind of distribution becomes an image."""

    @property
    def based(self) -> bool:
        """Whether it is made on a base image, which has a C library."""
        ...

    def content(self, held: CachedEntry, cache: Cache, progress: Progress) -> Content:
        """Return what goes into the image; raises DownloadError."""
        ...

    def finish(self, client: Client, image: str, content: Content, build: Build, progress: Progress) -> Installation:
        """Return how the built image is used, adding a layer first where that pays."""
        ...

    def official(self, client: Client, content: Content, image: str) -> Installation:
        """Return how an official image of the same software is used; raises UnfitEnvironmentError.

        The image itself must say that it holds this version.
        """
        ...


IMAGES: PackageRegistry[ImageKind] = PackageRegistry("image kind", software_modules("IMAGES"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Builds layers of one image.

    Attributes:
        client: Of the engine.
        distribution: For labels.
    """

    client: Client
    distribution: Distribution

    def __call__(
        self, dockerfile: Path, files: Mapping[str, Path], tag: str, *, base: str = "", network: str | None = None
    ) -> None:
        """Build ``tag`` from a Dockerfile and nothing but ``files``; raises UnfitEnvironmentError.

        ``base`` is handed to it as ``BASE_IMAGE``; its commands use ``network`` (``none``), or the engine's default.
        """
        from docker.errors import APIError, BuildError  # noqa: PLC0415

        labels = {LABEL: self.distribution.kind, f"{LABEL}.version": self.distribution.version}
        try:
            self.client.images.build(
                fileobj=_context(dockerfile, files),
                custom_context=True,
                tag=tag,
                labels=labels,
                buildargs={"BASE_IMAGE": base} if base else {},
                network_mode=network,
                rm=True,
                forcerm=True,
            )
        except (APIError, BuildError) as error:
            raise UnfitEnvironmentError(f"the image {tag} could not be built: {error}") from error


def ensure_image(
    distribution: Distribution, progress: Progress, *, cache: Cache | None = None, official: str = ""
) -> Installation:
    """Return a distribution in an image that is ready for use, building or pulling it first when needed.

    Args:
        distribution: What is wanted, at an exact version.
        progress: Receives one line at a time, for people.
        cache: Where distributions are kept; None = the user's cache.
        official: Image of others to use instead; empty = our own.

    Raises:
        DownloadError, UnfitEnvironmentError: It cannot be had; says why and what to do.
    """
    cache = cache or Cache()
    kind = _kind(distribution)
    content = kind.content(ensure_cached(distribution, progress, cache=cache), cache, progress)
    with engine() as client:
        if official:
            _present(client, official, progress)
            used = kind.official(client, content, official)
            # A tag moves; what its id stands for does not.
            image_id = client.images.get(official).id.removeprefix("sha256:")[:12]
            official_image = {f"{distribution.kind} image": f"{official} {image_id}"}
            return dataclasses.replace(used, versions={**used.versions, **official_image})
        with _locked(cache, distribution, progress):
            base = ""
            if kind.based:
                from harness.distributions.image_base import ensure_base  # noqa: PLC0415  only with an engine

                base = ensure_base(client, progress)
            tag = _tag(client, distribution, content, base)
            build = Build(client=client, distribution=distribution)
            if not has_tag(client, tag):
                progress(f"building the image {tag} (once, then cached)…")
                build(content.recipe / "Dockerfile", content.files, tag, base=base)
            return kind.finish(client, tag, content, build, progress)


def has_image(distribution: Distribution, *, cache: Cache | None = None) -> bool:
    """Return whether the image of a distribution is built; neither fetches nor builds anything."""
    try:
        with engine() as client:
            tag = tag_of(client, distribution, cache=cache)
            return bool(tag) and has_tag(client, tag)
    except UnfitEnvironmentError:
        return False


def tag_of(client: Client, distribution: Distribution, *, cache: Cache | None = None) -> str:
    """Return the tag that a distribution's image has, or would get; empty when that cannot be determined without
    fetching.
    """
    cache = cache or Cache()
    if distribution.kind not in IMAGES.names():
        return ""
    held, _ = cache.get(entry_of(distribution))
    if held is None:
        return ""
    kind = _kind(distribution)
    try:
        content = kind.content(held, cache, lambda _: None)
    except (DownloadError, UnfitEnvironmentError):
        return ""
    base = ""
    if kind.based:
        from harness.distributions.image_base import known_base  # noqa: PLC0415  only with an engine

        base = known_base(client)
        if not base:
            return ""
    return _tag(client, distribution, content, base)


def _kind(distribution: Distribution) -> ImageKind:
    if distribution.kind not in IMAGES.names():
        raise UnfitEnvironmentError(
            f"there is no image of {distribution.name}", hint=nearest(distribution.kind, IMAGES.names())
        )
    return IMAGES.get(distribution.kind)


def _tag(client: Client, distribution: Distribution, content: Content, base: str) -> str:
    """Return the tag: its digest stands for the recipe, the base and every file that goes in."""
    # The base by its id, not its name: what a name stands for moves.
    base_id = client.images.get(base).id if base else ""
    digest = hashlib.sha256(f"{content.digest} {base_id} {content.command}\n".encode())
    for file in sorted(content.recipe.iterdir()):
        digest.update(file.read_bytes())
    return f"{OWNER}/{distribution.kind}:{distribution.version.replace('+', '-')}-{digest.hexdigest()[:12]}"


def _context(dockerfile: Path, files: Mapping[str, Path]) -> io.BytesIO:
    """Return a build's context as a tar archive: the Dockerfile and what it copies, owned by root, links followed."""
    buffer = io.BytesIO()

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        return info

    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        archive.add(dockerfile, "Dockerfile", filter=plain)
        for name, path in files.items():
            check_stop()
            archive.add(path, name, filter=plain)
    buffer.seek(0)
    return buffer


def _present(client: Client, image: str, progress: Progress) -> None:
    """Have the engine hold an image of others; raises UnfitEnvironmentError."""
    from docker.errors import APIError  # noqa: PLC0415

    if has_tag(client, image):
        return
    progress(f"pulling {image}…")
    try:
        client.images.pull(image)
    except APIError as error:
        raise UnfitEnvironmentError(
            f"the image {image} is not there and cannot be pulled: {error.explanation or error}",
            hint="load it into the engine, or leave cluster.image out, and the harness builds its own image",
        ) from error


def has_tag(client: Client, image: str) -> bool:
    """Return whether the engine holds an image."""
    from docker.errors import ImageNotFound  # noqa: PLC0415

    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


@contextmanager
def _locked(cache: Cache, distribution: Distribution, progress: Progress) -> Iterator[None]:
    """Let one process at a time build the images of a distribution."""
    folder = cache.root / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f"image-{distribution.name}.lock")
    while True:
        try:
            lock.acquire(timeout=5.0, poll_interval=0.1)
            break
        except filelock.Timeout:
            check_stop()
            progress(f"waiting for another process that is making the image of {distribution.name}…")
    try:
        yield
    finally:
        lock.release()
