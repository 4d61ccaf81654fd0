"""Whether a run's processes live in a network of their own, where no other user of this machine reaches them.

Owns what ``--isolate`` means: what is refused, and what falls back and says so. How it is done is ``own_network``'s.
Runs in containers are never isolated by this: the engine lays out their network, and publishes their ports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from harness.errors import AbilityError, UnfitEnvironmentError
from harness.progress import Listener, Note
from harness.runtime.kernel import own_network

ISOLATE: Final = ("auto", "always", "never")
_THREADS: Final = 64


@dataclass(frozen=True, slots=True)
class Networks:
    """What is asked of the kernel; see ``own_network``. A test hands in others."""

    why_not: Callable[[], str] = own_network.why_not
    is_able: Callable[[], bool] = own_network.is_able
    enter_user_namespace: Callable[[], None] = own_network.enter_user_namespace
    enter: Callable[[], None] = own_network.enter


@dataclass(frozen=True, slots=True)
class Isolation:
    """What ``--isolate`` asks for, or what it has come to; each step returns what it comes to next.

    Attributes:
        wanted: Of ``ISOLATE``.
        networks: What is asked of the kernel.
    """

    wanted: str = "never"
    networks: Networks = field(default_factory=Networks)

    def settled(self, runtimes: Collection[str], listener: Listener) -> Isolation:
        """Return what it comes to for runs in these runtimes on this machine; changes nothing.

        Args:
            runtimes: ``process``, ``docker``.
            listener: Hears why ``auto`` falls back.

        Raises:
            UnfitEnvironmentError: ``always`` was asked for, and a run cannot be isolated.
        """
        if self.wanted == "always" and "docker" in runtimes:
            raise UnfitEnvironmentError(
                "--isolate always: a run in containers is not isolated, because its ports are on this machine's "
                "loopback",
                hint="--runtime process, or --isolate auto",
            )
        if self.wanted == "never" or "process" not in runtimes:
            return replace(self, wanted="never")
        why = self.networks.why_not()
        return self._without(why, listener) if why else self

    def prepared(self, listener: Listener) -> Isolation:
        """Give this process the rights that its isolated runs need; return what it comes to without them.

        Nothing can be asked of other runs' processes afterwards, unless this is root: sweep before.

        Raises:
            UnfitEnvironmentError: ``always`` was asked for, and the rights are not to be had.
        """
        if self.wanted == "never" or self.networks.is_able():
            return self
        try:
            self.networks.enter_user_namespace()
        except AbilityError as error:
            return self._without(error.message, listener)
        return self

    def of(self, runtime: str, *, application: bool = False) -> Isolation:
        """Return what it comes to for one run in a runtime.

        Args:
            runtime: ``process`` or ``docker``.
            application: A program of the user's takes part. It may need what it finds outside, a database for one, so
                that ``auto`` leaves it there.
        """
        isolated = runtime == "process" and not (application and self.wanted == "auto")
        return self if isolated else replace(self, wanted="never")

    @property
    def needs_thread(self) -> bool:
        """Whether a run needs a thread of its own, which does not come back."""
        return self.wanted != "never"

    def enter(self, listener: Listener) -> bool:
        """Move the thread of the running event loop into a network of its own; return whether it is there.

        The loop gets other threads for its calls: those that it has stay where they are.

        Raises:
            UnfitEnvironmentError: ``always`` was asked for and it is not to be had, or it has no loopback.
        """
        if self.wanted == "never":
            return False
        try:
            self.networks.enter()
        except AbilityError as error:
            self._without(error.message, listener)
            return False
        asyncio.get_running_loop().set_default_executor(run_threads())
        return True

    def _without(self, why: str, listener: Listener) -> Isolation:
        """Return that nothing is isolated, and say why; raises UnfitEnvironmentError when that was insisted on."""
        if self.wanted == "always":
            raise UnfitEnvironmentError(
                f"--isolate always: this machine gives a run no network of its own ({why})",
                hint="--isolate auto runs without one; docs/security.md says what other users can do then",
            )
        listener(Note(text=f"not isolated: every user of this machine can reach the run's ports ({why})"))
        return replace(self, wanted="never")


NEVER: Final = Isolation()


def run_threads() -> ThreadPoolExecutor:
    """Return the threads for the calls of one run's event loop, which shuts them down.

    Calls to a server that hangs hold their threads for seconds. The default's few (six on two cores) would then be
    taken, and everything else that needs one would stop.
    """
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="run")
