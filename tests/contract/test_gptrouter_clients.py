"""The official clients of GPTRouter and LangChain's class for them, in environments of their own, run against our gateway.

They are run and never read. GPTROUTER_PYTHONS names the interpreters (with colons between) that tools/gptrouter_clients.sh
made; without it nothing is run. The programs below are asked for the same things by each version, and print what came of it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.demo_server import demo_server
from support.gptrouter import KEY, gptrouter_gateway, models_over
from support.gptrouter_upstream import PNG, media_upstream

PYTHONS = [path for path in os.environ.get("GPTROUTER_PYTHONS", "").split(":") if path]
pytestmark = pytest.mark.skipif(not PYTHONS, reason="GPTROUTER_PYTHONS names no interpreter with a gptrouter client")


def having(package: str) -> list[str]:
    """The interpreters with something of this name installed."""
    return [path for path in PYTHONS if any(Path(path).parent.parent.glob(f"lib/python*/site-packages/{package}"))]


EVERY = pytest.mark.parametrize("python", PYTHONS)
NEWEST = pytest.mark.parametrize("python", having("[Gg][Pp][Tt][Rr]outer-1.*"))
LANGCHAIN = pytest.mark.parametrize("python", having("langchain_community"))

BEGINNING = r"""
import asyncio, json, sys
from gpt_router.client import GPTRouterClient
from gpt_router.models import GenerationParams, ModelGenerationRequest
url, key = sys.argv[1:3]
TEXT = "Hello \u2028\u2029\x85 \U0001f600 there"

def asking(*names, **more):
    params = GenerationParams(messages=[{"role": "user", "content": TEXT}], max_tokens=50, **more)
    return [ModelGenerationRequest(model_name=name, provider_name="anthropic" if "claude" in name else "chat_openai",
                                   order=place, prompt_params=params) for place, name in enumerate(names, 1)]

def text(chunks):
    return "".join(chunk.data["text"] for chunk in chunks if chunk.event == "update")

def attempt(work):
    try:
        return work()
    except Exception as error:
        return type(error).__name__

async def gathered(stream):
    return [chunk async for chunk in stream]

client = GPTRouterClient(base_url=url, api_key=key)
found = {}
"""
ENDING = "\nprint(json.dumps(found))\n"

GENERATE = r"""
answer = client.generate(ordered_generation_requests=asking("fail-500", "claude-2.1"))
found["plain"] = [answer.choices[0].text == TEXT, answer.choices[0].finish_reason, answer.meta.total_tokens > 0]
stream = client.generate(ordered_generation_requests=asking("fail-429", "gpt-4-0613"), is_stream=True)
found["stream"] = text(stream) == TEXT
found["events"] = [c.event for c in client.generate(ordered_generation_requests=asking("gpt-4-0613"), is_stream=True)][-2:]

async def scenario():
    answer = await client.agenerate(ordered_generation_requests=asking("gpt-4-0613"))
    chunks = await gathered(await client.agenerate(ordered_generation_requests=asking("gpt-4-0613"), is_stream=True))
    failed = [c.event for c in await gathered(
        await client.agenerate(ordered_generation_requests=asking("fail-401", "gpt-4-0613"), is_stream=True))][0]
    return [answer.choices[0].text == TEXT, text(chunks) == TEXT, failed]

found["async"] = asyncio.run(scenario())
found["several"] = len(client.generate(ordered_generation_requests=asking("gpt-4-0613", n=2)).choices)
tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
found["tools"] = client.generate(ordered_generation_requests=asking("tools", tools=[tool])).choices[0].finish_reason
"""

FAILURES = r"""
faults = ("nope", "fail-400", "fail-401", "fail-429", "fail-500", "fail-timeout", "fail-refuse")
found["plain"] = {name: attempt(lambda: client.generate(ordered_generation_requests=asking(name)).id) for name in faults}
faults += ("fail-cut",)
found["stream"] = {name: attempt(lambda: list(client.generate(ordered_generation_requests=asking(name), is_stream=True)))
                   for name in faults}

async def scenario():
    told = {}
    for name in faults:
        try:
            await gathered(await client.agenerate(ordered_generation_requests=asking(name), is_stream=True))
        except Exception as error:
            told[name] = type(error).__name__
    return told

found["async"] = asyncio.run(scenario())
wrong = GPTRouterClient(base_url=url, api_key="sk-wrong-key-000001")
found["wrong_key"] = [attempt(lambda: wrong.generate(ordered_generation_requests=asking("gpt-4-0613")).id),
                      attempt(lambda: list(wrong.generate(ordered_generation_requests=asking("gpt-4-0613"), is_stream=True)))]
"""

OPERATIONS = r"""
from gpt_router import models
request = models.ModelRouterEmbeddingsGenerationRequest(
    model_name="text-embedding-3-small", model_provider="openai_embeddings", promptParams={"input": ["a", "b"]}, order=1)
first = asyncio.run(client.agenerate_embeddings(ordered_generation_requests=[request]))
second = asyncio.run(client.agenerate_embeddings_v2(input=["a", "b"], model_name="text-embedding-3-small"))
found["embeddings"] = [len(first.choices), first.choices[0].embedding == second.choices[0].embedding]

wish = models.ImageGenerationRequest(
    model_name="dall-e-3", provider_name="dall-e", prompt="p", num_images=2, width=1024, height=1024)
found["images"] = [image.url for image in asyncio.run(client.agenerate_images(image_generation_request=wish))]
wish = models.ImageEditRequest(model="gpt-image-1", image="aGk=", prompt="p")
edited = asyncio.run(client.aedit_image(image_edit_request=wish))
found["edit"] = [[image.url, image.base64] for image in edited]

import gpt_router
request = gpt_router.ModelRouterSystemOneGenerationRequest(
    model_name="jev-1.13.0", model_provider="typesafe", order=1, prompt_params=gpt_router.SystemOneGenerationParams(
        state=gpt_router.SystemOneTextState(text="s"), questions={
            "sure": gpt_router.SystemOneNoulQuestion(instructions="is it?"),
            "which": gpt_router.SystemOneChoiceQuestion(instructions="?", options=[{"value": "a"}, {"value": "b"}])}))
decided = client.generate_system_one(ordered_generation_requests=[request])
found["decisions"] = [decided.answers["sure"].noul, decided.answers["which"].choice]

"""

LANGCHAIN_PROGRAM = r"""
import warnings; warnings.simplefilter("ignore")
from langchain_community.chat_models.gpt_router import GPTRouter, GPTRouterModel
from langchain_core.messages import HumanMessage

def chat(*names, key=key, **more):
    models = [GPTRouterModel(name=name, provider_name="anthropic" if "claude" in name else "chat_openai") for name in names]
    return GPTRouter(models_priority_list=models, gpt_router_api_base=url, gpt_router_api_key=key, max_retries=1, **more)

message = HumanMessage(content=TEXT)
answer = chat("fail-500", "claude-2.1").invoke([message])
found["invoke"] = [answer.content == TEXT, answer.response_metadata["finish_reason"]]
found["stream"] = "".join(chunk.content for chunk in chat("gpt-4-0613").stream([message])) == TEXT
found["batch"] = [one.content == TEXT for one in chat("gpt-4-0613").batch([[message], [message]])]
found["several"] = len(chat("gpt-4-0613", n=2).generate([[message]]).generations[0])

async def scenario():
    return [(await chat("gpt-4-0613").ainvoke([message])).content == TEXT,
            "".join([chunk.content async for chunk in chat("gpt-4-0613").astream([message])]) == TEXT]

found["async"] = asyncio.run(scenario())
found["errors"] = {name: attempt(lambda: chat(name).invoke([message]).content)
                   for name in ("nope", "fail-400", "fail-429", "fail-500")}
found["wrong_key"] = attempt(lambda: chat("gpt-4-0613", key="sk-wrong-key-000001").invoke([message]).content)
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with demo_server() as demo, media_upstream() as media:
        more = "".join(
            f"  - {{name: {name}, model: {model}, api_base: '{media}/v1', api_key: k}}\n"
            for name, model in (
                ("dall-e-3", "openai/dall-e-3"),
                ("gpt-image-1", "openai/gpt-image-1"),
                ("jev-1.13.0", "typesafe/jev-1.13.0"),
            )
        )
        yaml = models_over(demo.url).replace("models:\n", f"models:\n{more}", 1)
        with gptrouter_gateway(yaml) as running:
            yield running


def run(python: str, program: str, url: str) -> Any:
    text = BEGINNING + program + ENDING
    done = subprocess.run([python, "-c", text, url, KEY], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@EVERY
@pytest.mark.parametrize("spelling", ["", "/"])
def test_generate_plain_streamed_and_async(python: str, spelling: str, url: str) -> None:
    found = run(python, GENERATE, url + spelling)
    assert found["plain"] == [True, "end_turn", True]
    assert found["stream"] is True
    assert found["events"] == ["meta", "generation_source"]
    assert found["async"] == [True, True, "attempt"]
    assert (found["several"], found["tools"]) == (2, "tool_calls")


@EVERY
def test_every_failure_is_the_clients_own_error(python: str, url: str) -> None:
    found = run(python, FAILURES, url)
    assert found["plain"] == {
        "nope": "GPTRouterBadRequestError",
        "fail-400": "GPTRouterBadRequestError",
        "fail-401": "GPTRouterNotAvailableError",
        "fail-429": "GPTRouterTooManyRequestsError",
        "fail-500": "GPTRouterNotAvailableError",
        "fail-timeout": "GPTRouterNotAvailableError",
        "fail-refuse": "GPTRouterNotAvailableError",
    }
    for way in ("stream", "async"):
        assert set(found[way].values()) == {"GPTRouterStreamingError"}
        assert len(found[way]) == 8
    assert found["wrong_key"] == ["GPTRouterUnauthorizedError", "GPTRouterStreamingError"]


@NEWEST
def test_embeddings_images_and_decisions_of_the_newer_clients(python: str, url: str) -> None:
    found = run(python, OPERATIONS, url)
    assert found["embeddings"] == [2, True]
    assert found["images"] == ["http://pictures.example/1.png"] * 2
    assert found["edit"] == [[f"data:image/png;base64,{PNG}", PNG]]
    assert found["decisions"] == [0.97, "a"]


@LANGCHAIN
def test_langchains_own_class(python: str, url: str) -> None:
    found = run(python, LANGCHAIN_PROGRAM, url)
    assert found["invoke"] == [True, "end_turn"]
    assert found["stream"] is True
    assert found["batch"] == [True, True]
    assert found["several"] == 2
    assert found["async"] == [True, True]
    assert found["errors"] == {
        "nope": "GPTRouterBadRequestError",
        "fail-400": "GPTRouterBadRequestError",
        "fail-429": "GPTRouterTooManyRequestsError",
        "fail-500": "GPTRouterNotAvailableError",
    }
    assert found["wrong_key"] == "GPTRouterUnauthorizedError"
