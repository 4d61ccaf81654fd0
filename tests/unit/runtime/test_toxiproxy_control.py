"""Toxiproxy's control on a fake server (in memory): one that hangs is started again; nothing is lost or half done."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from toxiproxy.exceptions import NotFound, ProxyExists

from harness.errors import ControlError
from harness.runtime.base import Channel, Link
from harness.runtime.toxiproxy import control as toxiproxy
from harness.runtime.toxiproxy.control import ToxiproxyControl
from harness.runtime.toxiproxy.server import ToxiproxyServer, environment

NAMES = ("clients->n1", "clients->n2", "clients->n3")


class FakeAnswer:
    """What the fake server answers."""

    status_code, content, text = 200, b"{}", ""

    def __init__(self, body: Any) -> None:
        self._body = body

    def json(self) -> Any:
        """Return the body."""
        return self._body


class FakeToxiproxy:
    """Takes the place of the HTTP API: proxies and toxics, and a hang in which no call is answered."""

    def __init__(self) -> None:
        self.proxies: dict[str, dict[str, Any]] = {}
        self.toxics: dict[tuple[str, str], dict[str, Any]] = {}
        self.hangs = False
        self.unanswered = 0  # calls that are carried out, and not answered

    def start(self) -> None:
        """Start again: nothing is left."""
        self.proxies, self.toxics, self.hangs = {}, {}, False

    def get(self, path: str, **_: Any) -> FakeAnswer:
        """Answer GET."""
        return self._answer(lambda: self._all() if path == "/proxies" else self._got(path.split("/")[2:]))

    def post(self, path: str, json: dict[str, Any], **_: Any) -> FakeAnswer:
        """Answer POST."""
        return self._answer(lambda: self._posted(path.split("/")[2:], json))

    def delete(self, path: str, **_: Any) -> FakeAnswer:
        """Answer DELETE."""
        proxy, name = path.split("/")[2::2]
        return self._answer(lambda: self._known(self.toxics, (proxy, name)) and self.toxics.pop((proxy, name)))

    def _answer(self, act: Callable[[], Any]) -> FakeAnswer:
        if self.hangs:
            raise requests.ReadTimeout("a fake hang")
        body = act()
        if self.unanswered:
            self.unanswered -= 1
            raise requests.ReadTimeout("a fake late answer")
        return FakeAnswer(body)

    def _known(self, known: dict[Any, Any], key: Any) -> Any:
        if key not in known:
            raise NotFound(key)
        return known[key]

    def _all(self) -> Any:
        return {name: {**body, "toxics": self._got([name, "toxics"])} for name, body in self.proxies.items()}

    def _got(self, words: list[str]) -> Any:
        if not words:
            return {"version": "fake"}
        proxy = self._known(self.proxies, words[0])
        return [body for (of, _), body in self.toxics.items() if of == words[0]] if words[1:] else proxy

    def _posted(self, words: list[str], json: dict[str, Any]) -> Any:
        if not words:
            if json["name"] in self.proxies:
                raise ProxyExists(json["name"])
            return self.proxies.setdefault(json["name"], dict(json))
        proxy = self._known(self.proxies, words[0])
        if not words[1:]:
            proxy.update(json)
            return proxy
        if words[2:]:
            self._known(self.toxics, (words[0], words[2]))["attributes"].update(json["attributes"])
            return self.toxics[words[0], words[2]]
        return self.toxics.setdefault((words[0], json["name"]), json)


def _link(name: str) -> Link:
    channel = Channel(name=name, host="127.0.0.1", port=1, upstream="127.0.0.1:2")
    return Link(name=name, source="clients", node=name[-2:], role="client", channels=(channel,))


@pytest.fixture
def fake() -> FakeToxiproxy:
    return FakeToxiproxy()


def _control(fake: FakeToxiproxy) -> ToxiproxyControl:
    control = ToxiproxyControl("127.0.0.1", 1, retries_s=(0.01, 0.01, 0.01))
    control._api = fake  # type: ignore[assignment]
    return control


class FakeProgram:
    """Starts the fake server again; it answers for a while before it is brought to what should be in force."""

    restartable, pid, returncode, cpu_ns = True, 1, None, 0

    def __init__(self, fake: FakeToxiproxy) -> None:
        self.fake = fake
        self.starts = 0

    async def run(self) -> None:
        """Start it."""
        self.starts += 1
        self.fake.start()
        await asyncio.sleep(0.05)

    async def end(self, number: signal.Signals, timeout_s: float) -> bool:
        """End it."""
        del number, timeout_s
        return True

    def logs(self, lines: int = 20) -> str:
        """Return nothing."""
        del lines
        return ""


def test_a_server_that_hangs_is_started_again_though_calls_to_it_hold_every_thread(fake: FakeToxiproxy) -> None:
    program, told = FakeProgram(fake), list[str]()

    async def run() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(len(NAMES) * 2))
        server = ToxiproxyServer(program, 1)
        server.control._api = fake  # type: ignore[assignment]
        server.may_restart(told.append)
        for name in NAMES:
            await asyncio.to_thread(server.control.create, _link(name))
        await asyncio.to_thread(server.control.switch_off, NAMES[0], "disconnect-1")
        fake.hangs = True
        await asyncio.wait_for(
            asyncio.gather(
                *(
                    asyncio.to_thread(
                        server.control.add_toxic, name, f"latency-1-{way}", "latency", way, {"latency": 9}
                    )
                    for name in NAMES
                    for way in ("upstream", "downstream")
                )
            ),
            10,
        )
        await asyncio.sleep(0)

    asyncio.run(run())
    assert (program.starts, len(told)) == (1, 1)
    assert set(fake.toxics) == {(name, f"latency-1-{way}") for name in NAMES for way in ("upstream", "downstream")}
    assert [fake.proxies[name]["enabled"] for name in NAMES] == [False, True, True]


def test_a_server_that_cannot_be_started_again_in_time_is_a_control_error(fake: FakeToxiproxy) -> None:
    control = _control(fake)
    fake.hangs = True

    def late() -> None:
        raise TimeoutError

    control.restart = late
    with pytest.raises(ControlError, match="could not be restarted"):
        control.create(_link(NAMES[0]))


def test_what_was_asked_of_a_new_server_too_early_is_asked_again(fake: FakeToxiproxy) -> None:
    control = _control(fake)
    control.create(_link(NAMES[0]))
    request = control._request

    def too_early(verb: str, path: str, **kwargs: Any) -> Any:
        if control._starts == 0:
            control._starts += 1  # another thread has just brought it to what should be in force
            raise toxiproxy._MissingError("there is no such proxy yet")
        return request(verb, path, **kwargs)

    control._request = too_early  # type: ignore[method-assign]
    control.add_toxic(NAMES[0], "latency-1-upstream", "latency", "upstream", {"latency": 9})
    assert len(control.toxics(NAMES[0])) == 1


def test_a_proxy_that_is_missing_is_a_control_error(fake: FakeToxiproxy) -> None:
    control = _control(fake)
    with pytest.raises(ControlError, match="has nothing at"):
        control.add_toxic(NAMES[0], "latency-1-upstream", "latency", "upstream", {"latency": 9})
    with pytest.raises(ControlError, match="has nothing at"):
        control.remove_toxic(NAMES[0], "latency-1-upstream")
    with pytest.raises(ControlError, match="has nothing at"):
        control.switch_off(NAMES[0], "disconnect-1")


def test_a_toxic_that_is_gone_already_is_removed(fake: FakeToxiproxy) -> None:
    control = _control(fake)
    control.create(_link(NAMES[0]))
    control.remove_toxic(NAMES[0], "latency-1-upstream")


def test_a_link_whose_creation_was_not_answered_in_time_is_looked_at_instead(fake: FakeToxiproxy) -> None:
    fake.unanswered = 1
    _control(fake).create(_link(NAMES[0]))
    assert list(fake.proxies) == [NAMES[0]]
    fake.proxies[NAMES[0]]["upstream"] = "127.0.0.1:3"
    with pytest.raises(ControlError, match="was not created as asked"):
        _control(fake).create(_link(NAMES[0]))


def test_a_call_waits_while_the_server_is_started_again(fake: FakeToxiproxy) -> None:
    control = _control(fake)
    control.create(_link(NAMES[0]))
    with ThreadPoolExecutor(1) as other:
        with control._lock:
            asked = other.submit(control.toxics, NAMES[0])
            time.sleep(0.05)
            assert not asked.done()
        assert asked.result(5) == []


@pytest.mark.parametrize(
    ("cores", "threads"), [(0.5, "1"), (1.0, "1"), (2.0, "1"), (4.0, "2"), (7.9, "3"), (64.0, "32")]
)
def test_a_server_takes_half_of_the_cores(cores: float, threads: str) -> None:
    assert environment(cores)["GOMAXPROCS"] == threads


def test_what_the_run_has_asked_for_differs_in_nothing(fake: FakeToxiproxy) -> None:
    control = _control(fake)
    control.create(_link(NAMES[0]))
    control.create(_link(NAMES[1]))
    control.add_toxic(NAMES[0], "slow-down", "latency", "downstream", {"latency": 40})
    control.switch_off(NAMES[1], "partition-1")
    assert control.differences() == []


def test_each_thing_that_the_run_has_not_asked_for_is_named(fake: FakeToxiproxy) -> None:
    control = _control(fake)
    for name in NAMES:
        control.create(_link(name))
    control.add_toxic(NAMES[0], "slow-down", "latency", "downstream", {"latency": 40})
    control.add_toxic(NAMES[0], "slow-up", "latency", "upstream", {"latency": 40})
    stranger = {"name": "s", "type": "timeout", "stream": "upstream", "toxicity": 1.0, "attributes": {"timeout": 0}}
    fake.toxics[NAMES[1], "s"] = stranger
    fake.toxics[NAMES[0], "slow-down"] = {**fake.toxics[NAMES[0], "slow-down"], "attributes": {"latency": 41}}
    del fake.toxics[NAMES[0], "slow-up"]
    fake.proxies[NAMES[1]]["enabled"] = False
    fake.proxies["relay"] = {"name": "relay", "listen": "0.0.0.0:9", "upstream": "example.org:80", "enabled": True}
    del fake.proxies[NAMES[2]]
    found = control.differences()
    for words in (
        ("proxy relay", "added"),
        (f"proxy {NAMES[2]}", "removed"),
        (f"proxy {NAMES[1]}", "changed"),
        ("toxic s (timeout)", NAMES[1]),
        ("toxic slow-down", "41"),
        ("toxic slow-up", "removed"),
    ):
        assert sum(all(word in sentence for word in words) for sentence in found) == 1, (words, found)
    assert len(found) == 6


def test_a_toxic_that_a_healed_fault_has_left_is_named(fake: FakeToxiproxy) -> None:
    control = _control(fake)
    control.create(_link(NAMES[0]))
    control.add_toxic(NAMES[0], "slow-down", "latency", "downstream", {"latency": 40})
    left = dict(fake.toxics)
    control.remove_toxic(NAMES[0], "slow-down")
    fake.toxics |= left
    (sentence,) = control.differences()
    assert "slow-down" in sentence


def test_a_server_that_does_not_say_what_is_in_force_is_named(fake: FakeToxiproxy) -> None:
    control = _control(fake)
    control.create(_link(NAMES[0]))
    fake.hangs = True
    (sentence,) = control.differences()
    assert "did not answer" in sentence
