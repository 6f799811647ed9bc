"""One PostgreSQL for all tests of the gateway, started when the first of them asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.postgres import postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server."""
    with postgres_server() as url:
        yield url
