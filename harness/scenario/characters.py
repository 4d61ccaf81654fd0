"""Characters that no scenario holds: they could steer a terminal, or no file can hold them."""

from __future__ import annotations

import re
from typing import Final

HOSTILE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tabs and line breaks, further line breaks, marks that reorder text, halves of characters."""

_LINE: Final = re.compile("[\t\n]")


def hostile(text: str) -> str:
    """Return the first of them in words (``U+001B``); empty when there is none."""
    found = HOSTILE.search(text)
    return "" if found is None else f"U+{ord(found[0]):04X}"


def hostile_name(text: str) -> str:
    """Return the same for the name of a file, which has neither tabs nor line breaks."""
    found = _LINE.search(text)
    return hostile(text) or ("" if found is None else f"U+{ord(found[0]):04X}")
