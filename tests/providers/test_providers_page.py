"""docs/providers.md is what the table says, row by row, and counts the recordings that prove a row."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from dragoman.providers.table import ROWS
from support.recordings import FOLDER

HERE = Path(__file__).resolve()
SPEC = importlib.util.spec_from_file_location("providers_page", HERE.parents[2] / "tools" / "providers_page.py")
assert SPEC is not None
assert SPEC.loader is not None
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)


def told() -> dict[str, str]:
    """The page's lines, less the column of what was verified."""
    lines = [line.rsplit(" | ", 1)[0] for line in TOOL.PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    return {re.match(r"\| \[?([\w.-]+)", line)[1]: line for line in lines}


def test_every_row_is_on_the_page_as_it_is() -> None:
    expected = {row.name: TOOL.line(row, TOOL.Counter()).rsplit(" | ", 1)[0] for row in ROWS}
    assert told() == expected, "run: make providers"


@pytest.mark.skipif(not (FOLDER / "index.jsonl").exists(), reason="no recordings beside the checkout")
def test_the_counts_are_those_of_the_recordings() -> None:
    assert TOOL.PAGE.read_text() == TOOL.page(FOLDER / "index.jsonl"), "run: make providers"
