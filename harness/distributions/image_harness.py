"""The image of the harness itself: what goes into it from a checkout of the repository and from the cache.

Owns which files these are, and the tag that stands for all of them. Nothing is fetched while the image is built: the
wheels of the lock are unpacked here first. Must never know how a run is made.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness import __version__
from harness.clock import NS_PER_S
from harness.distributions.base import Distribution, Installation, Progress, ensure, resolve
from harness.distributions.cache import Cache
from harness.distributions.image_base import Base, ensure_base, known_base, recipes
from harness.distributions.images import OWNER, Build, has_tag
from harness.distributions.tool import Tool, ToolFailure
from harness.errors import DownloadError, UnfitEnvironmentError
from harness.runtime.docker.engine import Client

NAME = "harness"
REPOSITORY = f"{OWNER}/{NAME}"
_SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
"""Release of Debian by the Python that it has."""
_LOCK = "requirements.lock"
_INSTALL_NS_MAX = 10 * 60 * NS_PER_S
_ASKS = ("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")


def python_base() -> Base:
    """Return the base of the image, with the Python that runs this: compiled wheels fit no other."""
    version = sys.version_info[:2]
    return Base(
        variable="HARNESS_PYTHON_IMAGE",
        pulled=f"python:{version[0]}.{version[1]}-slim",
        repository=f"{OWNER}/python",
        script="harness/base.sh",
        suite=_SUITES.get(version, ""),
        has=f"Python {version[0]}.{version[1]}",
    )


def ensure_harness_image(client: Client, progress: Progress, *, cache: Cache | None = None) -> str:
    """Return the tag of the harness's image, building it first when needed.

    Args:
        client: Of the engine.
        progress: Receives one line at a time, for people.
        cache: Where distributions are kept; None = the user's cache.

    Raises:
        DownloadError, UnfitEnvironmentError: It cannot be had; says why and what to do.
    """
    cache = cache or Cache()
    root = _checkout()
    base = ensure_base(client, progress, base=python_base())
    _require_same_python(client, base)
    software = {name: ensure(resolve(name), progress, cache=cache) for name in _software()}
    tag = _tag(client, root, base, software)
    if has_tag(client, tag):
        return tag
    progress(f"building the image {tag} (once, then cached)…")
    with tempfile.TemporaryDirectory(prefix="harness-image-") as scratch:
        site = Path(scratch) / "site"
        _unpack(root, site, progress)
        recipe = recipes() / NAME
        files = {"harness.sh": recipe / "harness.sh", "site": site, "scenarios": root / "scenarios"}
        files |= {f"cache/{place}": cache.root / place for place in _places(cache, software)}
        build = Build(client=client, distribution=Distribution(NAME, __version__))
        build(recipe / "Dockerfile", files, tag, base=base, network="none")
    return tag


def harness_tag(client: Client) -> str:
    """Return the tag that the image would get now; empty when that cannot be determined without fetching."""
    try:
        base = known_base(client, python_base())
        return _tag(client, _checkout(), base, {name: _held(name) for name in _software()}) if base else ""
    except (DownloadError, UnfitEnvironmentError):
        return ""


def _checkout() -> Path:
    """Return the root of the repository; raises UnfitEnvironmentError where this is an installed package."""
    root = Path(__file__).parents[2]
    if not (root / _LOCK).is_file():
        raise UnfitEnvironmentError(
            f"the image of the harness is built from a checkout of its repository, and {root} has no {_LOCK}",
            hint="clone the repository, and run the command there",
        )
    return root


def _software() -> tuple[str, ...]:
    """Return the names of what goes into the cache inside."""
    return tuple((recipes() / NAME / "software.txt").read_text(encoding="utf-8").split())


def _held(name: str) -> Installation:
    """Return software that is in the cache; raises DownloadError where it is not, and fetches nothing."""
    from harness.distributions.base import DISTRIBUTIONS, entry_of  # noqa: PLC0415

    distribution, cache = resolve(name), Cache()
    held, _ = cache.get(entry_of(distribution))
    if held is None:
        raise DownloadError(f"{name} is not in the cache")
    return DISTRIBUTIONS.get(distribution.kind).install(held, cache, lambda _: None)


def _places(cache: Cache, software: Mapping[str, Installation]) -> Iterator[str]:
    """Yield the cache's entries that software consists of, relative to the cache."""
    found = set()
    for used in software.values():
        for path in (used.directory, *map(Path, used.command[:1]), *used.parts.values()):
            if path.is_relative_to(cache.root):
                found.add("/".join(path.relative_to(cache.root).parts[:3]))
    yield from sorted(found)


def _tag(client: Client, root: Path, base: str, software: Mapping[str, Installation]) -> str:
    """Return the tag: its digest stands for the base and every file that goes in."""
    digest = hashlib.sha256(f"{client.images.get(base).id}\n".encode())
    for used in software.values():
        digest.update(f"{sorted(used.versions.items())}\n".encode())
    folders = ("harness", "scenarios", f"docker/{NAME}")
    files = [path for folder in folders for path in (root / folder).rglob("*") if _goes_in(path)]
    for path in (root / _LOCK, root / "pyproject.toml", *sorted(files)):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{REPOSITORY}:{__version__.replace('+', '-')}-{digest.hexdigest()[:12]}"


def _goes_in(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _unpack(root: Path, site: Path, progress: Progress) -> None:
    """Unpack the wheels of the lock, and the harness, into a folder for Python's path; raises DownloadError."""
    progress("unpacking the wheels of the lock…")
    pip = [sys.executable, "-P", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    pip += ["--target", str(site), "--no-deps", "--no-compile"]
    tool = Tool(directory=site.parent, log=site.parent / "pip.log")
    try:
        locked = ["--require-hashes", "--only-binary", ":all:", "-r", str(root / _LOCK)]
        tool.run([*pip, *locked], deadline_ns=_INSTALL_NS_MAX)
        tool.run([*pip, "--upgrade", "--no-build-isolation", str(root)], deadline_ns=_INSTALL_NS_MAX)
    except ToolFailure as failure:
        raise DownloadError(
            f"the wheels of the lock could not be unpacked: pip {failure.reason}\n{failure.tail()}"
        ) from failure


def _require_same_python(client: Client, base: str) -> None:
    """Refuse a base whose Python is another one, or that has none."""
    from docker.errors import APIError, ContainerError  # noqa: PLC0415  only with an engine

    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        said = client.containers.run(base, list(_ASKS[1:]), entrypoint=_ASKS[0], remove=True, network_mode="none")
    except (APIError, ContainerError) as error:
        raise UnfitEnvironmentError(f"the base image {base} has no Python: {error}") from error
    found = said.decode().strip()
    if found != own:
        raise UnfitEnvironmentError(
            f"the base image {base} has Python {found}, and this is Python {own}: the wheels would not fit",
            hint=f"run the harness with Python {found}, or set {python_base().variable} to an image with Python {own}",
        )
