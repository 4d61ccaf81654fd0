"""The image of the harness runs a scenario as a user without rights, without a network, on a file system that it cannot
write to; what it cannot do there it refuses with the reason.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from support.required_abilities import skip_or_fail

from harness.distributions.image_harness import ensure_harness_image, harness_tag
from harness.distributions.image_store import held_images
from harness.runtime.docker import engine as docker_engine
from harness.runtime.docker.engine import Client

USER = 65532
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    if why := docker_engine.unusable():
        skip_or_fail("docker", why)
    with docker_engine.engine() as client:
        client.api.timeout = 250  # a build that moves wheels says nothing meanwhile
        yield client


@pytest.fixture(scope="module")
def image(client: Client) -> str:
    return ensure_harness_image(client, lambda _: None)


def _run(
    image: str, *words: str, reports: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the harness in a container with nothing that a scenario does not need."""
    options = [f"--env={name}={value}" for name, value in (environment or {}).items()]
    options += ["--rm", "--network=none", "--read-only", "--tmpfs=/tmp:mode=1777", "--cap-drop=ALL"]
    options += ["--security-opt=no-new-privileges"]
    if reports is not None:
        reports.mkdir()
        reports.chmod(0o777)
        options += [f"--volume={reports}:/work/reports"]
    command = ["docker", "run", *options, image, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_it_is_built_once_and_holds_what_the_repository_holds_now(client: Client, image: str) -> None:
    said: list[str] = []
    assert ensure_harness_image(client, said.append) == image == harness_tag(client)
    assert said == []
    (held,) = (held for held in held_images() if held.tag == image)
    assert (held.kind, held.outdated) == ("harness", False)
    config = client.images.get(image).attrs["Config"]
    assert config["User"] == f"{USER}:0"


def test_a_scenario_passes_in_it(image: str, tmp_path: Path) -> None:
    done = _run(image, "run", "scenarios/gate/latency.yaml", reports=tmp_path / "reports")
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    (run_dir,) = (path for path in (tmp_path / "reports").iterdir() if path.is_dir())
    assert (run_dir / "result.json").stat().st_uid == USER
    result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    assert (result["verdict"], result["runtime"]) == ("pass", "process")
    assert [fault["proven"] for fault in result["faults"]] == [True]


def test_the_pods_of_the_job_share_its_suite(image: str) -> None:
    text = (ROOT / "docs" / "ci" / "kubernetes-job.yaml").read_text(encoding="utf-8")
    (job,) = (one["spec"] for one in YAML(typ="safe").load_all(text) if one["kind"] == "Job")
    (container,) = job["template"]["spec"]["containers"]
    (total,) = container["env"]

    def listed(*words: str, **environment: str) -> list[str]:
        done = _run(image, *words, "--list", environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    pods = [
        listed(*container["args"], JOB_COMPLETION_INDEX=str(index), **{total["name"]: total["value"]})
        for index in range(job["completions"])
    ]
    whole = listed(*(word for word in container["args"] if not word.startswith("--shard")))
    assert sorted(key for pod in pods for key in pod) == sorted(whole)
    assert len(whole) >= 3


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        ("cpu", "cpu-1: this machine cannot limit the CPU of a node"),
        ("kafka-latency", "cannot write to the cache /opt/harness/cache: .* is not in it"),
    ],
)
def test_what_it_cannot_do_is_refused_with_the_reason(image: str, tmp_path: Path, scenario: str, says: str) -> None:
    done = _run(image, "run", f"scenarios/gate/{scenario}.yaml", reports=tmp_path / "reports")
    assert done.returncode == 7
    (run_dir,) = (path for path in (tmp_path / "reports").iterdir() if path.is_dir())
    blocking = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))["blocking"]
    assert any(re.search(says, reason) for reason in blocking), blocking
