"""What this machine cannot run is counted and named, and never green by absence."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.in_memory import memory_plan

from harness.errors import NothingSelectedError
from harness.scenario.model import Plan
from harness.session.unfit import fit_and_unfit, why_unfit


def test_a_plan_that_names_an_image_does_not_run_as_processes(tmp_path: Path) -> None:
    from harness.session.selection import select

    path = tmp_path / "image.yaml"
    text = "version: 1\ntitle: T\nbroker: nats-2.12.8\ncluster: {image: 'nats:2.12.8'}\nexpect:\n  loss: {}\n"
    path.write_text(text, encoding="utf-8")
    (item,) = select([path])
    assert "names the image" in why_unfit(item.plan, "process")


def test_what_is_unfit_is_left_out_by_name_and_the_rest_stays() -> None:
    items = [memory_plan(), memory_plan()]

    def first(plan: Plan, _: str) -> str:
        return "no loop devices" if plan is items[0].plan else ""

    fit, unfit = fit_and_unfit(items, "process", first)
    assert fit == [items[1]]
    assert [item.sentence for item in unfit] == [f"skipped {items[0].plan.scenario}: no loop devices"]


def test_nothing_that_fits_is_nothing_selected() -> None:
    with pytest.raises(NothingSelectedError, match="this machine can run none of the 1 plans") as caught:
        fit_and_unfit([memory_plan()], "process", lambda *_: "no loop devices")
    assert caught.value.hint == "no loop devices"
