"""Several Toxiproxy servers as one: each call goes to the server that carries the link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.runtime.toxiproxy.control import ToxiproxyControl


class ProxyRouter:
    """Routes by link; fulfils ``ProxyControl``."""

    def __init__(self) -> None:
        self._of: dict[str, ToxiproxyControl] = {}

    def add(self, control: ToxiproxyControl, links: Iterable[str]) -> None:
        """Have a server answer for these links."""
        self._of.update(dict.fromkeys(links, control))

    def differences(self) -> list[str]:
        """Return how the servers' proxies and toxics differ from what the run has asked for."""
        servers = dict.fromkeys(self._of.values())
        return [sentence for control in servers for sentence in control.differences()]

    def add_toxic(self, link: str, name: str, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        """Add a toxic and read it back."""
        self._of[link].add_toxic(link, name, kind, stream, attributes)

    def update_toxic(self, link: str, name: str, attributes: Mapping[str, int]) -> None:
        """Change a toxic and check the answer."""
        self._of[link].update_toxic(link, name, attributes)

    def let_pass(self, link: str, name: str) -> None:
        """Have a toxic hold nothing back any more."""
        self._of[link].let_pass(link, name)

    def remove_toxic(self, link: str, name: str) -> None:
        """Remove a toxic."""
        self._of[link].remove_toxic(link, name)

    def switch_off(self, link: str, holder: str) -> None:
        """Close a link's proxies for as long as any holder wants it."""
        self._of[link].switch_off(link, holder)

    def switch_on(self, link: str, holder: str) -> None:
        """Open a link's proxies again if ``holder`` was the last one to have closed them."""
        self._of[link].switch_on(link, holder)
