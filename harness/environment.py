"""What is inherited from whoever started the harness: one rule for everything that it starts or asks.

Owns which variables of the environment are set aside, and why. A process of a run (a node, a worker, a proxy) gets the
few that ``KEPT`` names; a tool that fetches or builds (go, pip, java) gets all but those set aside. A company's mirrors
and proxies stay, except that loopback is never asked for through a proxy.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Final

KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "HARNESS_STATE_DIR")
"""Of this process, what a process of a run inherits."""

_GO: Final = frozenset(
    (
        *("CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS", "GO111MODULE", "GO386", "GOAMD64", "GOARCH"),
        *("GOARM", "GOARM64", "GOBIN", "GODEBUG", "GOEXPERIMENT", "GOFIPS140", "GOFLAGS", "GOHOSTARCH", "GOHOSTOS"),
        *("GOOS", "GOROOT", "GOTOOLCHAIN", "GOTOOLDIR", "GOWORK"),
    )
)
_JAVA: Final = frozenset(
    (
        *("CLASSPATH", "JAVA_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "MAVEN_ARGS", "MAVEN_OPTS"),
        "_JAVA_OPTIONS",
    )
)
_PYTHON_KEPT: Final = frozenset(
    (
        *("PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "PYTHONHASHSEED", "PYTHONIOENCODING"),
        *("PYTHONPYCACHEPREFIX", "PYTHONUNBUFFERED", "PYTHONUTF8"),
    )
)
_PIP_KEPT: Final = frozenset(
    (
        *("PIP_CACHE_DIR", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_CONFIG_FILE", "PIP_DEFAULT_TIMEOUT"),
        *("PIP_DISABLE_PIP_VERSION_CHECK", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL"),
        *("PIP_KEYRING_PROVIDER", "PIP_NO_CACHE_DIR", "PIP_NO_INDEX", "PIP_PROXY", "PIP_RETRIES", "PIP_TIMEOUT"),
        "PIP_TRUSTED_HOST",
    )
)
"""Where packages come from, and how they are reached. All others change what is installed, or where."""

_PATHS: Final = "PYTHONPATH"
_WHY: Final = {
    "go": "it would change how the harness's software is built",
    "java": "each Java would take it as options",
    "pip": "it would change what pip installs, or where",
    "python": "it would change the harness's own Python",
    _PATHS: "a relative place would make modules of the working directory ours",
}
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")


def inherited(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a tool: ours without what is set aside, and without ``PYTHONPATH``.

    Args:
        environ: None = this process's.
    """
    found = _cleaned(os.environ if environ is None else environ)
    found.pop(_PATHS, None)
    return found


def settle(
    environ: MutableMapping[str, str],
    home: Callable[[], str | None] | None = None,
    temporary: Callable[[], str] = tempfile.gettempdir,
) -> dict[str, str]:
    """Clean a process's own environment once, before anything is loaded by it; return variable → why it was set aside.

    Args:
        environ: Of the process.
        home: Returns the user's home directory, None without an entry; None = of this system.
        temporary: Returns where temporary files lie.

    Raises:
        OSError: There is no ``HOME``, and none can be made.

    Absolute places of ``PYTHONPATH`` stay: plug-ins of whoever started us are found there, by workers too.
    """
    aside = dict(_set_aside(environ))
    cleaned = _cleaned(environ)
    for name in [name for name in environ if name not in cleaned]:
        del environ[name]
    environ.update({name: value for name, value in cleaned.items() if environ.get(name) != value})
    _ensure_home(environ, home or _home, temporary)
    _settled.update(aside)
    return aside


_settled: Final[dict[str, str]] = {}


def settled() -> Mapping[str, str]:
    """Return what this process has set aside since its start: variable → why."""
    return dict(_settled)


def _cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    aside = {name for name, _ in _set_aside(environ)} - {_PATHS}
    found = {name: value for name, value in environ.items() if name not in aside}
    if _PATHS in found:
        places = [place for place in found[_PATHS].split(os.pathsep) if os.path.isabs(place)]  # noqa: PTH117
        found[_PATHS] = os.pathsep.join(places)
        if not places:
            del found[_PATHS]
    if any(name.lower() in _PROXIES for name in found):
        # Which of the two spellings is read differs from program to program.
        said = [found.get("no_proxy", ""), found.get("NO_PROXY", "")]
        hosts = [host.strip() for host in ",".join(said).split(",") if host.strip()]
        found["no_proxy"] = found["NO_PROXY"] = ",".join(dict.fromkeys([*hosts, *_LOOPBACK]))
    return found


def _set_aside(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (variable, why it is set aside)."""
    for name, value in environ.items():
        if name in _GO:
            yield name, _WHY["go"]
        elif name in _JAVA:
            yield name, _WHY["java"]
        elif name.startswith("PIP_") and name not in _PIP_KEPT:
            yield name, _WHY["pip"]
        elif name == _PATHS:
            if not all(os.path.isabs(place) for place in value.split(os.pathsep)):  # noqa: PTH117
                yield name, _WHY[_PATHS]
        elif re.match("PYTHON[A-Z]", name) and name not in _PYTHON_KEPT:
            yield name, _WHY["python"]


def _ensure_home(
    environ: MutableMapping[str, str], entry: Callable[[], str | None], temporary: Callable[[], str]
) -> None:
    """Give a process without ``HOME`` one: of the user's entry, else a place below that of temporary files.

    Containers often run under a number that no entry names. Everything that looks for a user's directories then takes
    ``~`` for the name of a directory, in the working directory.
    """
    if environ.get("HOME"):
        return
    known = entry()
    if known:
        environ["HOME"] = known
        return
    home = Path(temporary()) / f"broker-chaos-harness-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    status = home.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it is another user's", str(home))  # who would then rule over our state
    environ["HOME"] = str(home)
    _settled["HOME"] = f"it is empty and user {os.getuid()} has no entry, so {home} takes its place"


def _home() -> str | None:
    import pwd  # noqa: PLC0415  only here, and not on every system

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None
