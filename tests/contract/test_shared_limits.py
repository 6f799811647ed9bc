"""The limits of a deployment over four workers of the gateway and one Valkey: exact, and no request lost without it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from support.demo_server import RunningDemo
from support.gateway import RunningGateway, gateway, workers_of
from support.requests import ask, chat, until
from support.valkey import OwnValkey

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc to find the workers in")


def config(demo: RunningDemo, server: OwnValkey, rpm: int) -> str:
    entry = f"{{name: NAME, model: openai/echo, api_base: '{demo.url}/v1', api_key: k, rpm: {rpm}}}"
    entries = ", ".join(entry.replace("NAME", name) for name in ("one", "two", "three"))
    return f"models: [{entries}]\nserver: {{workers: 4}}\nretries: 0\nshared: {{url: '{server.url}'}}\n"


def statuses(served: RunningGateway, model: str, number: int) -> list[int]:
    """Over fresh connections, so that all workers are asked."""
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, served.url, "openai", chat(model)) for _ in range(number)]
        return [each.result(60).status_code for each in asked]


def test_the_limit_of_a_deployment_is_one_over_four_workers(demo: RunningDemo) -> None:
    with closing(OwnValkey()) as server, gateway(config(demo, server, 50)) as served:
        until(lambda: len(workers_of(served)) == 4)
        for model in ("one", "two", "three"):  # limits begin anew with a minute: another model where one has ended meanwhile
            minute = time.time() // 60
            found = statuses(served, model, 90)
            if time.time() // 60 == minute:
                break
        assert (found.count(200), found.count(429)) == (50, 40)


def test_no_request_is_lost_while_the_server_is_stopped_and_started_again(demo: RunningDemo) -> None:
    with closing(OwnValkey()) as server, gateway(config(demo, server, 100_000)) as served, ThreadPoolExecutor(1) as beside:
        assert statuses(served, "one", 20) == [200] * 20
        load = beside.submit(statuses, served, "one", 300)
        server.stop()
        server.start()
        assert load.result(120) == [200] * 300
