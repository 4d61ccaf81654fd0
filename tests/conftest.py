"""Reports a failure, and a run that was made again, at once: a suite that is stopped for time keeps its reasons.

Sorts tests by the CPU time they take (``by_cost``), and has Hypothesis ready for them (``first_draws``).
"""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings
from support import by_cost, first_draws, tier_plugin

# No test's verdict rests on the speed of the machine; what fails is printed with its seed.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("any machine")


# Whoever starts pytest may ignore signals (nohup, a shell's background): what tests send would be ignored, too, by the
# harness that inherits it.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)


class _AtOnce:
    """Writes next to the progress; lives where the terminal is, with several workers too."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for line in report.capstdout.splitlines():
            # The report of the teardown has it once more.
            if report.when == "call" and line.startswith("made again:"):
                self._tell(f"{report.nodeid} {line}")
        if report.failed:
            self._tell(f"FAILED {report.nodeid} ({report.when}, after {report.duration:.0f} s)")
            self._tell(report.longreprtext[-6_000:])

    def _tell(self, text: str) -> None:
        self._terminal.ensure_newline()
        self._terminal.write_line(text)


def pytest_addoption(parser: pytest.Parser) -> None:
    tier_plugin.add_option(parser)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    for mark in (*tier_plugin.MARKS, by_cost.MARK):
        config.addinivalue_line("markers", mark)
    config.pluginmanager.register(tier_plugin.TierPlugin(config), "tiers")
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        config.pluginmanager.register(_AtOnce(terminal), "at-once")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    by_cost.sort_items(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    if any(isinstance(item, pytest.Function) and is_hypothesis_test(item.obj) for item in session.items):
        first_draws.read_what_is_read_once()
