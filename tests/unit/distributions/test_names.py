"""Names of distributions: aliases, exact versions, and what is said of everything else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.distributions.aliases import aliases, aliases_of, defaults, example
from harness.distributions.base import DISTRIBUTIONS, Distribution, resolve
from harness.errors import ExitCode, UsageError
from harness.registry import BROKER_PACKAGES, SOFTWARE_PACKAGES

DOCS = Path(__file__).parents[3] / "docs"


def test_aliases_stand_for_exact_versions_of_registered_kinds() -> None:
    assert aliases()
    for alias, exact in aliases().items():
        distribution = Distribution.parse(exact)
        assert distribution.kind in DISTRIBUTIONS.names()
        assert distribution.version.startswith(alias.rpartition("-")[2] + ".")
        assert resolve(alias) == distribution


@pytest.mark.parametrize("package", SOFTWARE_PACKAGES.paths)
def test_docs_show_exactly_the_aliases(package: str) -> None:
    page = (DOCS / (f"{package}.md" if package in BROKER_PACKAGES.paths else "distributions.md")).read_text("utf-8")
    rows = re.findall(r"^\| `([a-z0-9.-]+)` \| `([a-z0-9.-]+)` \|$", page, re.MULTILINE)
    assert dict(rows) == SOFTWARE_PACKAGES.tables("aliases", "ALIASES")[SOFTWARE_PACKAGES.paths[package]]


def test_aliases_of_one_kind() -> None:
    assert set(aliases_of("toxiproxy")) == {"toxiproxy-2", "toxiproxy-2.12"}
    assert aliases_of("nats")["nats-2"] == aliases()["nats-2"]
    assert aliases_of("nat") == {}


def test_a_kind_may_have_a_hyphen_in_its_name() -> None:
    distribution = resolve("confluent-kafka-2.6.1")
    assert (distribution.kind, distribution.version) == ("confluent-kafka", "2.6.1")
    assert Distribution.parse(distribution.name) == distribution
    assert aliases_of("kafka")["kafka-4"] == aliases()["kafka-4"]
    assert "confluent-kafka-2" not in aliases_of("kafka")


def test_every_package_has_a_default_which_is_an_alias_of_its_own() -> None:
    assert set(defaults()) == {*BROKER_PACKAGES.paths, "toxiproxy"}
    for package, alias in defaults().items():
        assert resolve(alias).kind == package
    assert example() in aliases().values()


@given(
    st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), st.sampled_from(["", "-RC.1", "-preview.1"])
)
def test_exact_names_survive_a_round_trip(numbers: tuple[int, int, int], suffix: str) -> None:
    name = f"nats-{'.'.join(map(str, numbers))}{suffix}"
    assert resolve(name).name == name
    assert str(Distribution.parse(name)) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nast-2", "did you mean 'nats-2'?"),
        ("nats", "did you mean 'nats-2'?"),
        ("nats-2.13", "did you mean 'nats-2.15'?"),
        ("nats-v2.15.2", "did you mean 'nats-2.15.2'?"),
        ("toxiproxi-2", "did you mean 'toxiproxy-2'?"),
        ("tnats-2.15.2", "did you mean 'nats'?"),
        ("nats-2.15.2/../x", f"e.g. {example()}"),
        ("", "known: confluent-kafka-2"),
        ("confluent_kafka-2", "did you mean 'confluent-kafka-2'?"),
        ("kafka-5", "did you mean 'kafka-4'?"),
        ("-kafka-4.4.0", "kafka-4.4"),
    ],
)
def test_unknown_names_get_the_nearest_word(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(name)
    assert caught.value.exit_code is ExitCode.USAGE
    assert said in str(caught.value)
    assert repr(name) in caught.value.message


@pytest.mark.parametrize(
    "name", ["nats-2", "nats-2.15", "nats-2.15.2 ", "../nats-2.15.2", "nats-2.15.2-", "nats-2.15.2\n"]
)
def test_only_exact_names_are_parsed(name: str) -> None:
    with pytest.raises(UsageError):
        Distribution.parse(name)
