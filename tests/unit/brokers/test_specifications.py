"""The loader's view of brokers: everything that it needs, and nothing of what runs them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.registry import BROKER_PACKAGES
from harness.scenario.plugins import BROKER_SPECS, BrokerSpec

LOADED = """
import sys
from harness.session.vocabulary import vocabulary
print(" ".join(sorted(vocabulary().brokers)))
print(" ".join(sorted(name for name in sys.modules)))
"""


def test_every_broker_package_has_a_specification() -> None:
    assert set(BROKER_SPECS.names()) == set(BROKER_PACKAGES.paths)
    assert all(isinstance(spec, BrokerSpec) for _, spec in BROKER_SPECS.items())


@pytest.mark.parametrize("part", ["broker", "admin", "client", "distribution", "image"])
def test_the_vocabulary_loads_no_other_part_of_a_broker(part: str) -> None:
    told = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout
    kinds, modules = (set(line.split()) for line in told.splitlines())
    assert kinds == set(BROKER_SPECS.names())
    assert not modules & {f"{path}.{part}" for path in BROKER_PACKAGES.paths.values()}
    assert {f"{path}.spec" for path in BROKER_PACKAGES.paths.values()} <= modules
