"""One Valkey for all tests of the caches, started when the first of them asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.valkey import valkey_server


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a server."""
    with valkey_server() as url:
        yield url
