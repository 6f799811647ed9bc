"""Async calls block no event loop and use no thread. Needs `blockbuster`; without it only the second is tested."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from dragoman.langchain import ChatLiteLLM, ChatLiteLLMRouter, GPTRouter, LiteLLMEmbeddings
from support.demo_server import RunningDemo, demo_server
from support.langchain import SmallRouter, clients


@pytest.fixture(scope="module")
def demo() -> Any:
    with demo_server() as running:
        yield running


def models(demo: RunningDemo) -> list[Any]:
    place = {"api_base": demo.openai_url, "custom_llm_provider": "custom_openai", "api_key": "k"}
    groups = [{"model_name": "g", "litellm_params": {"model": "openai/gpt-4o"}}]
    client, async_client = clients()
    return [
        ChatLiteLLM(model="echo", **place),
        ChatLiteLLMRouter(router=SmallRouter(groups, client, async_client)),
        GPTRouter(models_priority_list=["openai/gpt-4o"], client=client, async_client=async_client),
    ]


async def ask(model: Any) -> None:
    assert (await model.ainvoke("hello there")).content
    assert [chunk async for chunk in model.astream("hello there")]
    assert await model.abatch(["hello", "there"])


def test_no_call_blocks_the_loop(demo: RunningDemo) -> None:
    blockbuster = pytest.importorskip("blockbuster")
    made = models(demo)

    async def main() -> None:
        for model in made:
            await ask(model)

    with blockbuster.blockbuster_ctx():
        asyncio.run(main())


FIRST_CALLS = """
import asyncio, sys
from blockbuster import blockbuster_ctx
from dragoman.langchain import ChatLiteLLM, LiteLLMEmbeddings
place = {"api_base": sys.argv[1], "custom_llm_provider": "custom_openai", "api_key": "k"}
model, embeddings = ChatLiteLLM(model="echo", **place), LiteLLMEmbeddings(model="embed", **place)
async def main():
    print((await model.ainvoke("hello there")).content, len(await embeddings.aembed_query("hello")) > 0)
with blockbuster_ctx():
    asyncio.run(main())
"""


def test_not_even_the_first_call_of_a_process_blocks_the_loop(demo: RunningDemo) -> None:
    """What a call needs is loaded with the first model, which is made before."""
    pytest.importorskip("blockbuster")
    program = [sys.executable, "-c", FIRST_CALLS, demo.openai_url]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.stdout == "hello there True\n", done.stderr


def test_no_call_runs_in_a_thread(demo: RunningDemo) -> None:
    made = models(demo)
    place = {"api_base": demo.openai_url, "custom_llm_provider": "custom_openai", "api_key": "k"}
    embeddings = LiteLLMEmbeddings(model="embed", **place)

    async def main() -> None:
        before = threading.active_count()
        for model in made:
            await ask(model)
        assert len(await embeddings.aembed_documents(["a", "b"])) == 2
        assert threading.active_count() == before

    asyncio.run(main())


def test_leaving_a_stream_early_ends_it() -> None:
    class Stream:
        closed = False

        def __aiter__(self) -> Stream:
            return self

        async def __anext__(self) -> dict[str, Any]:
            return {"choices": [{"index": 0, "delta": {"content": "more "}}], "model": "m", "id": "i"}

        async def aclose(self) -> None:
            self.closed = True

    stream = Stream()

    class Endless:
        async def completion(self, **_: Any) -> Stream:
            return stream

    async def main() -> None:
        chunks = ChatLiteLLM(model="openai/gpt-4o", async_client=Endless()).astream("x")
        async for chunk in chunks:
            if chunk.content:
                break
        await chunks.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
    assert stream.closed
