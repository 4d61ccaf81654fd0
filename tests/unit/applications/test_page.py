"""docs/applications.md says what is so: its words, its events, its lines and its scenario."""

from __future__ import annotations

import re
from pathlib import Path

from harness.applications.protocol import _KEYS, LINE_BYTES_MAX, parse
from harness.applications.recording import SOCKET_BYTES_MAX
from harness.scenario.application import OWN_WORDS, Application
from harness.scenario.application_fit import broker_words
from harness.scenario.expand import variants
from harness.scenario.fields import field_specs
from harness.scenario.load import load_text
from harness.scenario.model import Cluster, Workload
from harness.session.vocabulary import vocabulary

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "applications.md").read_text(encoding="utf-8")


def rows(head: str) -> list[str]:
    """Return the first cells of the table with this first heading."""
    table = PAGE.partition(f"| {head} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)


def test_every_word_and_no_other() -> None:
    named = {word for cell in rows("word") for word in re.findall(r"\{(\w+)\}", cell)}
    known = set(OWN_WORDS)
    for spec in vocabulary().brokers.values():
        cluster = Cluster(topic=spec.topic())
        known |= set(broker_words(spec, cluster, Workload(), ()))
    assert named == known


def test_every_key_of_an_application() -> None:
    named = {key for cell in rows("key") for key in re.findall(r"`(\w+)`", cell)}
    assert named == {spec.yaml for spec in field_specs(Application)}


def test_every_event_with_its_keys() -> None:
    table = PAGE.partition("| event |")[2].partition("\n\n")[0]
    events = {event for cell in rows("event") for event in re.findall(r"`(\w+)`", cell)}
    assert events == set(_KEYS)
    for event, keys in _KEYS.items():
        said = " ".join(line for line in table.splitlines() if f"`{event}`" in line.split("|")[1])
        assert [key for key in keys if f"`{key}`" not in said] == []


def test_the_lines_shown_are_lines() -> None:
    (shown,) = re.findall(r"```text\n(\{.*?)```", PAGE, re.DOTALL)
    assert len([parse(line.encode()) for line in shown.splitlines()]) == 5
    assert f"{LINE_BYTES_MAX >> 20} MiB" in PAGE
    assert f"{SOCKET_BYTES_MAX} bytes" in PAGE


def test_the_scenario_shown_is_valid() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(variants(load_text(text, "page.yaml", vocabulary()))) == 1


def test_the_applications_that_are_shipped_are_short() -> None:
    programs = sorted((ROOT / "scenarios" / "applications").glob("*.py"))
    assert [path.name for path in programs] == [
        "kafka_consumer.py",
        "nats_consumer.py",
        "nats_plain_consumer.py",
        "plain_consumer.py",
    ]
    assert all(len(path.read_text(encoding="utf-8").splitlines()) < 100 for path in programs)
