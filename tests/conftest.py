"""What every test may use. Puts tests/ on the path so that helpers are imported as `support.x`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("untimed", deadline=None)  # a slow machine is no failure
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """`async def` tests and fixtures run on asyncio, by anyio's plugin, which the clients bring along."""
    return "asyncio"


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a Valkey, started when the first test asks. Tests share it, so each has names of its own in it."""
    from support.valkey import valkey_server

    with valkey_server() as url:
        yield url


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not there to be tested with."""
    from support.recordings import FOLDER

    if not (FOLDER / "index.jsonl").exists():
        terminalreporter.write_line(
            f"recorded traffic was not found at {FOLDER.parent.name}/{FOLDER.name} beside the clone: "
            "the golden cases of tests/golden were replayed, the recordings were not"
        )
