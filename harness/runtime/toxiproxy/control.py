"""Control of a Toxiproxy server: one small adapter around toxiproxy-python.

The package's own API consumer carries host, port and time-outs (class attributes of a subclass per server, keyword
arguments per call); its ``Toxiproxy`` and ``Proxy`` classes are not used, because their calls have no deadline and
share one global address. Every toxic is read back after it was set: the server accepts misspelled attributes silently.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import requests
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from harness.errors import ControlError, HarnessError
from harness.runtime.base import Link

DEADLINE_S = 2.0
"""A healthy control port answers in about 2 ms; removing a toxic under load can hang it (Shopify/toxiproxy 558)."""

_BACK_S = 30.0
"""How long a server that was started again may take to answer."""
_RETRIES_S = (0.1, 0.4, 1.0, 2.0)
"""Pauses before a call that was not answered is made again. Each is harmless to repeat: all of them name what they
change. Together more than the 5 s for which a toxic that is removed may wait for each piece of data it holds for a
client that has gone.
"""


class ToxiproxyControl:
    """Blocking calls to one Toxiproxy server; each has a deadline and raises ControlError (indefinite) beyond it.

    It knows what should be in force (proxies, toxics, who has switched a proxy off), so that a server that hangs can be
    started again and brought back to it. Whatever is changed is read back: the server accepts misspelled attributes
    silently.

    Args:
        host, port: Of its control port.
        retries_s: See ``_RETRIES_S``.

    Attributes:
        deadline_s: How long one try of a call may take.
        restart: Starts the server again; called in the thread of a call that was never answered. None = nothing can be
            done.
        trouble: Called with a sentence when the server hung and what came of it.
    """

    def __init__(self, host: str, port: int, retries_s: Sequence[float] = _RETRIES_S) -> None:
        self._api: type[APIConsumer] = type("Api", (APIConsumer,), {"host": host, "port": port})
        self.address = f"{host}:{port}"
        self.deadline_s = DEADLINE_S
        self._retries_s = retries_s
        self.restart: Callable[[], None] | None = None
        self.trouble: Callable[[str], None] = lambda _: None
        self._links: dict[str, Link] = {}
        self._toxics: dict[tuple[str, str], dict[str, Any]] = {}
        self._off: dict[str, set[str]] = {}
        self._lock = threading.RLock()
        self._starts = 0

    def version(self) -> str:
        """Return the server's version."""
        return str(self._request("get", "/version").get("version", ""))

    def create(self, link: Link) -> None:
        """Create a proxy for each channel of a link and check that it listens where it was asked to."""
        self._create(link, self._call)
        self._links[link.name] = link

    def add_toxic(self, link: str, name: str, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        """Add a toxic with toxicity 1 and read it back."""
        body = {"name": name, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": dict(attributes)}
        for proxy in self._proxies(link):
            if (proxy, name) in self._toxics:
                raise ControlError(f"Toxiproxy refused toxic {name} on {proxy}: one of this name exists")
            self._toxics[proxy, name] = body
            try:
                # A conflict: an earlier try that was not answered has added it, or a new start has; what is there
                # tells.
                with contextlib.suppress(_ConflictError):
                    self._call("post", f"/proxies/{proxy}/toxics", json=body)
                self._verify(proxy, body)
            except ControlError:
                self._toxics.pop((proxy, name), None)
                raise

    def update_toxic(self, link: str, name: str, attributes: Mapping[str, int]) -> None:
        """Change a toxic's attributes and read them back."""
        self._change(link, name, {"attributes": dict(attributes)})

    def let_pass(self, link: str, name: str) -> None:
        """Have a toxic hold nothing back any more, by toxicity 0, and read that back. Its attributes stay what they
        are.

        Toxiproxy writes attributes while connections read them. One that holds data by ``bandwidth`` and reads a higher
        rate than it has compared panics, and the server with it (m: v2.12.0, ``rate`` raised just as the 100 ms of its
        loop end: at the 4th attempt; toxicity 0: 300 of 300 went well).
        """
        self._change(link, name, {"toxicity": 0.0})

    def _change(self, link: str, name: str, change: Mapping[str, Any]) -> None:
        """Order a change of a toxic, of its attributes or next to them, and compare what the server then reports."""
        for proxy in self._proxies(link):
            body = self._toxics.get((proxy, name))
            if body is not None:
                attributes = {**body["attributes"], **change.get("attributes", {})}
                self._toxics[proxy, name] = {**body, **change, "attributes": attributes}
            try:
                made = self._call("post", f"/proxies/{proxy}/toxics/{name}", json=dict(change))
            except _MissingError as error:
                raise ControlError(f"toxic {name} on {proxy} does not exist, so it cannot be changed") from error
            told, wanted = ({**item, **item.get("attributes", {})} for item in (made, change))
            wrong = {key: told.get(key) for key in wanted if key != "attributes" and told.get(key) != wanted[key]}
            if wrong:
                raise ControlError(f"toxic {name} on {proxy} reads back {wrong} instead of {dict(change)}")

    def remove_toxic(self, link: str, name: str) -> None:
        """Remove a toxic and check that it is gone; one that is gone already is fine."""
        for proxy in self._proxies(link):
            self._toxics.pop((proxy, name), None)
            with contextlib.suppress(_MissingError):
                self._call("delete", f"/proxies/{proxy}/toxics/{name}")
            if any(toxic["name"] == name for toxic in self._call("get", f"/proxies/{proxy}/toxics")):
                raise ControlError(f"toxic {name} on {proxy} still exists after it was removed")

    def toxics(self, link: str) -> list[Mapping[str, Any]]:
        """Return the toxics of a link as the server has them, channel by channel."""
        return [toxic for proxy in self._proxies(link) for toxic in self._call("get", f"/proxies/{proxy}/toxics")]

    def differences(self) -> list[str]:
        """Return how the server's proxies and toxics differ from what this run has asked for, one sentence each.

        A server that does not answer is named: nothing shows then what is in force.
        """
        try:
            told = self._patiently("get", "/proxies")
        except ControlError as error:
            return [f"nothing shows which proxies and toxics are in force: {error.message}"]
        toxics: dict[str, dict[str, dict[str, Any]]] = {}
        for (proxy, name), body in list(self._toxics.items()):
            toxics.setdefault(proxy, {})[name] = body
        off = {proxy for link, holders in self._off.items() if holders for proxy in self._proxies(link)}
        wanted = {channel.name: channel for link in self._links.values() for channel in link.channels}
        found = [f"proxy {name} was added from outside" for name in sorted(told.keys() - wanted.keys())]
        for name, channel in wanted.items():
            there = told.get(name)
            if there is None:
                found.append(f"proxy {name} was removed from outside")
                continue
            place = {"listen": channel.address, "upstream": channel.upstream, "enabled": name not in off}
            changed = {key: there.get(key) for key, value in place.items() if there.get(key) != value}
            if changed:
                found.append(f"proxy {name} was changed from outside: {changed} in place of {place}")
            found += _toxic_differences(name, there.get("toxics") or [], toxics.get(name, {}))
        return found

    def switch_off(self, link: str, holder: str) -> None:
        """Close a link's proxies, and every connection through them, for as long as any holder wants it."""
        with self._lock:
            self._off.setdefault(link, set()).add(holder)
            self._switch(link)

    def switch_on(self, link: str, holder: str) -> None:
        """Open a link's proxies again if ``holder`` was the last one to have closed them."""
        with self._lock:
            self._off.get(link, set()).discard(holder)
            self._switch(link)

    def _switch(self, link: str) -> None:
        enabled = not self._off.get(link)
        for proxy in self._proxies(link):
            made = self._call("post", f"/proxies/{proxy}", json={"enabled": enabled})
            if made.get("enabled") is not enabled:
                raise ControlError(f"proxy {proxy} is {'off' if enabled else 'on'} after it was switched")

    def _create(self, link: Link, call: Callable[..., Any]) -> None:
        for channel in link.channels:
            wanted = {"name": channel.name, "listen": channel.address, "upstream": channel.upstream, "enabled": True}
            try:
                made = call("post", "/proxies", json=wanted)
            except _ConflictError:  # an earlier try that was not answered has created it
                made = call("get", f"/proxies/{channel.name}")
            if any(made.get(key) != value for key, value in wanted.items()):
                raise ControlError(f"proxy {channel.name} was not created as asked: {made}")

    def _proxies(self, link: str) -> tuple[str, ...]:
        known = self._links.get(link)
        return (link,) if known is None else tuple(channel.name for channel in known.channels)

    def _verify(self, proxy: str, wanted: Mapping[str, Any]) -> None:
        name = wanted["name"]
        for toxic in self._call("get", f"/proxies/{proxy}/toxics"):
            if toxic["name"] == name:
                attributes = wanted["attributes"]
                wrong = {
                    k: toxic["attributes"].get(k) for k, v in attributes.items() if toxic["attributes"].get(k) != v
                }
                if wrong or toxic["type"] != wanted["type"] or toxic["stream"] != wanted["stream"]:
                    raise ControlError(f"toxic {name} on {proxy} reads back {dict(toxic)}, not {attributes}")
                return
        raise ControlError(f"toxic {name} on {proxy} is missing after it was added")

    def _call(self, verb: str, path: str, **kwargs: Any) -> Any:
        """Carry out one request, again when the server does not answer, and after a new start if it never does.

        Raises ControlError.
        """
        began = self._starts
        try:
            return self._patiently(verb, path, **kwargs)
        except _SilentError as error:
            self._recover(began, f"{verb.upper()} {path}", error)
        return self._patiently(verb, path, **kwargs)

    def _patiently(self, verb: str, path: str, **kwargs: Any) -> Any:
        """Carry out one request, again when it is not answered; a server that is being started again
        gets time for it.
        """
        for wait_s in (*self._retries_s, None):
            with self._lock:
                starts = self._starts
            try:
                return self._request(verb, path, **kwargs)
            except _SilentError:
                if wait_s is None:
                    raise
                time.sleep(wait_s)
            except _MissingError:
                with self._lock:
                    if self._starts == starts:
                        raise
                # It was started again meanwhile, and asked before it had everything.
        return self._request(verb, path, **kwargs)

    def _recover(self, began: int, call: str, error: ControlError) -> None:
        """Start a server that hangs again, once for all callers, and bring it to what should be in force."""
        with self._lock:
            if self._starts != began:
                return
            if self.restart is None:
                self.trouble(
                    f"Toxiproxy at {self.address} hangs: no answer to {call}, {len(self._retries_s) + 1} times"
                )
                raise error
            try:
                self.restart()
                self._restore()
            except (HarnessError, TimeoutError) as late:
                text = (
                    f"Toxiproxy at {self.address} hung at {call} and could not be restarted: {str(late) or 'no answer'}"
                )
                self.trouble(text)
                raise ControlError(text) from late
            self._starts += 1
            self.trouble(
                f"Toxiproxy at {self.address} hung at {call} and was restarted with everything that was in force: "
                "every connection through it was cut"
            )

    def _restore(self) -> None:
        """Wait until a server that was started again answers, and put everything back that was in force."""
        deadline = time.monotonic() + _BACK_S
        while True:
            try:
                self._request("get", "/version")
                break
            except _SilentError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        # Others change these meanwhile, and then wait to have their change carried out.
        for link in list(self._links.values()):
            self._create(link, self._patiently)
        for (proxy, _), body in list(self._toxics.items()):
            with contextlib.suppress(_ConflictError):  # an earlier try that was not answered has added it
                self._patiently("post", f"/proxies/{proxy}/toxics", json=body)
        for link_name in [name for name, holders in self._off.items() if holders]:
            for proxy in self._proxies(link_name):
                self._patiently("post", f"/proxies/{proxy}", json={"enabled": False})

    def _request(self, verb: str, path: str, **kwargs: Any) -> Any:
        """Carry out one request; raises ControlError."""
        asked = f"{verb.upper()} {path}"
        try:
            response = getattr(self._api, verb)(path, timeout=self.deadline_s, **kwargs)
        except requests.RequestException as error:
            raise _SilentError(f"Toxiproxy at {self.address} did not answer {asked}: {error}") from error
        except NotFound as error:
            raise _MissingError(f"Toxiproxy at {self.address} has nothing at {asked}: {error}") from error
        except ProxyExists as error:
            raise _ConflictError(f"Toxiproxy refused {asked}: {error}") from error
        except InvalidToxic as error:
            raise ControlError(f"Toxiproxy refused {asked}: {error}") from error
        if response.status_code >= 300:
            raise ControlError(f"Toxiproxy answered {response.status_code} to {asked}: {response.text}")
        return response.json() if response.content else {}


def _toxic_differences(
    proxy: str, told: Sequence[Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return how the toxics of one proxy differ from those that this run has asked for."""
    there = {str(toxic["name"]): toxic for toxic in told}
    found = [
        f"toxic {name} ({there[name].get('type')}) on {proxy} is in force, and this run has not asked for it"
        for name in sorted(there.keys() - wanted.keys())
    ]
    for name, body in wanted.items():
        toxic = there.get(name)
        if toxic is None:
            found.append(f"toxic {name} on {proxy} was removed from outside")
            continue
        asked = {key: value for key, value in body.items() if key not in {"name", "attributes"}} | body["attributes"]
        has = {**toxic, **(toxic.get("attributes") or {})}
        if changed := {key: has.get(key) for key, value in asked.items() if has.get(key) != value}:
            found.append(f"toxic {name} on {proxy} was changed from outside: {changed}")
    return found


class _SilentError(ControlError):
    """No answer within the deadline, or no connection."""


class _ConflictError(ControlError):
    """There is one of this name already."""


class _MissingError(ControlError):
    """There is none of this name."""
