"""A run in a thread of its own, so that what belongs to a thread (its network) ends with it.

The main thread waits, and answers signals meanwhile. Knows no run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

_BEGINS_S: Final = 5.0


def in_own_thread(work: Callable[[], None], interrupted: Callable[[], None]) -> None:
    """Carry out ``work`` in a new thread, wait for its end, and raise what it raised.

    Args:
        work: What is to be done.
        interrupted: Called at a KeyboardInterrupt; it has ``work`` end, which is still waited for.
    """
    raised: list[BaseException] = []
    begun = threading.Event()

    def carry_out() -> None:
        begun.set()
        try:
            work()
        except BaseException as error:  # noqa: BLE001  whatever it is, whoever waits gets it
            raised.append(error)

    thread = threading.Thread(target=carry_out, name="run")
    try:
        thread.start()
    except KeyboardInterrupt:
        interrupted()
        if not begun.wait(_BEGINS_S):
            raise  # there is no such thread
    while thread.is_alive():
        try:
            thread.join()
        except KeyboardInterrupt:
            interrupted()
    if raised:
        raise raised[0]
