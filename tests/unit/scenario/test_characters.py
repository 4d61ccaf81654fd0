"""Control characters, escape sequences and lone surrogates reach no terminal; digits are 0 to 9."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.commands.cli import _run_guarded, cli
from harness.errors import ExitCode, ScenarioError, StartError
from harness.scenario.document import read_document
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.plugins import Vocabulary
from harness.scenario.tree import plain
from harness.units import DURATION, RATE

HEAD = "version: 1\nbroker: nats-2\nexpect: {loss: {}}\n"

HOSTILE = {
    "title": ('title: "«"', "4:8"),
    "why": ('title: T\nwhy: "a «"', "5:6"),
    "tag": ('title: T\ntags: ["«"]', "5:8"),
    "key": ('title: T\n"«": 1', "5:1"),
    "zone": ('title: T\nworkload: {zones: {"«": [c0]}}', "5:20"),
    "value of the matrix": ('title: T\nmatrix: {cluster.config.x: ["«", b]}', "5:29"),
    "path of the matrix": ('title: T\nmatrix: {"cluster.config.«": [a, b]}', "5:10"),
    "value of a broker": ('title: T\ncluster: {config: {a: "«"}}', "5:23"),
    "name of a fault": ('title: T\nfaults: [{kill: {}, id: "«", on: {node: n1}, at: 1s, for: 1s}]', "5:25"),
}
CHARACTERS = {
    r"\e": "001B",
    r"\a": "0007",
    r"\0": "0000",
    r"\r": "000D",
    r"\x7f": "007F",
    r"\x9b": "009B",
    r"\L": "2028",
    r"\u202e": "202E",
    r"\u2066": "2066",
    r"\ud800": "D800",
    r"\udfff": "DFFF",
}


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("place", HOSTILE)
def test_a_hostile_character_is_refused_where_it_is_written(place: str, character: str, vocabulary: Vocabulary) -> None:
    text, at = HOSTILE[place]
    with pytest.raises(ScenarioError) as caught:
        variants(load_text(HEAD + text.replace("«", character) + "\n", "s.yaml", vocabulary))
    told = str(caught.value)
    assert f"s.yaml:{at}: character U+{CHARACTERS[character]} is not allowed in text" in told
    assert told.replace("\n", "").isprintable()
    told.encode()


@pytest.mark.parametrize("text", ["ü", "日本", "🙂", "e\u0301", "a\tb", "a\nb", "👩\u200d💻"])
def test_other_text_is_taken(text: str) -> None:
    escaped = text.replace("\t", "\\t").replace("\n", "\\n")
    document = read_document(f'title: "{escaped}"', "s.yaml")
    assert document.problems == ()
    assert plain(document.root) == {"title": text}


DIGITS = {
    "duration": 'workload: {warmup: "５s"}',
    "rate": 'workload: {rate: "٣/s"}',
    "whole number": 'workload: {keys: !!int "５"}',
    "number": 'expect: {loss: {}}\nworkload: {keys: !!float "５.0"}',
    "broker": "broker: nats-２.15.2",
    "node": 'faults: [{kill: {}, on: {node: "n１"}, at: 1s, for: 1s}]',
}


@pytest.mark.parametrize("place", DIGITS)
def test_digits_are_0_to_9(place: str, vocabulary: Vocabulary) -> None:
    head = "version: 1\ntitle: T\n" + ("" if "broker" in place else "broker: nats-2\n")
    head += "" if "expect" in DIGITS[place] else "expect: {loss: {}}\n"
    with pytest.raises(ScenarioError):
        variants(load_text(f"{head}{DIGITS[place]}\n", "s.yaml", vocabulary))


@pytest.mark.parametrize(("unit", "text"), [(DURATION, "５s"), (DURATION, "1.５s"), (RATE, "٣/s")])
def test_units_take_no_other_digits(unit: object, text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        unit.parse(text)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [b"a\x1b[2J.yaml", b"a\nb.yaml", b"a\xff.yaml"])
@pytest.mark.parametrize("command", ["validate", "explain"])
def test_a_file_whose_name_could_steer_a_terminal_is_refused(
    name: bytes, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_text(HEAD + "title: T\n")
    for word in (str(path), str(tmp_path)):
        assert _run_guarded(lambda: cli.main(args=[command, word], standalone_mode=False)) == ExitCode.USAGE  # noqa: B023
        told = capsys.readouterr()
        assert "the name of a scenario holds the character U+" in told.err
        assert (told.out + told.err).replace("\n", "").isprintable()


def test_what_an_error_quotes_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise StartError("n1 said \x1b]0;PWNED\x07 and \udcff", hint="a\x9b31m")

    assert _run_guarded(fails) == ExitCode.ENVIRONMENT
    told = capsys.readouterr().err
    assert told.startswith("error: n1 said ")
    assert "\n  hint: a" in told
    assert told.replace("\n", "").isprintable()
