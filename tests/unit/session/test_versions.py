"""Versions that do not exist are refused before the first run; the lists of releases are made up here."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from harness.distributions.cache import Cache, CachedEntry, CacheEntry
from harness.errors import UsageError
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.versions import refuse_missing_versions
from harness.session.vocabulary import vocabulary


def plan(broker: str, file: str = "x.yaml") -> Plan:
    text = f"version: 1\nbroker: {broker}\nexpect: {{loss: {{}}}}\ntitle: x\n"
    return make_plan(variants(load_text(text, file, vocabulary()))[0])


class Full(Cache):
    """Has everything."""

    def get(self, entry: CacheEntry, *, thorough: bool = False) -> tuple[CachedEntry | None, str]:
        return cast("CachedEntry", object()), ""


def test_a_version_that_no_list_has_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        refuse_missing_versions(
            [plan("nats-2.11.99", "good/x.yaml")], Cache(tmp_path), lambda _: ("2.10.0", "2.11.1", "2.12.8")
        )
    assert told.value.message.startswith("good/x.yaml: there is no nats-server 2.11.99; ")
    assert "2.11.1" in told.value.message
    assert "\n" not in told.value.message


@pytest.mark.parametrize(("broker", "released"), [("nats-2.11.1", ("2.10.0", "2.11.1")), ("nats-2.11.99", ())])
def test_a_version_that_exists_or_of_which_nothing_is_known_is_not(
    broker: str, released: tuple[str, ...], tmp_path: Path
) -> None:
    asked: list[str] = []

    def list_of(kind: str) -> tuple[str, ...]:
        asked.append(kind)
        return released

    refuse_missing_versions([plan(broker), plan(broker)], Cache(tmp_path), list_of)
    assert asked == ["nats"], "each version is looked up once"


def test_what_is_in_the_cache_is_not_looked_up(tmp_path: Path) -> None:
    def never(_: str) -> tuple[str, ...]:
        raise AssertionError

    refuse_missing_versions([plan("nats-2.11.99")], Full(tmp_path), never)
