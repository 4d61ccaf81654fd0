"""Exit codes and messages of the command line, without a broker."""

from __future__ import annotations

import errno
import json
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner

from harness import commands
from harness.commands import cli as command_line
from harness.commands.cli import COMMANDS, _run_guarded, cli
from harness.errors import ExitCode, NothingSelectedError, StartError, UsageError
from harness.history.manifest import MANIFEST
from harness.history.read import History
from harness.report.terminal import consoles

VALID = """
version: 1
title: Valid
tags: [one]
broker: nats-2
matrix: {workload.rate: [10/s, 20/s]}
expect:
  loss: {}
"""


def _code(*words: str) -> int:
    return _run_guarded(lambda: cli.main(args=list(words), standalone_mode=False))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 4),
        (NothingSelectedError("x"), 5),
        (StartError("x"), 7),
        (KeyboardInterrupt(), 2),
        (RuntimeError("x"), 3),
        (AssertionError(), 3),
    ],
)
def test_every_way_out_has_its_code(error: BaseException, code: int) -> None:
    def fails() -> None:
        raise error

    assert _run_guarded(fails) == code


def test_a_crash_never_looks_like_a_violation(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run_guarded(lambda: 1 / 0) == ExitCode.INTERNAL
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["rnu"], ["run"], ["run", "x.yaml", "--repeat", "0"], ["run", "--bogus"], ["check"]])
def test_usage_errors_are_4(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _code(*words) == ExitCode.USAGE


def test_a_missing_file_names_the_nearest_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "latency.yaml").write_text(VALID)
    assert _code("run", str(tmp_path / "latencey.yaml")) == ExitCode.USAGE
    assert "latency.yaml" in capsys.readouterr().err


def test_invalid_scenarios_tell_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(VALID.replace("loss", "los").replace("nats-2", "nats2"))
    assert _code("validate", str(path)) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert f"{path}:5:9" in told
    assert "did you mean 'loss'?" in told


def test_nothing_selected_is_5(tmp_path: Path) -> None:
    assert _code("run", str(tmp_path)) == ExitCode.NOTHING_SELECTED
    (tmp_path / "a.yaml").write_text(VALID)
    assert _code("run", str(tmp_path), "--tag", "two") == ExitCode.NOTHING_SELECTED
    assert _code("run", str(tmp_path), "--variant", "workload.rate=30/s") == ExitCode.NOTHING_SELECTED
    assert _code("run", str(tmp_path), "--variant", "workload.rat=10/s") == ExitCode.USAGE


def test_validate_and_explain_show_every_variant(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(VALID)
    done = CliRunner().invoke(cli, ["validate", str(path)])
    assert done.output.count("ok ") == 2
    explained = CliRunner().invoke(cli, ["explain", str(path)]).output
    assert "20/s" in explained
    assert explained.count("\n\nFrom the configuration\n") == 2
    assert "\n\n\nFrom" not in explained
    plans = json.loads(CliRunner().invoke(cli, ["explain", "--json", str(path)]).output)
    assert [plan["workload"]["rate_per_s"] for plan in plans] == [10.0, 20.0]


def test_validate_checks_a_scenario_as_a_run_would_set_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(VALID)
    assert _code("validate", str(path), "--set", "broker=kafka-4", "--set", "workload.rate=30/s") == ExitCode.PASS
    assert capsys.readouterr().out.count("ok ") == 1, "both variants become one"
    assert _code("validate", str(path), "--set", "broker=kafka4") == ExitCode.USAGE
    assert "--set broker=kafka4, column 1: " in capsys.readouterr().err
    assert _code("validate", str(path), "--set", "title=x") == ExitCode.USAGE


def test_the_schema_is_one() -> None:
    schema = json.loads(CliRunner().invoke(cli, ["schema"]).output)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "latency" in json.dumps(schema)


def test_doctor_speaks_json() -> None:
    report = json.loads(CliRunner().invoke(cli, ["doctor", "--json"]).output)
    assert {"name", "status", "detail"} <= report["items"][0].keys()


def test_check_refuses_what_is_no_run_directory(tmp_path: Path) -> None:
    assert _code("check", str(tmp_path)) == ExitCode.ENVIRONMENT


def test_the_entry_point_exits_with_the_code() -> None:
    with pytest.raises(SystemExit) as leaving:
        command_line.main(["validate", "/nowhere.yaml"])
    assert leaving.value.code == ExitCode.USAGE


def test_every_command_has_a_file_of_its_own_name() -> None:
    files = {module.name for module in pkgutil.iter_modules(commands.__path__)}
    assert files - {
        "cli",
        "completion",
        "options",
        "fault_list",
        "printing",
        "run_session",
        "suite_merge",
        "suite_options",
        "suite_session",
    } == set(COMMANDS)
    assert list(COMMANDS) == sorted(COMMANDS)
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.name == name
    assert cli.get_command(click.Context(cli), "options") is None


def test_a_command_loads_what_it_needs_and_no_other_command() -> None:
    program = (
        "import sys\nfrom harness.commands.cli import COMMANDS, cli\n"
        "cli.main(args=['checks'], standalone_mode=False)\n"
        "print(sorted(name for name in COMMANDS if f'harness.commands.{name}' in sys.modules), end=' ')\n"
        "print(sorted({'docker', 'nats', 'confluent_kafka', 'jinja2', 'harness.session'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['checks'] []"


RECORDED = Path(__file__).parents[2] / "corpus" / "recorded"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--key", "3"), "--key needs --seq"),
        (("--seq", "3"), "--seq needs --key"),
        (("--explain", "stall.1", "--key", "3", "--seq", "1"), "two questions"),
        (("--explain", "stall.1", "--write"), "leave it out"),
        (("--explain", "stal.1"), "did you mean 'stall.1'?"),
        (("--key", "3", "--seq", "1:x"), "write 204, or 1:204"),
        (("--key", "-3", "--seq", "1"), "-3 is not in the range"),
        (("--key", "3", "--seq", "9999"), "the nearest is"),
    ],
)
def test_what_check_cannot_explain_is_refused_with_what_to_write(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _code("check", str(RECORDED / "collateral-stall"), *words) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_check_explains_a_finding_and_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = str(RECORDED / "collateral-stall")
    assert _code("check", run_dir, "--explain", "stall.1") == ExitCode.PASS
    heading, _, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith("stall.1 collateral-pause: partition 3 had 331 messages waiting")
    (first, last) = (line for line in lines if line.startswith("*"))
    assert first.split()[1:4] == ["+2.799s", "c1.1", "#653"]
    assert "key 3, seq 29, partition 3, offset 145, owner c1.1, epoch 7 (since +16.012s)" in last
    assert _code("check", run_dir, "--key", "3", "--seq", "29", "--json") == ExitCode.PASS
    steps = json.loads(capsys.readouterr().out)
    assert [step["what"].split(":")[0].split(",")[0] for step in steps] == [
        *("sent", "acknowledged by the broker", "delivered", "processed", "position 171 committed", "stored"),
    ]


@pytest.mark.parametrize("words", [("--explain", "stall.1"), ("--key", "3", "--seq", "29")])
def test_what_check_explains_is_read_once(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    load = History.load

    def counted(run_dir: Path) -> History:
        read.append(run_dir)
        return load(run_dir)

    monkeypatch.setattr(History, "load", counted)
    assert _code("check", str(RECORDED / "collateral-stall"), *words) == ExitCode.PASS
    assert len(read) == 1


def test_check_ends_with_8_when_the_verdict_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "leader-kill", run_dir)
    assert _code("check", str(run_dir)) == ExitCode.PASS
    (run_dir / "result.json").write_text("{", encoding="utf-8")
    assert _code("check", str(run_dir)) == ExitCode.DIFFERS
    assert "it cannot be read" in capsys.readouterr().err
    (run_dir / "result.json").unlink()
    assert _code("check", str(run_dir)) == ExitCode.PASS
    shutil.copyfile(RECORDED / "leader-kill" / "result.json", run_dir / "result.json")
    (run_dir / "history" / "audit.1.journal").unlink()
    assert _code("check", str(run_dir)) == ExitCode.DIFFERS
    assert "verdict: pass → inconclusive" in capsys.readouterr().err
    assert _code("check", str(run_dir), "--write") == ExitCode.DIFFERS
    assert _code("check", str(run_dir)) == ExitCode.INCONCLUSIVE
    assert _code("check", str(run_dir), "--key", "0", "--seq", "0") == ExitCode.INCONCLUSIVE
    assert "history/audit.1.journal is missing" in capsys.readouterr().err


def _refused(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a user whom rights bind: even root without the two that overrule them."""
    bound = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    program = [sys.executable, "-P", "-m", "harness", *words]
    return subprocess.run([*bound, *program], capture_output=True, text=True, check=False, timeout=120)


NEEDS_SETPRIV = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root is bound by no rights without setpriv"
)


@NEEDS_SETPRIV
@pytest.mark.parametrize("name", ["history", "history/p0.1.journal", "result.json", "plan.json"])
def test_what_may_not_be_read_of_a_run_directory_is_7_and_named(name: str, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "leader-kill", run_dir)
    (run_dir / name).chmod(0)
    try:
        done = _refused("check", str(run_dir))
    finally:
        (run_dir / name).chmod(0o755)
    assert (done.returncode, done.stdout) == (ExitCode.ENVIRONMENT, ""), done.stderr
    assert f"{Path(name).name}" in done.stderr
    assert "Permission denied" in done.stderr
    assert "differs" not in done.stderr


@NEEDS_SETPRIV
def test_scenarios_that_may_not_be_read_are_refused_and_never_left_out(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    for path in (tmp_path / "a.yaml", tmp_path / "closed" / "b.yaml"):
        path.write_text(VALID, encoding="utf-8")
    (tmp_path / "closed").chmod(0)
    try:
        for words, said in ((("closed/b.yaml",), "cannot reach"), ((".",), "cannot search the folder")):
            done = _refused("validate", *(str(tmp_path / word) for word in words))
            assert (done.returncode, done.stdout) == (ExitCode.USAGE, ""), done.stderr
            assert f"error: {said} {tmp_path / 'closed'}" in done.stderr
    finally:
        (tmp_path / "closed").chmod(0o755)


def test_what_the_machine_refuses_is_no_internal_error(capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "/x\x1b[31m")

    def wrong() -> int:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/x")

    assert _run_guarded(full) == ExitCode.ENVIRONMENT
    assert capsys.readouterr().err == "error: /x\ufffd[31m: No space left on device\n"
    assert _run_guarded(wrong) == ExitCode.INTERNAL


def test_a_name_that_is_too_long_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert _code("validate", "x" * 5000 + ".yaml") == ExitCode.USAGE
    assert "File name too long" in capsys.readouterr().err


def test_a_pipe_in_a_folder_is_named_and_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(VALID, encoding="utf-8")
    os.mkfifo(tmp_path / "b.yaml")
    assert _code("validate", str(tmp_path)) == ExitCode.USAGE
    assert f"{tmp_path}/b.yaml:1:1: cannot read the scenario: it is a named pipe" in capsys.readouterr().err


@pytest.mark.parametrize("sealed", [True, False])
def test_a_run_directory_that_makes_no_history_is_inconclusive(sealed: bool, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "leader-kill", run_dir)
    (run_dir / "result.json").unlink()
    (run_dir / "history" / "p0.1.journal").write_bytes(b"XXXX")
    if not sealed:
        (run_dir / MANIFEST).unlink(missing_ok=True)
    assert _code("check", str(run_dir)) == ExitCode.INCONCLUSIVE


@pytest.mark.parametrize("words", [("check", "RUN"), ("explain", "a.yaml"), ("list",), ("schema",), ("run", "no.yaml")])
def test_a_full_stdout_is_7_without_a_traceback(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VALID, encoding="utf-8")
    named = [str(RECORDED / "leader-kill") if word == "RUN" else word for word in words]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "harness", *named],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=tmp_path,
        )
    assert "Traceback" not in done.stderr
    if words[0] == "run":
        assert done.returncode == ExitCode.USAGE
    else:
        assert (done.returncode, "No space left on device" in done.stderr) == (ExitCode.ENVIRONMENT, True)


def test_a_working_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VALID, encoding="utf-8")
    command = f"{sys.executable} -P -m harness validate {tmp_path}/a.yaml"
    words = ["sh", "-c", f"mkdir gone && cd gone && rmdir ../gone && {command}"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.ENVIRONMENT, done.stderr
    assert "error: the working directory was removed\n  hint: change to one that exists" in done.stderr


@pytest.mark.parametrize("columns", ["1", "0", "x", "99999999"])
def test_a_terminal_without_a_sane_width_is_readable(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert all(console.width >= 40 for console in consoles())
