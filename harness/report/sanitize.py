"""Text made safe to show: nothing in it can steer a terminal, reorder a page or run over its place.

Must never know what the text says.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_BIDI_CONTROLS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str) -> str:
    """Return ``text`` on one line, with whatever could steer a terminal or reorder a page made visible as ``�``."""
    if text.isprintable():  # most are: no spaces but blanks, and nothing of the categories below
        return text
    return "".join(" " if char.isspace() else "\ufffd" if _hostile(char) else char for char in text)


def clean_lines(text: str) -> str:
    """Return ``text`` like ``clean``, with its line breaks kept."""
    return "\n".join(clean(line) for line in text.splitlines())


def clip(text: str, limit: int) -> str:
    """Return ``text`` cut to ``limit`` characters; a cut is marked."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _hostile(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs"} or char in _BIDI_CONTROLS
