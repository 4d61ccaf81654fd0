"""Every mistake in a scenario is told with its line, its column and the nearest right word."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scenario_mistakes import BASE, cases

from harness.errors import ExitCode, ScenarioError
from harness.scenario.expand import variants
from harness.scenario.load import load_file, load_text
from harness.scenario.plugins import Vocabulary


def problems_of(text: str, vocabulary: Vocabulary) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        variants(load_text(text, "case.yaml", vocabulary))
    return caught.value


def test_base_is_valid(vocabulary: Vocabulary) -> None:
    assert len(variants(load_text(BASE, "case.yaml", vocabulary))) == 1


@pytest.mark.parametrize("name", sorted(cases()))
def test_mistake_is_told_at_its_place(name: str, vocabulary: Vocabulary) -> None:
    text, line, column, message, hint = cases()[name]
    error = problems_of(text, vocabulary)
    assert error.exit_code is ExitCode.USAGE
    fitting = [problem for problem in error.problems if message in problem.message and hint in problem.hint]
    assert fitting, str(error)
    assert (fitting[0].location.line, fitting[0].location.column) == (line, column), str(error)
    assert len(error.problems) == 1, str(error)
    assert str(fitting[0]).startswith(f"case.yaml:{line}:{column}: ")


SYNTAX: dict[str, tuple[str, int, int, str]] = {
    "empty": ("", 1, 1, "the file is empty"),
    "only a comment": ("# nothing\n", 1, 1, "the file is empty"),
    "a word": ("scenario\n", 1, 1, "a scenario is a mapping"),
    "a list": ("- version: 1\n", 1, 1, "a scenario is a mapping"),
    "two documents": ("version: 1\n---\nversion: 1\n", 2, 1, "a file holds one scenario"),
    "open bracket": ("version: [1\n", 2, 1, "not valid YAML"),
    "tab": ("version: 1\ncluster:\n\tnodes: 3\n", 3, 1, "not valid YAML"),
    "bad indentation": ("version: 1\n  title: T\n", 2, 8, "not valid YAML"),
    "undefined alias": ("version: *one\n", 1, 10, "undefined alias"),
    "alias of itself": ("version: 1\ncluster: &a [*a]\n", 2, 10, "refers to the value that contains it"),
    "control character": ("version: 1\ntitle: a\x01b\n", 2, 9, "U+0001 is not allowed"),
    "escape beyond Unicode": ('version: "\\UFFFFFFFF"\n', 1, 1, "not valid YAML"),
    "YAML 1.1": ("%YAML 1.1\n---\nversion: 1\n", 1, 1, "scenarios are YAML 1.2, not 1.1"),
    "deep": ("[" * 5_000, 1, 42, "nested deeper than"),
    "somewhat deep": ("a: " + "[" * 60 + "]" * 60, 1, 44, "nested deeper than 40 levels"),
    "many aliases": (
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
        1,
        1,
        "with its aliases expanded",
    ),
    "huge": ("#" * 140_000, 1, 1, "more than 131072"),
}


@pytest.mark.parametrize("name", sorted(SYNTAX))
def test_what_is_not_one_document_is_refused(name: str, vocabulary: Vocabulary) -> None:
    text, line, column, message = SYNTAX[name]
    with pytest.raises(ScenarioError) as caught:
        load_text(text, "case.yaml", vocabulary)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert (problem.location.line, problem.location.column) == (line, column), str(problem)


def test_file_that_is_missing_or_not_utf8_is_refused(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(ScenarioError, match="cannot read the scenario: No such file"):
        load_file(tmp_path / "none.yaml", vocabulary)
    with pytest.raises(ScenarioError, match="cannot read the scenario: Is a directory"):
        load_file(tmp_path, vocabulary)
    with pytest.raises(ScenarioError, match="cannot read the scenario: embedded null byte"):
        load_file(tmp_path / "a\0b", vocabulary)
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"version: 1\ntitle: caf\xe9\n")
    with pytest.raises(ScenarioError, match=r"latin\.yaml:2:11: not UTF-8: byte 0xE9"):
        load_file(path, vocabulary)


def test_byte_order_mark_is_accepted(tmp_path: Path, vocabulary: Vocabulary) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    source = load_file(path, vocabulary)
    assert source.name == "bom"
    assert variants(source)[0].title == "Clients ride out 50 ms"


def test_all_mistakes_are_told_at_once_in_file_order(vocabulary: Vocabulary) -> None:
    text = (
        BASE.replace("version: 1", "version: 3")
        .replace("nats-2", "natz-2")
        .replace("duration: 60s", "duration: 60")
        .replace("delay: 50ms", "delay: 50")
        .replace("at: 10s", "at: 10")
        .replace("loss: {messages_max: 0}", "loss: {messages_max: none}\n  stal: {}")
    )
    error = problems_of(text, vocabulary)
    assert [problem.location.line for problem in error.problems] == [1, 5, 8, 10, 12, 15, 16]


def test_problem_of_some_variants_names_the_first_of_them_once(vocabulary: Vocabulary) -> None:
    text = BASE.replace("broker: nats-2\n", "matrix: {broker: [nats-2, kafka-4], workload.rate: [1/s, 2/s]}\n").replace(
        "replicas: 3}", "replicas: 3, topic: {storage: file}}"
    )
    (problem,) = problems_of(text, vocabulary).problems
    assert "unknown key 'storage' in cluster.topic" in problem.message
    assert problem.message.endswith("[variant broker=kafka-4, workload.rate=1/s and 1 more]")


def test_problem_of_every_variant_is_told_once(vocabulary: Vocabulary) -> None:
    text = BASE.replace("seed: 7", "matrix: {workload.rate: [1/s, 2/s]}").replace("at: 10s", "at: 10")
    (problem,) = problems_of(text, vocabulary).problems
    assert "variant" not in problem.message


def test_unknown_fault_does_not_hide_its_bad_times(vocabulary: Vocabulary) -> None:
    error = problems_of(BASE.replace("latency:", "latencey:").replace("at: 10s", "at: 10"), vocabulary)
    assert len(error.problems) == 2


@pytest.mark.parametrize("when", ["{backlog: > 1000, within: 5s}", "\n      backlog: > 1000\n      within: 5s"])
def test_a_comparison_without_quotes_is_told_to_need_them(when: str, vocabulary: Vocabulary) -> None:
    (problem,) = problems_of(BASE.replace("at: 10s", f"when: {when}"), vocabulary).problems
    assert problem.message.startswith("not valid YAML")
    assert "in quotes" in problem.hint
