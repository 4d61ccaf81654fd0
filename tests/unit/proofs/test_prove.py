"""``make prove``: passes are kept, failures and what was broken off are made again, the table says which is which."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from proofs.proofs import PROOFS
from proofs.prove import HEAD, PAGE, RULE, Proof, prove, table

EMPTY = f"# Proofs\n\n{HEAD}\n{RULE}\n\nThe end.\n"


def _proof(name: str, code: str, *, resume: tuple[str, ...] = ()) -> Proof:
    return Proof(name=name, shows="it works", command=(sys.executable, "-c", code), resume=resume)


def test_what_passed_is_not_made_again_and_what_failed_is(tmp_path: Path) -> None:
    page = tmp_path / "proof.md"
    page.write_text(EMPTY)
    mark = tmp_path / "mark"
    good = _proof("good", f"open({str(mark)!r}, 'a').write('x'); print('3 passed')")
    bad = _proof("bad", "print('1 failed'); raise SystemExit(1)")
    said: list[str] = []
    assert prove([good, bad], tmp_path / "state", "abc", said.append, page) == 1
    assert "passed: 3 passed" in page.read_text()
    assert "failed: 1 failed" in page.read_text()
    assert prove([good, _proof("bad", "print('2 passed')")], tmp_path / "state", "abc", said.append, page) == 0
    assert mark.read_text() == "x", "made once"
    assert "failed" not in page.read_text()
    assert prove([good], tmp_path / "state", "def", said.append, page) == 0
    assert mark.read_text() == "xx", "another commit is another proof"


def test_a_proof_that_was_broken_off_resumes(tmp_path: Path) -> None:
    page, state = tmp_path / "proof.md", tmp_path / "state"
    page.write_text(EMPTY)
    state.mkdir()
    (state / "abc.json").write_text('{"long": {"state": "begun"}}')
    long = _proof("long", "import sys; print(sys.argv[1:])", resume=("--resume",))
    assert prove([long], state, "abc", lambda _: None, page) == 0
    assert "['--resume']" in page.read_text()


def test_a_proof_that_cannot_start_fails_and_rows_of_others_stay() -> None:
    first, second = _proof("a", "1"), _proof("b", "1")
    page = table(EMPTY, [first, second], {}, "abc")
    assert page.count("not made yet") == 2
    assert page.endswith("\n\nThe end.\n")
    assert table(page, [second], {}, "abc").count("not made yet") == 1, "a proof that is no more has no row"


def test_the_page_has_a_row_for_each_proof_of_the_list() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [row.split("|")[1].strip() for row in page.splitlines() if row.startswith("| ") and row != HEAD] == [
        proof.name for proof in PROOFS
    ]
    assert len({proof.name for proof in PROOFS}) == len(PROOFS)


def test_each_row_says_what_its_proof_shows_and_how_it_is_made() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for proof in PROOFS:
        assert f"| {proof.name} | {proof.shows} | `{proof.shown()}` |" in page


def test_to_make_one_proof_costs_the_rows_of_no_other_one(tmp_path: Path) -> None:
    page = tmp_path / "proof.md"
    page.write_text(EMPTY)
    both = [_proof("one", "print('1 passed')"), _proof("other", "print('2 passed')")]
    said: list[str] = []
    assert prove(both, tmp_path / "state", "abc", said.append, page, wanted=["other"]) == 0
    assert said[0].startswith("1 of 1: other")
    assert "not made yet" in page.read_text()
    assert prove(both, tmp_path / "state", "def", said.append, page, wanted=["one"]) == 0
    assert "passed: 1 passed" in page.read_text()
    assert "passed: 2 passed" in page.read_text()


def test_the_command_knows_its_proofs() -> None:
    words = [sys.executable, str(PAGE.parents[1] / "tests" / "proofs" / "prove.py"), "kils"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "no such proof: kils; known: scenarios as processes" in done.stderr
