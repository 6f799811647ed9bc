"""The real clients' files and batches, through a gateway with keys, over providers of both kinds; and one that is killed."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from support.batch_providers import TOKENS_IN, TOKENS_OUT, BatchProviders
from support.gateway import RunningGateway, gateway
from support.http_server import running, url_of
from support.requests import until

MASTER = "sk-master-of-this-test"
COST = {"haiku": (TOKENS_IN + TOKENS_OUT) / 1e6, "mini": (TOKENS_IN * 2 + TOKENS_OUT * 4) / 1e6}
"""USD of one answer, by the prices of the configuration, which say nothing of batches."""


def config(folder: Path, url: str) -> str:
    return f"""
models:
  - {{name: haiku, model: anthropic/claude-haiku-4-5, api_base: '{url}', api_key: k-anthropic, input_price: 1, output_price: 1}}
  - {{name: mini, model: openai/gpt-4o-mini, api_base: '{url}/v1', api_key: k-openai, input_price: 2, output_price: 4}}
server: {{api_key: {MASTER}, drain_seconds: 1}}
governance: {{database: 'sqlite:///{folder}/ledger.db', journal: '{folder}/journal'}}
files:
  providers:
    - {{name: openai, api_base: '{url}/v1', api_key: k-openai}}
    - {{name: anthropic, api_base: '{url}', api_key: k-anthropic}}
"""


@pytest.fixture
def providers() -> Iterator[BatchProviders]:
    with running(BatchProviders()) as server:
        yield server


@pytest.fixture
def served(providers: BatchProviders, tmp_path: Path) -> Iterator[RunningGateway]:
    with gateway(config(tmp_path, url_of(providers))) as running_gateway:
        yield running_gateway


def admin(served: RunningGateway, method: str, path: str, **options: Any) -> Any:
    with httpx2.Client(base_url=served.url, headers={"authorization": f"Bearer {MASTER}"}, timeout=20) as session:
        answer = session.request(method, path, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def issue(served: RunningGateway, **terms: Any) -> str:
    key: str = admin(served, "POST", "/key/generate", json=terms)["key"]
    return key


def spent(served: RunningGateway, key: str) -> float:
    found: float = admin(served, "GET", "/key/info", params={"key": key})["info"]["spend"]
    return found


def requests(model: str, number: int = 2, tokens: int = 50) -> list[Any]:
    params = {"model": model, "max_tokens": tokens, "messages": [{"role": "user", "content": "hello"}]}
    return [{"custom_id": f"c{place}", "params": params} for place in range(number)]


@pytest.mark.parametrize("model", ["haiku", "mini"])
def test_anthropics_client_has_its_batches_answered_by_anyone(
    providers: BatchProviders, served: RunningGateway, model: str
) -> None:
    key = issue(served)
    with anthropic.Anthropic(base_url=served.url, api_key=key, max_retries=0) as client:
        batches = client.messages.batches
        made = batches.create(requests=requests(model))
        assert (made.processing_status, made.id.startswith("msgbatch_")) == ("in_progress", True)
        assert batches.retrieve(made.id).processing_status == "ended"
        answers = {line.custom_id: line.result for line in batches.results(made.id)}
        assert {id_: result.message.content[0].text for id_, result in answers.items()} == {"c0": "answered", "c1": "answered"}
        assert answers["c0"].message.usage.output_tokens == TOKENS_OUT
        other = batches.create(requests=requests(model, 1))
        assert [batch.id for batch in batches.list(limit=1)] == [other.id, made.id]
        assert batches.cancel(other.id).id == other.id
        if model == "haiku":
            assert batches.delete(made.id).id == made.id
            with pytest.raises(anthropic.NotFoundError):
                batches.retrieve(made.id)
        else:
            with pytest.raises(anthropic.BadRequestError, match="openai keeps its batches"):
                batches.delete(made.id)
    until(lambda: spent(served, key) == pytest.approx(3 * COST[model]))
    assert _upstream_models(providers) == {"haiku": {"claude-haiku-4-5"}, "mini": {"gpt-4o-mini"}}[model]


def _upstream_models(providers: BatchProviders) -> set[str]:
    found = [request["params"]["model"] for made in providers.batches.values() if isinstance(made, list) for request in made]
    lines = [json.loads(line) for name, data in providers.kept.values() if name != "out" for line in data.splitlines()]
    return {*found, *(line["body"]["model"] for line in lines)}


def test_anthropics_async_client(served: RunningGateway) -> None:
    async def scenario() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=served.url, api_key=issue(served), max_retries=0) as client:
            made = await client.messages.batches.create(requests=requests("haiku"))
            await client.messages.batches.retrieve(made.id)
            assert [batch.id async for batch in client.messages.batches.list()] == [made.id]
            return [line.result.type async for line in await client.messages.batches.results(made.id)]

    assert asyncio.run(scenario()) == ["succeeded"] * 2


def test_what_anthropics_client_may_not_do(providers: BatchProviders, served: RunningGateway) -> None:
    with anthropic.Anthropic(base_url=served.url, api_key=issue(served), max_retries=0) as client:
        made = client.messages.batches.create(requests=requests("haiku"))
        for wrong, message in (
            (requests("haiku") + requests("mini"), "one batch has one model, found haiku, mini"),
            (requests("nobody"), "nobody"),
            ([], "found no request"),
        ):
            with pytest.raises(anthropic.APIStatusError, match=message):
                client.messages.batches.create(requests=wrong)
    asked = len(providers.asked)
    with anthropic.Anthropic(base_url=served.url, api_key=issue(served, models=["mini"]), max_retries=0) as other:
        with pytest.raises(anthropic.PermissionDeniedError, match="may not use the model 'haiku'"):
            other.messages.batches.create(requests=requests("haiku"))
        for call in (other.messages.batches.retrieve, other.messages.batches.cancel, other.messages.batches.delete):
            with pytest.raises(anthropic.NotFoundError, match="not yours"):
                call(made.id)
        assert list(other.messages.batches.list()) == []
    assert len(providers.asked) == asked


def test_anthropics_files_keep_their_ids_and_owners(providers: BatchProviders, served: RunningGateway) -> None:
    with anthropic.Anthropic(base_url=served.url, api_key=issue(served), max_retries=0) as client:
        made = client.beta.files.upload(file=("notes.txt", io.BytesIO(b"some text"), "text/plain"))
        assert (made.id, made.filename) == ("file_0", "notes.txt")
        assert providers.kept["file_0"][0].endswith("~notes.txt")
        assert client.beta.files.retrieve_metadata(made.id) == made
        assert [file.id for file in client.beta.files.list()] == [made.id]
        assert client.beta.files.download(made.id).read() == b"some text"
        with anthropic.Anthropic(base_url=served.url, api_key=issue(served), max_retries=0) as other:
            assert list(other.beta.files.list()) == []
            with pytest.raises(anthropic.NotFoundError):
                other.beta.files.delete(made.id)
        assert client.beta.files.delete(made.id).id == made.id
    assert providers.kept == {}
    sent = {headers.get("x-api-key") for _, _, headers in providers.asked}
    assert sent == {"k-anthropic"}


def lines(model: str, number: int, tokens: int) -> bytes:
    body = {"model": model, "max_tokens": tokens, "messages": [{"role": "user", "content": "hello"}]}
    made = [{"custom_id": f"c{n}", "method": "POST", "url": "/v1/chat/completions", "body": body} for n in range(number)]
    return b"\n".join(json.dumps(line).encode() for line in made)


def openai_batch(client: openai.OpenAI, number: int = 2, tokens: int = 50) -> Any:
    file = client.files.create(file=("lines.jsonl", lines("mini", number, tokens)), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")


def test_openais_client(served: RunningGateway) -> None:
    key = issue(served)
    with openai.OpenAI(base_url=served.openai_url, api_key=key, max_retries=0) as client:
        made = openai_batch(client)
        done = client.batches.retrieve(made.id)
        assert (done.status, done.metadata) == ("completed", None)
        assert len(client.files.content(done.output_file_id or "").text.splitlines()) == 2
    until(lambda: spent(served, key) == pytest.approx(2 * COST["mini"]))


def test_what_a_batch_holds_outlives_the_gateway(providers: BatchProviders, tmp_path: Path) -> None:
    """Killed while a batch runs, it holds the batch's money from its first second on, and settles it when that has ended."""
    providers.hold_back = True
    with gateway(config(tmp_path, url_of(providers))) as first:
        key = issue(first, max_budget=0.01)
        with openai.OpenAI(base_url=first.openai_url, api_key=key, max_retries=0) as client:
            made = openai_batch(client, number=1, tokens=2000)  # 0.008 USD
        first.process.kill()
    with (
        gateway(config(tmp_path, url_of(providers))) as second,
        anthropic.Anthropic(base_url=second.url, api_key=key, max_retries=0) as other,
        openai.OpenAI(base_url=second.openai_url, api_key=key, max_retries=0) as client,
    ):
        with pytest.raises(anthropic.APIStatusError, match="held by calls in flight and batches"):
            other.messages.batches.create(requests=requests("haiku", 1, tokens=3000))
        assert spent(second, key) == 0
        providers.hold_back = False
        assert client.batches.retrieve(made.id).status == "completed"
        until(lambda: spent(second, key) == pytest.approx(COST["mini"]))
        other.messages.batches.create(requests=requests("haiku", 1, tokens=3000))
