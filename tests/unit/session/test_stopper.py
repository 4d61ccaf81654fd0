"""A stopper ends what is attached, whichever comes first."""

from __future__ import annotations

from harness.session.stopper import Stopper


def test_what_is_attached_is_ended_when_asked() -> None:
    stopper, ended = Stopper(), list[str]()
    stopper.attach(lambda: ended.append("run"))
    assert (stopper.asked, ended) == (False, [])
    stopper.ask()
    assert (stopper.asked, ended) == (True, ["run"])


def test_what_is_attached_after_the_request_is_ended_at_once() -> None:
    stopper, ended = Stopper(), list[str]()
    stopper.ask()
    stopper.attach(lambda: ended.append("run"))
    assert ended == ["run"]


def test_what_is_detached_is_not_ended() -> None:
    stopper, ended = Stopper(), list[str]()
    stopper.attach(lambda: ended.append("run"))
    stopper.attach(None)
    stopper.ask()
    assert ended == []
