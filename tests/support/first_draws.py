"""Lets Hypothesis read what it reads only once before the first test draws: the sources of all modules that are loaded,
for the numbers and texts in them, and the table of characters.

It reads within whichever draw needs it first, and takes that draw's strategy for slow (``too_slow``) when the machine
is busy, whatever the strategy.
"""

from __future__ import annotations

from hypothesis import Phase, given, settings
from hypothesis import strategies as st


@settings(max_examples=10, deadline=None, database=None, phases=[Phase.generate])
@given(st.lists(st.integers(), min_size=200, max_size=200), st.text(min_size=20, max_size=20))
def read_what_is_read_once(numbers: list[int], text: str) -> None:
    """Draw so often that each of it is needed: a constant is drawn once in twenty times."""
    del numbers, text
