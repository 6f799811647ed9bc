"""One demo upstream and one gateway over it for all contract tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.demo_server import RunningDemo, demo_server
from support.gateway import RunningGateway, demo_config, gateway


@pytest.fixture(scope="session")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


@pytest.fixture(scope="session")
def served(demo: RunningDemo) -> Iterator[RunningGateway]:
    with gateway(demo_config(demo.url)) as running:
        yield running
