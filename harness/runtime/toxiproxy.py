"""Toxiproxy: the server process and one small adapter around toxiproxy-python.

The package's own API consumer carries host, port and time-outs (class attributes of a subclass per server, keyword
arguments per call); its ``Toxiproxy`` and ``Proxy`` classes are not used, because their calls have no deadline and share
one global address. Every toxic is read back after it was set: the server accepts misspelled attributes silently.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import requests
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from harness.errors import ControlError, StartError
from harness.runtime.base import Link

DEADLINE_S = 2.0
"""A healthy control port answers in about 2 ms; removing a toxic under load can hang it (Shopify/toxiproxy 558)."""


class ToxiproxyControl:
    """Blocking calls to one Toxiproxy server; each has a deadline and raises ControlError (indefinite) beyond it."""

    def __init__(self, host: str, port: int) -> None:
        self._api: type[APIConsumer] = type("Api", (APIConsumer,), {"host": host, "port": port})
        self.address = f"{host}:{port}"
        self._channels: dict[str, tuple[str, ...]] = {}

    def version(self) -> str:
        """Return the server's version."""
        return str(self._call("get", "/version").get("version", ""))

    def create(self, link: Link) -> None:
        """Create a proxy for each channel of a link and check that it listens where it was told to."""
        for channel in link.channels:
            wanted = {"name": channel.name, "listen": channel.address, "upstream": channel.upstream, "enabled": True}
            made = self._call("post", "/proxies", json=wanted)
            if any(made.get(key) != value for key, value in wanted.items()):
                raise ControlError(f"proxy {channel.name} was not created as asked: {made}")
        self._channels[link.name] = tuple(channel.name for channel in link.channels)

    def add_toxic(self, link: str, name: str, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        """Add a toxic with toxicity 1 and read it back."""
        body = {"name": name, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": dict(attributes)}
        for proxy in self._proxies(link):
            self._call("post", f"/proxies/{proxy}/toxics", json=body)
            self._verify(proxy, name, kind, stream, attributes)

    def update_toxic(self, link: str, name: str, attributes: Mapping[str, int]) -> None:
        """Change a toxic's attributes."""
        for proxy in self._proxies(link):
            made = self._call("post", f"/proxies/{proxy}/toxics/{name}", json={"attributes": dict(attributes)})
            wrong = {
                key: made["attributes"].get(key)
                for key, value in attributes.items()
                if made["attributes"].get(key) != value
            }
            if wrong:
                raise ControlError(f"toxic {name} on {proxy} reads back {wrong} instead of {dict(attributes)}")

    def remove_toxic(self, link: str, name: str) -> None:
        """Remove a toxic; one that is gone already is fine."""
        for proxy in self._proxies(link):
            with contextlib.suppress(NotFound):
                self._call("delete", f"/proxies/{proxy}/toxics/{name}")

    def toxics(self, link: str) -> list[Mapping[str, Any]]:
        """Return the toxics of a link as the server has them, channel by channel."""
        return [toxic for proxy in self._proxies(link) for toxic in self._call("get", f"/proxies/{proxy}/toxics")]

    def enable(self, link: str, *, enabled: bool) -> None:
        """Switch a link's proxies on or off and check the answers."""
        for proxy in self._proxies(link):
            made = self._call("post", f"/proxies/{proxy}", json={"enabled": enabled})
            if made.get("enabled") is not enabled:
                raise ControlError(f"proxy {proxy} is {'off' if enabled else 'on'} after it was switched")

    def _proxies(self, link: str) -> tuple[str, ...]:
        return self._channels.get(link, (link,))

    def _verify(self, proxy: str, name: str, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        for toxic in self._call("get", f"/proxies/{proxy}/toxics"):
            if toxic["name"] == name:
                wrong = {
                    k: toxic["attributes"].get(k) for k, v in attributes.items() if toxic["attributes"].get(k) != v
                }
                if wrong or toxic["type"] != kind or toxic["stream"] != stream:
                    raise ControlError(f"toxic {name} on {proxy} reads back {dict(toxic)}, not {dict(attributes)}")
                return
        raise ControlError(f"toxic {name} on {proxy} is not there after it was added")

    def _call(self, verb: str, path: str, **kwargs: Any) -> Any:
        """Carry out one request; raises ControlError, or NotFound for 404."""
        try:
            response = getattr(self._api, verb)(path, timeout=DEADLINE_S, **kwargs)
        except requests.RequestException as error:
            raise ControlError(f"Toxiproxy at {self.address} did not answer {verb.upper()} {path}: {error}") from error
        except (InvalidToxic, ProxyExists) as error:
            raise ControlError(f"Toxiproxy refused {verb.upper()} {path}: {error}") from error
        if response.status_code >= 300:
            raise ControlError(f"Toxiproxy answered {response.status_code} to {verb.upper()} {path}: {response.text}")
        return response.json() if response.content else {}


class Program(Protocol):
    """What runs the server: a process or a container."""

    @property
    def pid(self) -> int:
        """Process id on this machine; 0 when it does not run."""
        ...

    @property
    def returncode(self) -> int | None:
        """Exit status; None while it runs."""
        ...

    async def run(self) -> None:
        """Start it; raises StartError (definite)."""
        ...

    async def end(self, number: signal.Signals, timeout_s: float) -> bool:
        """Send a signal and wait; SIGKILL after ``timeout_s``. Return whether the first signal was enough."""
        ...

    def logs(self, lines: int = 20) -> str:
        """Return the last lines of its output."""
        ...


class ToxiproxyServer:
    """One Toxiproxy server and the links through it.

    Args:
        program: Runs it.
        port: Of its control API, on 127.0.0.1.
    """

    def __init__(self, program: Program, port: int) -> None:
        self._program = program
        self.control = ToxiproxyControl("127.0.0.1", port)
        self.links: dict[str, Link] = {}

    @property
    def pid(self) -> int:
        """Process id."""
        return self._program.pid

    async def start(self, links: Iterable[Link], deadline_s: float = 10.0) -> None:
        """Start the server, wait until it answers, create every link; raises StartError."""
        await self._program.run()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        while True:
            try:
                await asyncio.to_thread(self.control.version)
                break
            except ControlError as error:
                if self._program.returncode is not None or loop.time() > deadline:
                    raise StartError(f"Toxiproxy did not start: {error.message}\n{self._program.logs()}") from error
                await asyncio.sleep(0.02)
        for link in links:
            await asyncio.to_thread(self.control.create, link)
            self.links[link.name] = link

    async def stop(self) -> None:
        """End the server."""
        await self._program.end(signal.SIGTERM, 3.0)
