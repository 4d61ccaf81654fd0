"""Text in a broker's own format: Java's properties, and NATS' configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.brokers.properties import properties, require_no_comma
from harness.errors import UnfitEnvironmentError

NAMED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def java_reads(line: str) -> tuple[str, str]:
    """Return key and value of one line, by the rules of ``java.util.Properties.load``."""
    key_end = next(
        at for at, sign in enumerate(line) if sign in "=: " and (len(line[:at]) - len(line[:at].rstrip("\\"))) % 2 == 0
    )
    assert line[0] not in "#!"
    return unescaped(line[:key_end]), unescaped(line[key_end + 1 :].lstrip(" \t\f"))


def unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        body = match[1]
        return chr(int(body[1:], 16)) if len(body) == 5 else NAMED.get(body, body)

    found = re.sub(r"\\(u[0-9a-f]{4}|.)", one, text)
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(st.text(min_size=1), st.text())
def test_java_reads_what_was_written(key: str, value: str) -> None:
    written = properties({key: value})
    assert written.isascii()
    assert written.count("\n") == 1
    assert java_reads(written[:-1]) == (key, value)


def test_what_needs_no_escape_stands_as_it_is() -> None:
    assert properties({"log.dirs": "/tmp/a b#c", "x": "a=b:c"}) == "log.dirs=/tmp/a b#c\nx=a=b:c\n"


def test_a_comma_in_a_list_of_directories_is_refused() -> None:
    require_no_comma(Path("/tmp/kürze; a"), "log.dirs")
    with pytest.raises(UnfitEnvironmentError, match=r"a comma in its path.* log.dirs as a list"):
        require_no_comma(Path("/tmp/a, b"), "log.dirs")
