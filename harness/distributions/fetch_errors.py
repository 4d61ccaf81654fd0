"""Words for what can go wrong when software is fetched, the same for every way of fetching it.

Knows what full disks and missing networks look like in the output of the clients, and which versions are near another.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

from harness.distributions.cache import Cache
from harness.distributions.tool import ToolFailure
from harness.errors import DownloadError

# As go, Maven, jgo (Python's requests) and pip say it.
OFFLINE = re.compile(
    r"dial tcp|connection refused|no such host|i/o timeout|network is unreachable|proxyconnect|TLS handshake|"
    r"disabled by GOPROXY=off|Temporary failure in name resolution|Name or service not known|unknown host|"
    r"in offline mode|Connect(ion)? timed out|Max retries exceeded|NewConnectionError|ProxyError|"
    r"Cannot connect to proxy|Read timed out",
    re.IGNORECASE,
)
DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


def refusal(title: str, failure: ToolFailure, cache: Cache, *, source: str) -> DownloadError:
    """Return the error for software that could not be made, when no more is known than what its tool printed.

    Args:
        title: Of the software, with its version.
        failure: How the tool ended.
        cache: Where it was to be kept.
        source: What a first fetch needs (``the Go module proxy``).
    """
    if DISK_FULL.search(failure.output):
        return DownloadError(
            f"{title} could not be built: the disk is full\n{failure.tail()}", hint=cache.write_hint(errno.ENOSPC)
        )
    message = f"{title} could not be built: {failure.command} {failure.reason}\n{failure.tail()}".rstrip()
    if OFFLINE.search(failure.output):
        return DownloadError(
            message,
            hint=f"is this machine offline? A first build needs {source}; or copy the cache from another machine",
        )
    return DownloadError(message)


def no_such_version(
    title: str, version: str, failure: ToolFailure, released: Sequence[str], *, source: str
) -> DownloadError:
    """Return the error for a version that does not exist, naming the nearest ones that do."""
    near = nearest_versions(version, released)
    return DownloadError(
        f"there is no {title} {version}, according to {source}\n{failure.tail()}".rstrip(),
        hint=f"nearest released versions: {', '.join(near)}" if near else "",
    )


def released_only(words: Sequence[str]) -> tuple[str, ...]:
    """Return the exact versions among ``words`` that carry no suffix, each once, oldest first."""
    return tuple(sorted({word for word in words if re.fullmatch(r"\d+\.\d+\.\d+", word)}, key=numbers))


def numbers(version: str) -> tuple[int, ...]:
    """Return the first three numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def nearest_versions(version: str, released: Sequence[str], count: int = 4) -> list[str]:
    """Return the released versions nearest to ``version``, nearest first: same minor line before others."""
    wanted = numbers(version)

    def distance(other: str) -> tuple[int, ...]:
        return tuple(abs(a - b) for a, b in zip(wanted, numbers(other), strict=True))

    def key(other: str) -> tuple[int, ...]:
        major, minor, patch = distance(other)
        # In another line (2.99.0 asked for) it is not the patch number that is near: there the newest come first.
        return (major, minor, patch if (major, minor) == (0, 0) else 0)

    return sorted(sorted(released, key=numbers, reverse=True), key=key)[:count]
