"""What a run records of its clients' libraries: the installed version, or the one that the plan chose."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from harness.brokers.base import BROKERS, BoundBroker
from harness.distributions.base import Distribution, Installation
from harness.engine.parts import MachineParts, installed_clients
from harness.progress import Listener
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary

PACKAGES = {"nats": "nats-py", "kafka": "confluent-kafka"}
TEXT = """
version: 1
title: A test
broker: {broker}
cluster: {{nodes: 1}}
workload: {{consumers: 1{more}}}
expect: {{loss: {{messages_max: 0}}}}
"""


def bound(kind: str, more: str = "") -> BoundBroker:
    """Return a broker of ours for a small plan."""
    text = TEXT.format(broker={"nats": "nats-2", "kafka": "kafka-4"}[kind], more=more)
    plan = make_plan(variants(load_text(text, "t.yaml", vocabulary()))[0], None)
    return BROKERS.get(kind).bind(plan)


@pytest.mark.parametrize("kind", PACKAGES)
def test_the_installed_version_of_each_client_is_known(kind: str) -> None:
    package = PACKAGES[kind]
    version = metadata.version(package)
    assert installed_clients(bound(kind)) == {f"{package} (producer)": version, f"{package} (consumer)": version}


def test_a_role_whose_library_the_plan_chose_has_no_installed_one() -> None:
    chosen = bound("kafka", ", consumer: {client: confluent-kafka-2.8.0}")
    assert list(installed_clients(chosen)) == ["confluent-kafka (producer)"]


def test_a_broker_may_declare_no_package_and_one_without_metadata() -> None:
    plain = bound("nats")
    assert installed_clients(replace(plain, client_packages={})) == {}
    vendored = replace(plain, client_packages={"producer": "a-package-that-is-not-installed"})
    assert installed_clients(vendored) == {"a-package-that-is-not-installed (producer)": "unknown"}


def test_a_run_records_what_is_installed_next_to_what_its_plan_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fetched(wanted: Sequence[Distribution], listener: Listener) -> list[Installation]:
        del listener
        return [Installation(command=(), directory=tmp_path, versions={}) for _ in wanted]

    monkeypatch.setattr("harness.engine.parts.fetch_installations", fetched)
    versions: dict[str, str] = {}
    chosen = bound("kafka", ", consumer: {client: confluent-kafka-2.8.0}")
    asyncio.run(MachineParts().software(chosen, "process", lambda _: None, versions))
    assert {name: version for name, version in versions.items() if "confluent" in name} == {
        "confluent-kafka (consumer)": "2.8.0",
        "confluent-kafka (producer)": metadata.version("confluent-kafka"),
    }


def test_no_client_library_is_imported_for_its_version() -> None:
    code = """
import sys
from types import SimpleNamespace
from harness.engine.parts import installed_clients
packages = {"producer": "nats-py", "consumer": "confluent-kafka"}
found = installed_clients(SimpleNamespace(client_packages=packages, client_libraries={}))
print(len(found), "unknown" in found.values(), {"nats", "confluent_kafka"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False set()\n"
