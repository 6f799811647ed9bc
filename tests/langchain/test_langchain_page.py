"""The programs of docs/langchain.md run as they stand."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragoman.langchain.aliases import MODULES

PAGE = Path(__file__).parents[2] / "docs" / "langchain.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def own_modules() -> Iterator[None]:
    """Aliases that a program installs are gone after it."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name in MODULES:
            del sys.modules[name]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[0][:40])
def test_a_program_of_the_page(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "langchain_core.decisions" in block:
        pytest.importorskip("langchain_core.decisions")
    exec(compile(block, PAGE.name, "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out
    assert "print(" not in block or printed
    assert "  # large True" not in block or "large True" in printed


def test_the_page_has_programs() -> None:
    assert len(BLOCKS) >= 6
