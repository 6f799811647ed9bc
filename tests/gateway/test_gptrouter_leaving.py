"""A client that leaves takes its upstream request with it, and a provider that fails on a stream harms nobody else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dragoman.engine.call import CallOptions
from dragoman.gateway import config as gateway_config
from dragoman.gateway.gptrouter.routes import gptrouter_routes
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import Limits
from dragoman.transport.gateway import gateway_transport
from support.inprocess_server import run, serving
from support.upstream import CHUNKED, Peer, Upstream, chunk

FIRST = chunk(
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":"x"}}]}\n\n'
)


def request(*, stream: bool) -> bytes:
    candidate = {"order": 1, "modelName": "m", "promptParams": {"prompt": "x"}}
    body = json.dumps({"stream": stream, "data": [candidate]}).encode()
    return b"POST /api/v1/generate HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("begun", ["nothing", "plain", "stream"])
def test_leaving_ends_the_upstream_request(begun: str) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        if begun == "stream":
            await peer.send(CHUNKED, FIRST)
        await peer.left()
        left.set()

    async def scenario() -> Any:
        async with Upstream(script) as upstream:
            yaml = f"models: [{{name: m, model: openai/m, api_base: '{upstream.url}/v1', api_key: sk-up}}]"
            _, policy = gateway_config.read(yaml, file="t", env={})
            transport = gateway_transport({})
            pipeline = Pipeline(policy, transport, options=CallOptions())
            async with serving(gptrouter_routes(pipeline), Limits()) as running, asyncio.timeout(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
                writer.write(request(stream=begun != "plain"))
                await asked.wait()
                if begun == "stream":
                    await reader.readuntil(b'"text":"x"')
                writer.close()
                await left.wait()
            await transport.aclose()

    run(scenario)
