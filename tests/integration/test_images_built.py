"""Images on a real engine: built once, the bits of this machine, official layouts used, nothing foreign removed.

No official image can be counted on to be there, so some are made here that are laid out like them, under names that
no registry has: NATS from scratch and on Alpine, and ``apache/kafka`` (Java in ``/opt/java/openjdk``, jars in
``/opt/kafka/libs``).
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.cli_runner import Cli
from support.required_abilities import skip_or_fail

from harness.distributions import image_java, image_store
from harness.distributions.base import ensure, resolve
from harness.distributions.image_base import recipes
from harness.distributions.image_official import LABEL as ASKED
from harness.distributions.image_store import HeldImage, held_images, remove_images
from harness.distributions.images import IMAGES, LABEL, Content, ensure_image, has_image
from harness.errors import UnfitEnvironmentError
from harness.runtime.docker import engine as docker_engine
from harness.runtime.docker.engine import Client
from harness.runtime.kernel import procfs

Tags = list[str]


@pytest.fixture
def client() -> Iterator[Client]:
    if why := docker_engine.unusable():
        skip_or_fail("docker", why)
    with docker_engine.engine() as client:
        client.api.timeout = 250  # builds that move Java and Kafka's jars say nothing meanwhile
        yield client


@pytest.fixture
def made(client: Client) -> Iterator[Tags]:
    """Tags to remove at the end."""
    tags: Tags = []
    yield tags
    for tag in reversed(tags):
        client.images.remove(tag)


def _build(client: Client, made: Tags, tag: str, lines: Sequence[str], labels: dict[str, str] | None = None) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        text = "\n".join(lines).encode()
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    packed.seek(0)
    client.images.build(fileobj=packed, custom_context=True, tag=tag, rm=True, forcerm=True, labels=labels or {})
    made.append(tag)
    return tag


def _name(tag: str) -> str:
    return f"chaos-{uuid.uuid4().hex[:8]}.invalid/{tag}"


def _said(client: Client, image: str, argv: Sequence[str]) -> str:
    container = client.containers.create(image, entrypoint=[argv[0]], command=list(argv[1:]))
    try:
        container.start()
        container.wait()
        return bytes(container.logs()).decode()
    finally:
        container.remove(force=True)


def test_an_image_holds_the_bits_of_the_cache_and_is_built_once(client: Client) -> None:
    nats = resolve("nats-2")
    image = ensure_image(nats, lambda _: None)
    here = ensure(nats, lambda _: None)
    assert has_image(nats)
    assert image.versions == here.versions
    container = client.containers.create(image.image)
    try:
        chunks, _ = container.get_archive(image.command[0])
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            (member,) = archive.getmembers()
            file = archive.extractfile(member)
            assert file is not None
            assert file.read() == here.executable.read_bytes()
    finally:
        container.remove()
    told: list[str] = []
    assert ensure_image(nats, told.append) == image
    assert told == []
    labels = client.images.get(image.image).labels
    assert labels[LABEL] == "nats"
    assert labels[f"{LABEL}.version"] == nats.version


@pytest.mark.parametrize("at", ["/nats-server", "/usr/local/bin/nats-server"])
def test_official_images_of_nats_are_used_where_their_program_lies(client: Client, made: Tags, at: str) -> None:
    nats = resolve("nats-2")
    ours = ensure_image(nats, lambda _: None).image
    name = _build(client, made, _name("nats:2.15"), ["FROM scratch", f"COPY --from={ours} /nats-server {at}"])
    used = ensure_image(nats, lambda _: None, official=name)
    assert (used.image, used.command) == (name, (at,))
    assert nats.version in _said(client, name, [*used.command, "--version"])


def test_an_official_image_of_another_version_is_refused(client: Client, made: Tags) -> None:
    nats = resolve("nats-2")
    ours = ensure_image(nats, lambda _: None).image
    name = _build(client, made, _name("nats:2.12"), ["FROM scratch", f"COPY --from={ours} /nats-server /nats-server"])
    content = Content(recipe=recipes() / "nats", files={}, command=(), versions={"nats": "2.12.15"})
    with pytest.raises(
        UnfitEnvironmentError, match=f"holds nats {nats.version}, and the broker asked for is nats-2.12.15"
    ):
        IMAGES.get("nats").official(client, content, name)


def test_an_image_that_is_laid_out_otherwise_is_refused(client: Client, made: Tags) -> None:
    toxiproxy = ensure_image(resolve("toxiproxy-2"), lambda _: None).image
    before = {container.id for container in client.containers.list(all=True, filters={"label": ASKED})}
    name = _build(client, made, _name("nats:2.15"), [f"FROM {toxiproxy}", "ENV NOTHING=1"])
    with pytest.raises(UnfitEnvironmentError, match="not laid out as an official image of nats"):
        ensure_image(resolve("nats-2"), lambda _: None, official=name)
    with pytest.raises(UnfitEnvironmentError, match="is not there and cannot be pulled"):
        ensure_image(resolve("nats-2"), lambda _: None, official=_name("nats:2.15"))
    after = {container.id for container in client.containers.list(all=True, filters={"label": ASKED})}
    assert after <= before, "what could not be started is gone, too"


SCENARIO = """
version: 1
title: A broker in an official image
broker: {broker}
cluster: {{image: {image}, nodes: 1}}
workload: {{rate: 100/s, warmup: 2s, duration: 4s, drain: 10s}}
faults:
  - kill: {{}}
    on: {{node: n1}}
    at: 1s
    for: 500ms
expect: {{loss: {{messages_max: 0}}, acceptance: off}}
"""


def test_runs_on_an_official_image_record_it(client: Client, made: Tags, tmp_path: Path) -> None:
    nats = resolve("nats-2")
    ours = ensure_image(nats, lambda _: None).image
    name = _build(client, made, _name("nats:2.15"), ["FROM scratch", f"COPY --from={ours} /nats-server /nats-server"])
    cli = Cli(tmp_path)
    code, result, told = cli.run_scenario(SCENARIO.format(broker="nats-2", image=name), "--runtime", "docker")
    assert code == 0, told
    versions = json.loads((Path(result["run_dir"]) / "run.json").read_text(encoding="utf-8"))["versions"]
    # A tag moves; what its id stands for does not.
    assert versions["nats image"] == f"{name} {client.images.get(name).id.removeprefix('sha256:')[:12]}"
    assert versions["nats"] == nats.version


def test_kafka_runs_in_an_image_laid_out_like_the_official_one(client: Client, made: Tags, tmp_path: Path) -> None:
    kafka = resolve("kafka-4")
    ours = ensure_image(kafka, lambda _: None).image
    name = _build(
        client,
        made,
        _name(f"apache/kafka:{kafka.version}"),
        [
            f"FROM {ours}",
            "RUN mkdir -p /opt/java/openjdk && mv /opt/java/bin /opt/java/conf /opt/java/lib /opt/java/openjdk/",
            "RUN mv /opt/kafka/jars /opt/kafka/libs",
            "RUN useradd -m appuser",
            "USER appuser",
            'VOLUME ["/var/lib/kafka/data"]',
            "ENTRYPOINT []",
            'CMD ["/etc/kafka/docker/run"]',
        ],
    )
    used = ensure_image(kafka, lambda _: None, official=name)
    assert used.command[0] == "/opt/java/openjdk/bin/java"
    assert "java" not in used.versions, "its Java is its own"
    text = SCENARIO.format(broker="kafka-4", image=name).replace("- kill: {}", "- pause: {}").replace("500ms", "2500ms")
    code, _, told = Cli(tmp_path).run_scenario(text, "--runtime", "docker")
    assert code == 0, told


def test_what_a_killed_training_left_is_removed_and_a_live_one_is_not(client: Client, tmp_path: Path) -> None:
    ours = ensure_image(resolve("nats-2"), lambda _: None).image
    mine = procfs.identity(os.getpid())
    assert mine is not None
    # The pid is alive in both, but the first belongs to another process that had it before.
    marks = [f"{os.getpid()} {mine.start_ticks - 1}", f"{os.getpid()} {mine.start_ticks}"]
    scratches = [tmp_path / f"broker-chaos-training-{name}" for name in ("dead", "live")]
    for scratch in scratches:
        scratch.mkdir()
    dead, live = (
        client.containers.create(
            ours, labels={image_java._TRAINING: mark}, volumes={str(scratch): {"bind": str(scratch), "mode": "rw"}}
        )
        for mark, scratch in zip(marks, scratches, strict=True)
    )
    try:
        image_java._sweep(client)
        left = {container.id for container in client.containers.list(all=True, filters={"label": image_java._TRAINING})}
        assert live.id in left
        assert dead.id not in left
        assert [scratch.exists() for scratch in scratches] == [False, True]
    finally:
        live.remove()


def test_only_what_is_ours_is_listed_and_removed(client: Client, made: Tags, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ensure_image(resolve("nats-2"), lambda _: None).image
    derived = _build(client, made, _name("derived:1"), [f"FROM {ours}", "ENV MORE=1"])
    assert client.images.get(derived).labels[LABEL] == "nats", "it inherits the label"
    mark = uuid.uuid4().hex[:12]
    outdated = f"broker-chaos-harness/nats:2.15.2-{mark}"
    client.images.get(ours).tag("broker-chaos-harness/nats", f"2.15.2-{mark}")
    found = {image.tag: image for image in held_images()}
    assert derived not in found
    assert found[outdated].outdated
    assert not found[ours].outdated
    assert found[ours].size_bytes > 1 << 20
    real = image_store._held

    def only_this_tests(*words: Any) -> Iterator[HeldImage]:
        return (image for image in real(*words) if image.tag == outdated)  # the machine's other images are its user's

    monkeypatch.setattr(image_store, "_held", only_this_tests)
    assert [(image.tag, why) for image, why in remove_images(everything=False)] == [(outdated, "")]
    assert outdated not in {tag for image in client.api.images() for tag in image["RepoTags"] or ()}
    assert has_image(resolve("nats-2"))
