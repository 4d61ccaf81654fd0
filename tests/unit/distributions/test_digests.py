"""What is fetched is what is known: by a lock, or by its first use. Maven, pip and Java are stand-ins elsewhere."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from harness.brokers.kafka.client_versions import CONFLUENT_KAFKA
from harness.brokers.kafka.distribution import KAFKA
from harness.brokers.nats.client_versions import NATS_PY
from harness.brokers.rocketmq.distribution import ROCKETMQ
from harness.distributions.aliases import aliases_of
from harness.distributions.digests import FetchedFile, files_in, read_lock, record_of, verify
from harness.distributions.java_software import JavaSoftware, verify_jars
from harness.errors import DownloadError
from harness.runtime.ledger_lines import state_dir

A, B = "a" * 64, "b" * 64


def _one(sha256: str, file: str = "x.jar") -> list[FetchedFile]:
    return [FetchedFile(file=file, sha256=sha256, locked_as=file)]


def test_a_file_of_the_lock_must_have_its_digest() -> None:
    lock = {"x.jar": frozenset({A})}
    verify("kafka-9.9.9", _one(A), lock, locked=True)
    for locked in (True, False):
        with pytest.raises(DownloadError, match=rf"x\.jar is not the file that the lock names: its SHA-256 is {B}"):
            verify("kafka-9.9.9", _one(B), lock, locked=locked)
    assert not record_of("kafka-9.9.9").exists()


def test_a_file_that_stands_in_no_lock_is_refused_for_an_alias() -> None:
    with pytest.raises(DownloadError, match=r"y\.jar stands in no lock, and kafka-9\.9\.9 is locked"):
        verify("kafka-9.9.9", [*_one(A), *_one(A, "y.jar")], {"x.jar": frozenset({A})}, locked=True)


def test_the_first_use_of_another_version_is_recorded_and_the_next_must_be_the_same() -> None:
    verify("kafka-9.9.9", _one(A), {}, locked=False)
    verify("kafka-9.9.9", _one(A), {}, locked=False)
    verify("kafka-9.9.9", _one(B, "y.jar"), {}, locked=False)
    assert read_lock(record_of("kafka-9.9.9")) == {"x.jar": {A}, "y.jar": {B}}
    with pytest.raises(DownloadError, match=rf"is not the file that was fetched the first time: its SHA-256 is {B}"):
        verify("kafka-9.9.9", _one(B), {}, locked=False)
    verify("kafka-9.9.8", _one(B), {}, locked=False)
    assert state_dir() in record_of("../../kafka-9.9.9").parents
    assert record_of("../../kafka-9.9.9").parent == record_of("kafka-9.9.9").parent


def test_a_damaged_record_is_named_and_never_replaced() -> None:
    verify("kafka-9.9.9", _one(A), {}, locked=False)
    record_of("kafka-9.9.9").write_text("nonsense\n")
    with pytest.raises(DownloadError, match=r"kafka-9\.9\.9 before cannot be read: .*:1: not a SHA-256 and a name"):
        verify("kafka-9.9.9", _one(A), {}, locked=False)
    assert record_of("kafka-9.9.9").read_text() == "nonsense\n"


@pytest.mark.parametrize("software", [KAFKA, ROCKETMQ], ids=lambda software: software.kind)
def test_the_lock_names_every_jar_of_what_aliases_stand_for(software: JavaSoftware) -> None:
    assert software.lock is not None
    lock = read_lock(software.lock)
    # Of Kafka 3, Maven and jgo resolve different jars (reload4j): these are recorded at their first use.
    for exact in {exact for exact in aliases_of(software.kind).values() if not exact.startswith("kafka-3.")}:
        version = exact.removeprefix(f"{software.kind}-")
        assert [name for _, artifact in software.artifacts if (name := f"{artifact}-{version}.jar") not in lock] == []
    assert all(len(digests) == 1 for digests in lock.values())


def test_jars_of_an_alias_are_verified_before_anything_of_them_runs(tmp_path: Path) -> None:
    (tmp_path / "kafka_2.13-4.4.0.jar").write_bytes(b"another one")
    digest = hashlib.sha256(b"another one").hexdigest()
    assert files_in(tmp_path)[0].sha256 == digest
    with pytest.raises(DownloadError, match=rf"kafka_2\.13-4\.4\.0\.jar is not the file .* {digest}"):
        verify_jars(KAFKA, "4.4.0", tmp_path)


@pytest.mark.parametrize("package", [CONFLUENT_KAFKA, NATS_PY], ids=lambda package: package.kind)
def test_the_lock_names_the_wheels_of_what_aliases_stand_for(package: object) -> None:
    kind, path = package.kind, package.lock  # type: ignore[attr-defined]
    assert set(read_lock(path)) == set(aliases_of(kind).values())
    locked = (Path(__file__).parents[3] / "requirements.lock").read_text()
    for name, digests in read_lock(path).items():
        assert digests <= set(re.findall(r"[0-9a-f]{64}", locked)), (
            f"{name} is the installed version, whose files are known"
        )
