"""What ``--isolate`` comes to on machines that are able, and on machines that are not; the kernel is made up here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from harness.engine.isolation import ISOLATE, NEVER, Isolation, Networks
from harness.errors import AbilityError, ExitCode, UnfitEnvironmentError
from harness.progress import Event, Note

LACKS = "unshare of the network: Operation not permitted"


def _nothing() -> None:
    pass


def _never_asked() -> str:
    raise AssertionError("the machine was asked, and nothing is to be isolated")


def _refuse() -> None:
    raise AbilityError(LACKS)


def _networks(
    why: Callable[[], str] = lambda: "",
    *,
    able: bool = True,
    user: Callable[[], None] = _nothing,
    network: Callable[[], None] = _nothing,
) -> Networks:
    return Networks(why_not=why, is_able=lambda: able, enter_user_namespace=user, enter=network)


@pytest.mark.parametrize("wanted", ["auto", "always"])
def test_an_able_machine_isolates_processes_without_a_word(wanted: str) -> None:
    told: list[Event] = []
    asked = Isolation(wanted, _networks())
    assert asked.settled(["process"], told.append) == asked
    assert told == []


@pytest.mark.parametrize(("wanted", "runtimes"), [("never", ["process"]), ("auto", ["docker"]), ("auto", [])])
def test_a_machine_is_not_asked_for_what_is_not_isolated(wanted: str, runtimes: list[str]) -> None:
    assert Isolation(wanted, _networks(_never_asked)).settled(runtimes, lambda _: None).wanted == "never"


def test_auto_isolates_the_processes_of_a_mixed_session() -> None:
    settled = Isolation("auto", _networks()).settled(["docker", "process"], lambda _: None)
    assert (settled.of("process").wanted, settled.of("docker").wanted) == ("auto", "never")
    assert (settled.of("process").needs_thread, settled.of("docker").needs_thread) == (True, False)
    assert settled.of("process", application=True).wanted == "never"


def test_auto_falls_back_and_says_who_can_reach_the_run() -> None:
    told: list[Event] = []
    assert Isolation("auto", _networks(lambda: LACKS)).settled(["process"], told.append).wanted == "never"
    assert told == [Note(text=f"not isolated: every user of this machine can reach the run's ports ({LACKS})")]


def test_always_refuses_a_machine_that_is_not_able() -> None:
    with pytest.raises(UnfitEnvironmentError, match="gives a run no network of its own") as caught:
        Isolation("always", _networks(lambda: LACKS)).settled(["process"], lambda _: None)
    assert LACKS in caught.value.message
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


def test_always_refuses_containers_even_next_to_processes() -> None:
    with pytest.raises(UnfitEnvironmentError, match="a run in containers is not isolated") as caught:
        Isolation("always", _networks()).settled(["process", "docker"], lambda _: None)
    assert "--runtime process" in caught.value.hint


def test_a_user_namespace_is_made_only_where_rights_are_lacking() -> None:
    made: list[str] = []
    lacking = Isolation("auto", _networks(able=False, user=lambda: made.append("made")))
    assert lacking.prepared(lambda _: None) == lacking
    assert made == ["made"]
    for wanted, able in (("never", False), ("always", True)):
        other = Isolation(wanted, _networks(able=able, user=lambda: made.append("again")))
        assert other.prepared(lambda _: None) == other
    assert made == ["made"]


def test_a_user_namespace_that_is_not_to_be_had_is_said_or_refused() -> None:
    told: list[Event] = []
    lacking = _networks(able=False, user=_refuse)
    assert Isolation("auto", lacking).prepared(told.append).wanted == "never"
    assert [LACKS in str(getattr(event, "text", "")) for event in told] == [True]
    with pytest.raises(UnfitEnvironmentError, match="--isolate always"):
        Isolation("always", lacking).prepared(told.append)


def _entering(isolation: Isolation, told: list[Event]) -> tuple[bool, bool]:
    """Return what ``enter`` says, and whether the loop's calls go to threads that were made after it."""

    async def run() -> tuple[bool, bool]:
        before = await asyncio.to_thread(threading.current_thread)
        isolated = isolation.enter(told.append)
        gate = threading.Barrier(2)  # two at a time: one thread cannot serve both

        def thread() -> threading.Thread:
            gate.wait(5)
            return threading.current_thread()

        after = await asyncio.gather(asyncio.to_thread(thread), asyncio.to_thread(thread))
        return isolated, before not in after

    return asyncio.run(run())


def test_calls_of_an_isolated_run_use_no_thread_that_stayed_outside() -> None:
    where: list[int] = []
    networks = _networks(network=lambda: where.append(threading.get_ident()))
    assert _entering(Isolation("auto", networks), []) == (True, True)
    assert where == [threading.get_ident()], "another thread than the event loop's went in"


def test_a_run_that_is_not_to_be_isolated_keeps_its_threads() -> None:
    assert _entering(Isolation("never", _networks(network=_refuse)), []) == (False, False)
    assert not NEVER.needs_thread


def test_a_network_that_is_not_to_be_had_at_the_last_moment_is_said_or_refused() -> None:
    told: list[Event] = []
    assert _entering(Isolation("auto", _networks(network=_refuse)), told) == (False, False)
    assert [LACKS in str(getattr(event, "text", "")) for event in told] == [True]
    with pytest.raises(UnfitEnvironmentError, match="--isolate always"):
        _entering(Isolation("always", _networks(network=_refuse)), told)


def test_a_network_without_loopback_ends_the_run_whatever_was_asked_for() -> None:
    def dead() -> None:
        raise UnfitEnvironmentError("loopback of the new network cannot be brought up: No such device")

    with pytest.raises(UnfitEnvironmentError, match="No such device"):
        _entering(Isolation("auto", _networks(network=dead)), [])


def test_the_command_line_knows_these_and_no_others() -> None:
    from harness.commands.options import isolate_option

    @isolate_option
    def command() -> None:
        pass

    (option,) = command.__click_params__  # type: ignore[attr-defined]
    assert tuple(option.type.choices) == ISOLATE


def test_an_application_is_isolated_where_that_is_insisted_on() -> None:
    assert Isolation("always").of("process", application=True).wanted == "always"
