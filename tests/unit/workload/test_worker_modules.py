"""A worker loads its own broker's client, and neither another one's nor anything that it has no use for."""

from __future__ import annotations

import pytest
from support.broker_profiles import profiles
from support.worker_modules import BEYOND_A_WORKER, modules_of_worker

from harness.distributions.aliases import clients


@pytest.mark.parametrize("kind", profiles())
def test_a_worker_loads_its_own_client_alone(kind: str) -> None:
    loaded = modules_of_worker(kind)
    # A library that the harness is not installed with is loaded once the worker begins, from where it was fetched to.
    assert (profiles()[kind].client_library in loaded) == (kind not in clients())
    assert f"harness.brokers.{kind}.client" in loaded
    foreign = {profile.client_library for other, profile in profiles().items() if other != kind}
    assert not foreign & {name.split(".")[0] for name in loaded}
    others = tuple(f"harness.brokers.{other}" for other in profiles() if other != kind)
    assert not [name for name in loaded if name.startswith(others)]
    assert not [name for name in loaded if BEYOND_A_WORKER.match(name)]
    parts = {f"harness.brokers.{kind}.{part}" for part in ("broker", "admin", "distribution", "image", "spec")}
    assert not parts & set(loaded)
