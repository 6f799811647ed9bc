"""A gateway under governance with everything on that watches it: who sees the metrics, and what stands where of a key."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.demo_server import RunningDemo
from support.gateway import RunningGateway, gateway
from support.http_server import QuietHandler, running, url_of
from support.requests import until

MASTER = "sk-master-of-this-test"
HELLO = [{"role": "user", "content": "hello"}]


class Hook:
    """A webhook: `came` is set by the first message."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[Any] = []
        self.came = threading.Event()


@contextmanager
def webhook() -> Iterator[Hook]:
    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name by which http.server calls it
            hook.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.answer()
            hook.came.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Hook(f"{url_of(server)}/alerts")
    with running(server):
        yield hook


class Watched:
    def __init__(self, served: RunningGateway, folder: Path, hook: Hook) -> None:
        self.served = served
        self.folder = folder
        self.hook = hook

    def send(self, key: str, method: str, path: str, **options: Any) -> httpx2.Response:
        with httpx2.Client(base_url=self.served.url, headers={"authorization": f"Bearer {key}"}, timeout=20) as session:
            return session.request(method, path, **options)

    def ask(self, key: str) -> int:
        body = {"model": "echo", "messages": HELLO, "max_tokens": 20}
        return self.send(key, "POST", "/v1/chat/completions", json=body).status_code

    def issue(self, **terms: Any) -> tuple[str, str]:
        """(key, its id)."""
        made = self.send(MASTER, "POST", "/key/generate", json=terms).json()
        return made["key"], self.send(MASTER, "GET", "/key/info", params={"key": made["key"]}).json()["key"]


@pytest.fixture(scope="module")
def watched(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("observed")
    with webhook() as hook:
        config = f"""
models:
  - {{name: echo, id: echo-1, model: openai/echo, api_base: '{demo.url}/v1', api_key: k, input_price: 1000, output_price: 1000}}
server: {{api_key: {MASTER}}}
governance: {{database: 'sqlite:///{folder}/ledger.db', journal: '{folder}/journal'}}
metrics: {{by_key: 100}}
logs: {{format: json, requests: true}}
request_log: {{folder: '{folder}/kept'}}
alerts: {{webhook: '{hook.url}', every: 0.1}}
"""
        with gateway(config, log=folder / "log") as served:
            yield Watched(served, folder, hook)


def test_metrics_are_for_who_may_see_what_all_do(watched: Watched) -> None:
    statuses = {
        name: watched.send(key, "GET", "/metrics").status_code
        for name, key in {
            "master": MASTER,
            "nobody": "sk-nobody",
            "plain": watched.issue()[0],
            "viewer": watched.issue(role="viewer")[0],
        }.items()
    }
    assert statuses == {"master": 200, "nobody": 401, "plain": 403, "viewer": 200}


def test_a_key_stands_everywhere_by_its_id_alone(watched: Watched) -> None:
    key, identity = watched.issue()
    assert watched.ask(key) == 200
    assert watched.ask("sk-nobody-at-all-0123456789") == 401
    text = watched.send(MASTER, "GET", "/metrics").text
    assert f'dragoman_key_requests_total{{key="{identity}"}} 1.0' in text
    assert 'dragoman_refusals_total{reason="InvalidKeyError"}' in text
    log = (watched.folder / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["status"] for line in lines if line.get("key") == identity] == [200]
    kept = "".join(path.read_text() for path in watched.folder.glob("kept/*"))
    for told in (text, log, kept):
        assert key not in told
        assert "sk-nobody-at-all" not in told


def test_a_key_can_be_left_out_of_the_samples(watched: Watched) -> None:
    (left_out, silent), (sampled, seen) = watched.issue(metadata={"request_log": False}), watched.issue()
    assert watched.ask(left_out) == watched.ask(sampled) == 200

    def kept() -> set[str]:
        lines = (line for path in watched.folder.glob("kept/*") for line in path.read_text().splitlines())
        return {json.loads(line).get("key") for line in lines}

    until(lambda: seen in kept())
    assert silent not in kept()


def test_a_budget_that_passes_its_threshold_is_an_alert(watched: Watched) -> None:
    key, identity = watched.issue(max_budget=0.05)
    while watched.ask(key) == 200:
        pass
    assert watched.hook.came.wait(20)
    told = [alert for body in watched.hook.bodies for alert in body["alerts"] if alert["kind"] == "budget"]
    assert identity in told[0]["subject"]
