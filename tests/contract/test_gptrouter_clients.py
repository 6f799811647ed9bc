"""The official clients of GPTRouter, in environments of their own, run against our gateway. They are run and never read.

GPTROUTER_PYTHONS names the interpreters (with colons between) in which a `gptrouter` is installed; without it nothing is run.
The program below is asked for the same things by each version, and prints what came of it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from support.demo_server import demo_server
from support.gptrouter import KEY, gptrouter_gateway, models_over

PYTHONS = [path for path in os.environ.get("GPTROUTER_PYTHONS", "").split(":") if path]
pytestmark = pytest.mark.skipif(not PYTHONS, reason="GPTROUTER_PYTHONS names no interpreter with a gptrouter client")

PROGRAM = r"""
import asyncio, json, sys
from gpt_router.client import GPTRouterClient
from gpt_router.models import GenerationParams, ModelGenerationRequest
url, key = sys.argv[1:]
TEXT = "Hello \u2028\u2029\x85 \U0001f600 there"

def asking(*names):
    params = GenerationParams(messages=[{"role": "user", "content": TEXT}], max_tokens=50)
    return [ModelGenerationRequest(model_name=name, provider_name="anthropic" if "claude" in name else "chat_openai",
                                   order=place, prompt_params=params) for place, name in enumerate(names, 1)]

def text(chunks):
    return "".join(chunk.data["text"] for chunk in chunks if chunk.event == "update")

def attempt(work):
    try:
        return work()
    except Exception as error:
        return type(error).__name__

client = GPTRouterClient(base_url=url, api_key=key)
found = {}
answer = client.generate(ordered_generation_requests=asking("fail-500", "claude-2.1"))
found["plain"] = [answer.choices[0].text == TEXT, answer.choices[0].finish_reason, answer.meta.total_tokens > 0]
stream = client.generate(ordered_generation_requests=asking("fail-429", "gpt-4-0613"), is_stream=True)
found["stream"] = text(stream) == TEXT

async def scenario():
    answer = await client.agenerate(ordered_generation_requests=asking("gpt-4-0613"))
    chunks = [c async for c in await client.agenerate(ordered_generation_requests=asking("gpt-4-0613"), is_stream=True)]
    return [answer.choices[0].text == TEXT, text(chunks) == TEXT]

found["async"] = asyncio.run(scenario())
found["errors"] = {name: attempt(lambda: client.generate(ordered_generation_requests=asking(name)).id)
                   for name in ("nope", "fail-400", "fail-429", "fail-500")}
found["stream_errors"] = {name: attempt(lambda: list(client.generate(ordered_generation_requests=asking(name), is_stream=True)))
                          for name in ("nope", "fail-429", "fail-cut")}
wrong = GPTRouterClient(base_url=url, api_key="sk-wrong-key-000001")
found["wrong_key"] = [attempt(lambda: wrong.generate(ordered_generation_requests=asking("gpt-4-0613")).id),
                      attempt(lambda: list(wrong.generate(ordered_generation_requests=asking("gpt-4-0613"), is_stream=True)))]
print(json.dumps(found))
"""

NEWER = r"""
import asyncio, json, sys
import gpt_router
from gpt_router import models
from gpt_router.client import GPTRouterClient
client = GPTRouterClient(base_url=sys.argv[1], api_key=sys.argv[2])
request = models.ModelRouterEmbeddingsGenerationRequest(
    model_name="text-embedding-3-small", model_provider="openai_embeddings", promptParams={"input": ["a", "b"]}, order=1)
first = asyncio.run(client.agenerate_embeddings(ordered_generation_requests=[request]))
second = asyncio.run(client.agenerate_embeddings_v2(input=["a", "b"], model_name="text-embedding-3-small"))
print(json.dumps([len(first.choices), first.choices[0].embedding == second.choices[0].embedding]))
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with demo_server() as demo, gptrouter_gateway(models_over(demo.url)) as running:
        yield running


def run(python: str, program: str, url: str) -> Any:
    done = subprocess.run([python, "-c", program, url, KEY], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("spelling", ["", "/"])
def test_the_official_client_works_unchanged(python: str, spelling: str, url: str) -> None:
    found = run(python, PROGRAM, url + spelling)
    assert found["plain"] == [True, "end_turn", True]
    assert found["stream"] is True
    assert found["async"] == [True, True]
    assert found["errors"] == {
        "nope": "GPTRouterBadRequestError",
        "fail-400": "GPTRouterBadRequestError",
        "fail-429": "GPTRouterTooManyRequestsError",
        "fail-500": "GPTRouterNotAvailableError",
    }
    assert set(found["stream_errors"].values()) == {"GPTRouterStreamingError"}
    assert found["wrong_key"] == ["GPTRouterUnauthorizedError", "GPTRouterStreamingError"]


@pytest.mark.parametrize("python", PYTHONS)
def test_embeddings_of_the_newer_clients(python: str, url: str) -> None:
    probe = "import gpt_router.models as m; print('true' if hasattr(m, 'EmbeddingsChoice') else 'false')"
    if not run(python, probe, url):
        pytest.skip("this version has no embeddings")
    assert run(python, NEWER, url) == [2, True]
