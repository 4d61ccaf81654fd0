"""Aliases: short names of distributions, each standing for one exact version.

Each package that brings software has a table of its own (``aliases.py``), with the modules that bring it; here they are
laid together. A table is data in the repository on purpose: an alias that moved by itself would change what last
night's run meant. Renewing it is a commit: ``go list -m -versions <module>`` prints what exists; take the newest
version of each minor line that carries no suffix (``-RC.1``, ``-preview.1``), build it once with the integration tests,
and change the table on its page in docs/ with it (a test compares the two).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from harness.registry import SOFTWARE_PACKAGES


@cache
def aliases() -> Mapping[str, str]:
    """Return every alias → exact distribution (``<kind>-<major>`` → ``<kind>-<version>``)."""
    tables = SOFTWARE_PACKAGES.tables("aliases", "ALIASES").values()
    return MappingProxyType({alias: exact for table in tables for alias, exact in table.items()})


@cache
def defaults() -> Mapping[str, str]:
    """Return name of each package that brings software → the alias of what it takes where none is named."""
    return MappingProxyType(dict(SOFTWARE_PACKAGES.words("aliases", "DEFAULT")))


@cache
def clients() -> Mapping[str, str]:
    """Return name of each package → the alias of the client library that its workers import, of those whose library
    the harness is not installed with.
    """
    return MappingProxyType(dict(SOFTWARE_PACKAGES.words("aliases", "CLIENT")))


def example() -> str:
    """Return the exact name of some software that is registered, for messages."""
    return next((aliases()[alias] for alias in defaults().values() if alias in aliases()), "<kind>-<version>")


def aliases_of(kind: str) -> dict[str, str]:
    """Return alias → exact distribution of one kind."""
    return {alias: exact for alias, exact in aliases().items() if alias.rpartition("-")[0] == kind}
