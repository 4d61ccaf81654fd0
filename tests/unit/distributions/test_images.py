"""Images without an engine: what their names say, what goes into a build, how a list looks.

Fakes stand for the engine, and say so.
"""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from harness.distributions.aliases import aliases
from harness.distributions.base import Installation
from harness.distributions.image_base import ensure_base, known_base, own_tag, recipes, tag_of_script
from harness.distributions.image_official import require_version_said
from harness.distributions.image_store import HeldImage, build_images, images_json, images_text
from harness.distributions.images import _context
from harness.errors import ScenarioError, UnfitEnvironmentError, UsageError
from harness.scenario.expand import variants
from harness.scenario.image import image_problem
from harness.scenario.load import load_text
from harness.session.vocabulary import vocabulary

HELD = HeldImage(
    tag="broker-chaos-harness/nats:2.15.2-abc",
    id="sha256:1",
    kind="nats",
    version="2.15.2",
    size_bytes=17 << 20,
    age_ns=90 * 10**9,
    outdated=False,
)


@pytest.mark.parametrize(
    ("image", "exact"),
    [
        ("", "nats-2.15.2"),
        ("nats:2.12", "nats-2.12.15"),
        ("nats:2", "nats-2.12.15"),
        ("nats:2.12.15-alpine3.22", "nats-2.12.15"),
        ("nats:latest", "nats-2.12.15"),
        ("nats", "nats-2.12.15"),
        ("apache/kafka:4.1.1", "kafka-4.1.1"),
        ("registry.example:5000/kafka:v4.1.1", "kafka-4.1.1"),
        ("registry.example:5000/kafka", "kafka-4.1.1"),
        ("apache/kafka:4.1.1@sha256:0123", "kafka-4.1.1"),
        ("apache/kafka@sha256:0123", "kafka-4.1.1"),
        ("nats:2.12.0-RC.3", "nats-2.12.0-RC.3"),
    ],
)
def test_an_image_may_hold_what_its_tag_does_not_deny(image: str, exact: str) -> None:
    assert image_problem(image, exact) == ("", "")


@pytest.mark.parametrize(
    ("image", "exact", "hint"),
    [
        ("nats:2.1", "nats-2.12.15", "a nats-2.1.x"),
        ("nats:2.12", "nats-2.12.0-RC.3", "a nats-2.12.x"),
        ("nats:2.12.0", "nats-2.12.0-RC.3", "nats-2.12.0"),
        ("apache/kafka:4.1.1", "kafka-4.4.0", "kafka-4.1.1"),
        ("nats:2.12 ", "nats-2.12.15", "<name>:<tag>, e.g. nats:2.12.15"),
    ],
)
def test_an_image_of_another_version_is_told(image: str, exact: str, hint: str) -> None:
    message, told = image_problem(image, exact)
    assert image.strip() in message
    assert hint in told


def test_a_scenario_with_an_image_of_another_version_is_refused_where_it_says_so() -> None:
    text = (
        "version: 1\ntitle: T\nbroker: kafka-4\ncluster:\n  nodes: 1\n  image: apache/kafka:4.1.1\nexpect: {loss: {}}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        variants(load_text(text, "a.yaml", vocabulary()))
    assert str(caught.value) == (
        "a.yaml:6:10: the image apache/kafka:4.1.1 is of version 4.1.1, and the broker asked for is "
        f"{aliases()['kafka-4']} "
        "(write broker: kafka-4.1.1)"
    )
    (found,) = variants(load_text(text.replace("kafka-4\n", "kafka-4.1.1\n"), "a.yaml", vocabulary()))
    assert found.cluster.image == "apache/kafka:4.1.1"


def test_a_build_is_sent_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("program", encoding="utf-8")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    packed = _context(recipes() / "nats" / "Dockerfile", {"nats-server": tmp_path / "link"})
    with tarfile.open(fileobj=io.BytesIO(packed.getvalue())) as archive:
        members = {member.name: member for member in archive}
        assert set(members) == {"Dockerfile", "nats-server"}
        assert members["nats-server"].isreg()
        assert {(member.uid, member.uname) for member in members.values()} == {(0, "root")}


def test_every_kind_of_image_has_its_recipe() -> None:
    assert {"base", "nats", "toxiproxy", "kafka"} <= {path.name for path in recipes().iterdir()}
    assert "FROM scratch" in (recipes() / "nats" / "Dockerfile").read_text(encoding="utf-8")
    assert "ARG BASE_IMAGE" in (recipes() / "kafka" / "Dockerfile").read_text(encoding="utf-8")
    for file in recipes().rglob("*"):
        if file.is_file():
            assert "://" not in file.read_text(encoding="utf-8"), f"{file} names a host"


class NoBase:
    """A fake engine that holds no image and can pull none."""

    def __init__(self) -> None:
        self.images = self
        self.asked: list[str] = []

    def get(self, name: str) -> Any:
        from docker.errors import ImageNotFound

        raise ImageNotFound(name)

    def pull(self, name: str) -> Any:
        from docker.errors import APIError

        self.asked.append(name)
        raise APIError("refused", explanation="no route")


def test_without_any_base_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_BASE_IMAGE", raising=False)
    engine = NoBase()
    with pytest.raises(UnfitEnvironmentError, match="cannot be pulled: no route; making one needs root") as caught:
        ensure_base(engine, lambda _: None, lambda: ["making one needs root"])
    assert "HARNESS_BASE_IMAGE" in caught.value.hint
    assert caught.value.exit_code == 7
    assert engine.asked == ["debian:bookworm-slim"]


def test_a_base_that_is_named_is_the_only_one_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_BASE_IMAGE", "our/base:1")
    engine = NoBase()
    with pytest.raises(UnfitEnvironmentError, match="HARNESS_BASE_IMAGE: our/base:1 cannot be pulled"):
        ensure_base(engine, lambda _: None)
    assert engine.asked == ["our/base:1"]


def test_a_base_that_is_named_and_not_there_stands_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class Holds(NoBase):
        """A fake engine that holds every base but the one that is named."""

        def get(self, name: str) -> Any:
            return self if name != "our/base:1" else super().get(name)

    assert known_base(Holds()) == "debian:bookworm-slim"
    monkeypatch.setenv("HARNESS_BASE_IMAGE", "our/base:1")
    assert known_base(Holds()) == ""
    monkeypatch.setenv("HARNESS_BASE_IMAGE", "our/base:2")
    assert known_base(Holds()) == "our/base:2"


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ("nats-server: v2.12.15\n", ""),
        ("nats-server: v2.12.1\n", "write broker: nats-2.12.1"),
        ("nats-server: v2.12.15-RC.1\n", r"holds nats 2\.12\.15-RC\.1"),
        ("hello\n", "does not report its version"),
    ],
)
def test_an_image_must_tell_the_version_asked_for(told: str, error: str) -> None:
    def required() -> None:
        require_version_said("nats:2.12", "nats", "2.12.15", ("/nats-server",), told)

    if not error:
        required()
        return
    with pytest.raises(UnfitEnvironmentError, match=error):
        required()


def test_an_image_laid_out_otherwise_is_told() -> None:
    with pytest.raises(UnfitEnvironmentError, match="not laid out as an official image of nats: no such file"):
        require_version_said("nats:2.12", "nats", "2.12.15", (), "no such file")


def test_unknown_names_build_nothing() -> None:
    def build(*_: object) -> Installation:
        pytest.fail("nothing may be built")

    with pytest.raises(UsageError, match="unknown distribution"):
        build_images(["nats-2", "nast-2"], lambda _: None, build)
    with pytest.raises(UsageError, match="there are no images of confluent-kafka-2"):
        build_images(["nats-2", "confluent-kafka-2"], lambda _: None, build)


def test_a_list_of_images_tells_sizes_ages_and_what_is_outdated() -> None:
    old = dataclasses.replace(HELD, tag="broker-chaos-harness/kafka:4.4.0-0123-startup", outdated=True)
    first, second = images_text([HELD, old]).splitlines()
    assert first.split() == ["broker-chaos-harness/nats:2.15.2-abc", "17MiB", "1.5m", "old"]
    assert second.endswith("outdated: harness images remove")
    assert first.index("17MiB") == second.index("17MiB")
    assert json.loads(images_json([HELD]))[0]["size_bytes"] == 17 << 20
    assert "harness images build" in images_text([])


def test_another_recipe_makes_another_base(tmp_path: Path) -> None:
    script = tmp_path / "make.sh"
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    assert tag_of_script(script) != own_tag()
    assert tag_of_script(script).startswith("broker-chaos-harness/base:bookworm-")
