"""What goes into the image of the harness, without an engine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from harness.distributions.base import Installation, resolve
from harness.distributions.cache import Cache
from harness.distributions.image_base import ensure_base, recipes
from harness.distributions.image_harness import _places, _require_same_python, _software, python_base
from harness.errors import UnfitEnvironmentError

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "docker" / "harness"


class Engine:
    """A fake engine whose images have one Python, and that can pull none."""

    def __init__(self, said: bytes = b"") -> None:
        self.images = self.containers = self
        self.said = said
        self.asked: list[Any] = []

    def get(self, name: str) -> Any:
        from docker.errors import ImageNotFound

        raise ImageNotFound(name)

    def pull(self, name: str) -> Any:
        from docker.errors import APIError

        raise APIError("refused", explanation="no route")

    def run(self, image: str, command: list[str], **options: Any) -> bytes:
        self.asked.append((image, options["network_mode"]))
        return self.said


def test_the_software_inside_has_names_that_exist() -> None:
    assert [resolve(name).kind for name in _software()] == ["nats", "toxiproxy"]


def test_every_entry_of_the_cache_that_software_uses_goes_in(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    java = tmp_path / "toolchains" / "java-1" / "linux-amd64"
    entry = tmp_path / "distributions" / "broker-1" / "linux-amd64"
    used = Installation(
        command=(str(java / "bin" / "java"),),
        directory=entry / "jars",
        versions={},
        parts={"elsewhere": Path("/opt/own"), "library": entry / "library"},
    )
    assert list(_places(cache, {"broker": used, "again": used})) == [
        "distributions/broker-1/linux-amd64",
        "toolchains/java-1/linux-amd64",
    ]


def test_a_base_with_another_python_is_refused() -> None:
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    same = Engine(f"{own}\n".encode())
    _require_same_python(same, "python:1")
    assert same.asked == [("python:1", "none")]
    with pytest.raises(UnfitEnvironmentError, match=rf"python:1 has Python 3\.8, and this is Python {own}") as caught:
        _require_same_python(Engine(b"3.8\n"), "python:1")
    assert "HARNESS_PYTHON_IMAGE" in caught.value.hint


def test_without_a_base_every_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_PYTHON_IMAGE", raising=False)
    own = python_base()
    assert own.path.is_file()
    with pytest.raises(UnfitEnvironmentError, match=rf"{own.pulled} cannot be pulled: no route; no root") as caught:
        ensure_base(Engine(), lambda _: None, lambda: ["no root"], base=own)
    assert "HARNESS_PYTHON_IMAGE" in caught.value.hint


def test_the_recipe_needs_no_network_and_no_rights() -> None:
    recipe = (RECIPE / "Dockerfile").read_text(encoding="utf-8")
    assert recipes() / "harness" == RECIPE
    assert "\nUSER 65532:0\n" in recipe
    for word in (" pip ", "apt-get", "curl", "wget", "ADD "):
        assert word not in recipe
