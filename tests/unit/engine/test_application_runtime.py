"""An application runs as processes; containers are refused with the place where it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine.runtimes import ContainerEngine, runtime_of
from harness.errors import UnfitEnvironmentError
from harness.scenario.expand import variants
from harness.scenario.load import load_file
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary

READY = ContainerEngine(unusable=lambda: "", has_image=lambda _: True)
SCENARIO = Path(__file__).parents[3] / "scenarios" / "applications" / "nats-application.yaml"


def plan() -> Plan:
    (variant,) = variants(load_file(SCENARIO, vocabulary()))
    return make_plan(variant)


@pytest.mark.parametrize("wanted", ["auto", "process"])
def test_it_runs_as_processes_though_containers_are_there(wanted: str) -> None:
    assert runtime_of(plan(), wanted, lambda _: None, READY) == "process"


def test_containers_are_refused_by_line() -> None:
    line = next(n for n, text in enumerate(SCENARIO.read_text().splitlines(), 1) if "application:" in text)
    with pytest.raises(UnfitEnvironmentError, match=rf"nats-application\.yaml:{line}:5: an application") as caught:
        runtime_of(plan(), "docker", lambda _: None, READY)
    assert "--runtime process" in caught.value.hint
