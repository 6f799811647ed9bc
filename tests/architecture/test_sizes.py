"""The house stays small: files, functions and chains have limits, and every exception to one has its reason here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "src" / "dragoman"
MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 60
MAX_CHAIN_ARMS = 6

LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
LONG_CHAINS: dict[str, str] = {}

FILES = sorted(SOURCES.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(SOURCES).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_is_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_FILE_LINES or name_of(path) in LONG_FILES, f"{name_of(path)} has {lines} lines: split it"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            place = f"{name_of(path)}:{node.name}"
            assert lines <= MAX_FUNCTION_LINES or place in LONG_FUNCTIONS, f"{place} has {lines} lines"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_chains_are_tables(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If):
            place = f"{name_of(path)}:{node.lineno}"
            assert arms(node) <= MAX_CHAIN_ARMS or place in LONG_CHAINS, f"{place} has {arms(node)} arms: make it a table"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name_of(path)} has no docstring at its top"


def arms(node: ast.If) -> int:
    count = 1
    while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        node, count = node.orelse[0], count + 1
    return count + bool(node.orelse)
