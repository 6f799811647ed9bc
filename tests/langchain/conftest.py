"""A table of LangChain's standard tests at the end of a run. None of them may be skipped but the one that skips itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

SUITE = "test_langchain_standard.py"
SKIPPED_BY_THE_SUITE = {"test_stream_time"}
"""It measures against a recorded network, and there is none."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    name = getattr(item, "originalname", item.name)
    if report.skipped and item.path.name == SUITE and name not in SKIPPED_BY_THE_SUITE:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: a standard test that ran before runs no more"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed"):
        for report in terminalreporter.stats.get(outcome, ()):
            path, _, rest = report.nodeid.partition("::")
            if path.endswith(SUITE):
                counts.setdefault(rest.partition("::")[0], Counter())[outcome] += 1
    if counts:
        terminalreporter.write_sep("-", "LangChain's standard tests")
    for suite in sorted(counts):
        told = ", ".join(f"{number} {outcome}" for outcome, number in counts[suite].items())
        terminalreporter.write_line(f"{suite.removeprefix('Test'):28} {counts[suite].total():3}   {told}")
