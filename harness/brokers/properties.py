r"""Java's format of properties, in which brokers that run in a JVM are configured.

Owns its escapes. Files are read as ISO 8859-1 (``java.util.Properties.load(InputStream)``), so everything beyond ASCII
is written as ``\uXXXX``, in UTF-16.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.errors import UnfitEnvironmentError

_NAMED: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\\": "\\\\"}


def properties(values: Mapping[str, str]) -> str:
    """Return a file of properties, in ASCII, that Java reads as exactly these values."""
    return "".join(f"{_escaped(key, ' =:#!')}={_escaped(value, '')}\n" for key, value in values.items())


def require_no_comma(path: Path, setting: str) -> None:
    """Refuse a directory that a broker would take for several, because its setting is a list; raises
    UnfitEnvironmentError.
    """
    if "," in str(path):
        raise UnfitEnvironmentError(
            f"the run directory has a comma in its path, and the broker reads {setting} as a list: {path}",
            hint="choose another place with --reports",
        )


def _escaped(text: str, signs: str) -> str:
    """Return a text in which nothing ends a key, begins a comment, or is lost; ``signs``: what else is escaped."""
    found = []
    for position, letter in enumerate(text):
        if letter in _NAMED:
            found.append(_NAMED[letter])
        elif letter in signs or (letter == " " and position == 0):
            found.append("\\" + letter)
        elif " " <= letter <= "~":
            found.append(letter)
        else:
            units = letter.encode("utf-16-be", "surrogatepass")
            found += [f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}" for at in range(0, len(units), 2)]
    return "".join(found)
