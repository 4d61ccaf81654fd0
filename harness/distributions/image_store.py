"""The images of ours that the engine holds: built ahead of time, listed, and removed.

An image is ours when it bears our label and a name below ours: one that a user made *from* ours inherits the label, but
not the name, and is left alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from harness.clock import NS_PER_S
from harness.distributions.aliases import defaults
from harness.distributions.base import Distribution, Installation, Progress, resolve
from harness.distributions.cache import Cache
from harness.distributions.image_base import REPOSITORY as BASE
from harness.distributions.image_base import ensure_base, own_tag
from harness.distributions.image_harness import NAME as HARNESS
from harness.distributions.image_harness import ensure_harness_image, harness_tag, python_base
from harness.distributions.images import IMAGES, LABEL, OWNER, ensure_image, tag_of
from harness.errors import UsageError, nearest
from harness.runtime.docker.engine import Client, engine
from harness.units import BYTES, DURATION

_OWN: dict[str, Callable[[Client, Progress], str]] = {"base": ensure_base, HARNESS: ensure_harness_image}
"""Images that are no distributions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldImage:
    """One image of ours.

    Attributes:
        tag: Its name.
        id: The engine's id of it.
        kind, version: Of the distribution in it; a base has no version.
        size_bytes: Of all its layers, those that it shares with others included.
        age_ns: Since it was made.
        outdated: A build of the same distribution would now make, or has made, another one.
    """

    tag: str
    id: str
    kind: str
    version: str
    size_bytes: int
    age_ns: int
    outdated: bool


def default_images() -> tuple[str, ...]:
    """Return the default of everything that is registered and has images."""
    return tuple(name for name in defaults().values() if resolve(name).kind in IMAGES.names())


def build_images(
    names: Sequence[str], progress: Progress, build: Callable[[Distribution, Progress], Installation] = ensure_image
) -> list[tuple[str, str]]:
    """Build, or find built, the images of distributions; return each name with its image's tag.

    Args:
        names: Aliases or exact names, ``base``, and ``harness``; empty = ``default_images()``.
        progress: Receives one line at a time, for people.
        build: Builds one, or finds it built.

    Raises:
        UsageError: A name is unknown, or there are no images of its kind; nothing was built.
        DownloadError, UnfitEnvironmentError: One could not be had; those before it were built.
    """
    wanted = {name: None if name in _OWN else resolve(name) for name in names or default_images()}
    for name, distribution in wanted.items():
        if distribution is not None and distribution.kind not in IMAGES.names():
            raise UsageError(f"there are no images of {name}", hint=nearest(distribution.kind, IMAGES.names()))
    built = []
    for name, distribution in wanted.items():
        if distribution is None:
            with engine() as client:
                built.append((name, _OWN[name](client, progress)))
        else:
            built.append((distribution.name, build(distribution, progress).image))
    return built


def held_images(*, cache: Cache | None = None) -> list[HeldImage]:
    """Return every image of ours, by name; raises UnfitEnvironmentError without an engine."""
    with engine() as client:
        return sorted(_held(client, cache or Cache()), key=lambda image: image.tag)


def remove_images(*, everything: bool, cache: Cache | None = None) -> list[tuple[HeldImage, str]]:
    """Remove images of ours, and return each with why it could not be removed (empty: it is gone).

    Args:
        everything: All of them, not only those that are outdated.
        cache: Where distributions are kept; None = the user's cache.

    Raises:
        UnfitEnvironmentError: No engine answers.
    """
    from docker.errors import APIError, ImageNotFound  # noqa: PLC0415  only with an engine

    tried = []
    with engine() as client:
        wanted = [image for image in _held(client, cache or Cache()) if everything or image.outdated]
        # An image goes before the one that it was made from, which is older.
        for image in sorted(wanted, key=lambda image: image.age_ns):
            why = ""
            try:
                client.images.remove(image.tag)
            except ImageNotFound:
                pass
            except APIError as error:
                why = str(error.explanation or error)
            tried.append((image, why))
    return tried


def images_json(images: Sequence[HeldImage]) -> str:
    """Return images as JSON."""
    return json.dumps([asdict(image) for image in images], indent=2)


def images_text(images: Sequence[HeldImage]) -> str:
    """Return images as a table for people."""
    if not images:
        return "no images yet: harness images build"
    width = max(len(image.tag) for image in images)
    return "\n".join(
        f"{image.tag:<{width}}  {BYTES.brief(image.size_bytes):>8}  {DURATION.brief(image.age_ns):>6} old"
        + ("  outdated: harness images remove" if image.outdated else "")
        for image in images
    )


def _held(client: Client, cache: Cache) -> Iterator[HeldImage]:
    from docker.errors import ImageNotFound  # noqa: PLC0415  only with an engine

    for listed in client.api.images(filters={"label": LABEL}):
        try:
            image = client.images.get(listed["Id"])
        except ImageNotFound:  # removed meanwhile
            continue
        kind, version = image.labels[LABEL], image.labels.get(f"{LABEL}.version", "")
        for tag in image.tags:
            if not tag.startswith(f"{OWNER}/"):
                continue
            made_s = datetime.fromisoformat(image.attrs["Created"][:19] + "+00:00").timestamp()
            yield HeldImage(
                tag=tag,
                id=image.id,
                kind=kind,
                version=version,
                size_bytes=int(image.attrs["Size"]),
                age_ns=max(0, round((time.time() - made_s) * NS_PER_S)),
                outdated=_outdated(client, tag, kind, version, cache),
            )


def _outdated(client: Client, tag: str, kind: str, version: str, cache: Cache) -> bool:
    """Return whether another image would be built now; what cannot be determined without building counts as not
    outdated.
    """
    if tag.startswith(f"{BASE}:"):
        return tag != own_tag()
    if tag.startswith(f"{python_base().repository}:"):
        return tag != own_tag(python_base())
    if kind == HARNESS:
        built_now = harness_tag(client)
        return bool(built_now) and tag != built_now
    now = tag_of(client, Distribution(kind, version), cache=cache)
    return bool(now) and tag != now and not tag.startswith(f"{now}-")  # a layer more on it
