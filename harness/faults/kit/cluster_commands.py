"""Commands to a cluster: given again until one is accepted, and never twice where the first may have
been carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from harness.clock import NS_PER_S
from harness.errors import ControlError, RefusedError
from harness.faults.base import FaultContext

_RETRY_NS: Final = 15 * NS_PER_S
"""How long a command is given again: a replica may be out of sync for a moment, or a busy controller not answer in
time.
"""
_AGAIN_S: Final = 0.2


async def retry_until_accepted(
    context: FaultContext, needed: Callable[[bool], Awaitable[bool]], give: Callable[[], Awaitable[None]]
) -> None:
    """Give a command until it is accepted; raises ControlError, as the last attempt did.

    Args:
        context: Of the fault.
        needed: Called before each attempt, with whether an earlier one was not answered and so may have been carried
            out: returns whether the command is (still) needed. Raises RefusedError where it cannot be given just now.
        give: Gives it; raises ControlError (indefinite) or RefusedError (definite).
    """
    until_ns = context.now_ns() + _RETRY_NS
    unanswered = False
    while True:
        try:
            if await needed(unanswered):
                async with asyncio.timeout(max(_AGAIN_S, (until_ns - context.now_ns()) / NS_PER_S)):
                    await give()
            return
        except RefusedError as error:
            failure: ControlError = error
        except (ControlError, TimeoutError) as error:
            unanswered = True
            failure = ControlError(str(error) or "the command was not answered")
        if context.now_ns() >= until_ns:
            raise failure
        await asyncio.sleep(_AGAIN_S)
