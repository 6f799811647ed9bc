"""Models and credentials of the admin API in gateways that run: every worker, both databases, a kill, and no leak."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.demo_server import RunningDemo, demo_server
from support.gated_upstream import gated_upstream
from support.gateway import PROGRAM, RunningGateway, gateway, workers_of
from support.postgres import fresh_database, postgres_server
from support.requests import ask, chat, client, connected, read_to_end, read_until, request_bytes, text_of, until

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc to find the workers in")

MASTER = "sk-master-of-this-test"
SECRET = "marker-5f2c9e-of-the-provider"
KEY, NEW_KEY = (b64encode(bytes(range(start, start + 32))).decode() for start in (7, 99))
SHOWN = {"authorization": f"Bearer {MASTER}"}
PIECE = b'data: {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "first"}}]}\n\n'
END = b'data: {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningDemo]:
    """It answers who shows the secret."""
    with demo_server(require_key=SECRET) as running:
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gateway.db"
    return asyncio.run(fresh_database(request.getfixturevalue("postgres")))


def config(database: str, folder: Path, *, workers: int = 1) -> str:
    return f"""
models: [{{name: canned, model: demo/canned}}]
server: {{api_key: {MASTER}, workers: {workers}}}
governance: {{database: '{database}', journal: '{folder}/journal', unpriced: allow, private_addresses: allow}}
logs: {{requests: true, level: debug}}
"""


def admin(served: RunningGateway, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    with client(served.url, headers=SHOWN) as session:
        answer = session.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert SECRET not in answer.text
    return answer.json()


def asked(served: RunningGateway, model: str) -> int:
    answer = ask(served.url, "openai", chat(model), **SHOWN)
    assert SECRET not in answer.text
    assert answer.status_code != 200 or text_of("openai", answer) == "hello there, gateway"
    return answer.status_code


def store(served: RunningGateway, provider: RunningDemo) -> str:
    """A credential and a model that uses it; the model's id."""
    values = {"api_key": SECRET, "api_base": f"{provider.url}/v1"}
    admin(served, "POST", "/credentials", {"credential_name": "theirs", "credential_values": values})
    params = {"model": "openai/echo", "litellm_credential_name": "theirs"}
    return str(admin(served, "POST", "/model/new", {"model_name": "stored", "litellm_params": params})["model_id"])


def answering_workers(served: RunningGateway, model: str) -> set[str]:
    """The workers that have answered calls of a model, by what they wrote to the ledger."""
    rows = admin(served, "GET", f"/spend/logs?page_size=1000&model={model}")
    return {row["ledger_id"].partition("-")[0] for row in rows if row["status"] == "success"}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_worker_serves_what_one_was_given(database: str, workers: int, provider: RunningDemo, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with gateway(config(database, tmp_path, workers=workers), log=log, DRAGOMAN_ENCRYPTION_KEY=KEY) as served:
        if workers > 1:
            until(lambda: len(workers_of(served)) == workers)
        assert asked(served, "stored") == 404
        id_ = store(served, provider)
        until(lambda: asked(served, "stored") == 200 and len(answering_workers(served, "stored")) == workers)
        assert {asked(served, "stored") for _ in range(20)} == {200}
        listed = admin(served, "GET", "/v1/models")["data"]
        assert [model["id"] for model in listed] == ["canned", "stored"]
        with client(served.url, headers=SHOWN) as session:
            assert f'deployment="{id_}"' in until(lambda: session.get("/metrics").text)
        admin(served, "POST", "/model/delete", {"id": id_})
        until(lambda: {asked(served, "stored") for _ in range(20)} == {404})
    assert SECRET not in log.read_text()
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in data for data in kept)


def told(command: str, config: Path, **environment: str) -> str:
    """What a command of ours says."""
    arguments, env = [PROGRAM, command, "--config", config], {**os.environ, **environment}
    return subprocess.run(arguments, env=env, capture_output=True, text=True, check=True).stdout


def test_a_kill_loses_none_of_it_and_keys_can_be_changed(database: str, provider: RunningDemo, tmp_path: Path) -> None:
    file, text = tmp_path / "gateway.yaml", config(database, tmp_path)
    file.write_text(text)
    with gateway(text, DRAGOMAN_ENCRYPTION_KEY=KEY) as served:
        id_ = store(served, provider)
        assert told("models", file).splitlines() == ["canned", f"stored  (stored, id {id_})"]
        os.kill(served.process.pid, signal.SIGKILL)
        served.process.wait(20)
    with gateway(text, DRAGOMAN_ENCRYPTION_KEY=f"{NEW_KEY},{KEY}") as served:
        assert asked(served, "stored") == 200
        said = told("reseal", file, DRAGOMAN_ENCRYPTION_KEY=f"{NEW_KEY},{KEY}")
        assert said == "2 models and credentials are encrypted with the first of 2 keys\n"
        assert asked(served, "stored") == 200
    with gateway(text, DRAGOMAN_ENCRYPTION_KEY=NEW_KEY) as served:
        assert asked(served, "stored") == 200
        assert admin(served, "GET", "/audit")["unbroken"]


@pytest.mark.parametrize(("keys", "said"), [({}, "no key is here"), ({"DRAGOMAN_ENCRYPTION_KEY": NEW_KEY}, "used before")])
def test_a_start_without_the_key_is_refused_with_the_remedy(
    keys: dict[str, str], said: str, provider: RunningDemo, tmp_path: Path
) -> None:
    text = config(f"sqlite:///{tmp_path}/gateway.db", tmp_path)
    with gateway(text, DRAGOMAN_ENCRYPTION_KEY=KEY) as served:
        store(served, provider)
    (tmp_path / "gateway.yaml").write_text(text)
    arguments = [PROGRAM, "serve", "--port", "0", "--config", tmp_path / "gateway.yaml"]
    ended = subprocess.run(arguments, env={**os.environ, **keys}, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "DRAGOMAN_ENCRYPTION_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stderr


def test_an_open_stream_ends_on_the_model_that_is_deleted(tmp_path: Path) -> None:
    text = config(f"sqlite:///{tmp_path}/gateway.db", tmp_path)
    with gated_upstream() as upstream, gateway(text, DRAGOMAN_ENCRYPTION_KEY=KEY) as served:
        params = {"model": "openai/m", "api_base": f"{upstream.url}/v1", "api_key": SECRET}
        id_ = admin(served, "POST", "/model/new", {"model_name": "stored", "litellm_params": params})["model_id"]
        head, _, body = request_bytes("openai", chat("stored", stream=True)).partition(b"\r\n")
        with connected(served.address, head + f"\r\nauthorization: Bearer {MASTER}\r\n".encode() + body) as connection:
            going = upstream.next()
            going.begin()
            going.write(PIECE)
            read_until(connection, b"first")
            admin(served, "POST", "/model/delete", {"id": id_})
            assert asked(served, "stored") == 404
            going.write(END)
            going.end()
            assert read_to_end(connection).endswith(b"0\r\n\r\n")
