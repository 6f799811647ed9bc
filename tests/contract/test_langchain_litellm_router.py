"""`ChatLiteLLMRouter` and `LiteLLMEmbeddingsRouter` over a Router of the real `litellm`, in an environment of its own.

LITELLM_PYTHON names an interpreter in which `litellm`, `langchain-core` and this package are installed; without it nothing is
run here, and tests/langchain has a router that looks like it. The program prints what came of each question.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from support.demo_server import RunningDemo

PYTHON = os.environ.get("LITELLM_PYTHON")
pytestmark = pytest.mark.skipif(not PYTHON, reason="LITELLM_PYTHON names no interpreter with litellm")

PROGRAM = r"""
import asyncio, json, sys, warnings
from langchain_core.tools import tool
from litellm import Router
from pydantic import BaseModel
from dragoman.langchain import ChatLiteLLMRouter, LiteLLMEmbeddingsRouter

base = sys.argv[1]
def entry(group, model):
    return {"model_name": group, "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": "sk-secret"}}

router = Router(model_list=[entry("fast", "echo"), entry("tools", "tools"), entry("json", "json"), entry("vectors", "embed"),
                            entry("broken", "echo?fail=500"), entry("limited", "echo?fail=429")],
                num_retries=0, fallbacks=[{"broken": ["fast"]}])
class City(BaseModel):
    "A city."
    city: str
    inhabitants: int
@tool
def get_weather(city: str) -> str:
    "Weather of a city."
    return city
def summed(chunks):
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole

found = {}
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    fast = ChatLiteLLMRouter(router=router, model_name="fast", temperature=0.1)
    message = fast.invoke("hello there")
    json.dumps(message.response_metadata)
    found["invoke"] = [message.content, message.usage_metadata["total_tokens"], message.response_metadata["model_name"]]
    chunks = list(fast.stream("hello there"))
    whole = summed(chunks)
    found["stream"] = [len(chunks) > 3, whole.content, whole.usage_metadata["total_tokens"]]
    async def both():
        answer = await fast.ainvoke("hello there")
        return [answer.content, summed([chunk async for chunk in fast.astream("hello there")]).content]
    found["async"] = asyncio.run(both())
    told = ChatLiteLLMRouter(router=router, model_name="broken").invoke("hello").response_metadata
    found["fallback"] = [told["model_name"], told["fallback_used"], told["attempts"]]
    shaped = ChatLiteLLMRouter(router=router, model_name="json").with_structured_output(City).invoke("Name a city.")
    found["shape"] = type(shaped).__name__
    tools = ChatLiteLLMRouter(router=router, model_name="tools").bind_tools([get_weather])
    found["tools"] = [call["name"] for call in tools.invoke("weather").tool_calls]
    found["streamed_tools"] = [call["name"] for call in summed(list(tools.stream("weather"))).tool_calls]
    found["vectors"] = len(LiteLLMEmbeddingsRouter(router=router, model="vectors").embed_query("x"))
    found["shown"] = "sk-secret" in repr(fast) + str(fast._identifying_params)
    try:
        ChatLiteLLMRouter(router=router, model_name="limited").invoke("x")
    except Exception as error:
        found["error"] = [step.__name__ for step in type(error).__mro__]
found["own_warnings"] = [str(told.message) for told in seen if "dragoman" in told.filename or "model_list" in str(told.message)]
print(json.dumps(found))
"""


def test_a_router_of_the_real_litellm(demo: RunningDemo) -> None:
    done = subprocess.run(
        [str(PYTHON), "-c", PROGRAM, demo.openai_url],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert "RateLimitError" in found["error"]
    assert "ModelRateLimitError" in found.pop("error")
    assert found == {
        "invoke": ["hello there", 12, "fast"],
        "stream": [True, "hello there", 12],
        "async": ["hello there", "hello there"],
        "fallback": ["fast", True, 2],
        "shape": "City",
        "tools": ["get_weather"],
        "streamed_tools": ["get_weather"],
        "vectors": 256,
        "shown": False,
        "own_warnings": [],
    }
