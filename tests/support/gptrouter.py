"""A gateway with GPTRouter's face on a real socket, in a thread of the test process, over whatever upstream a test names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dragoman.engine.call import CallOptions
from dragoman.gateway import config as gateway_config
from dragoman.gateway.gptrouter.routes import gptrouter_routes
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import Limits
from dragoman.router.retry import RetryPolicy
from dragoman.transport.gateway import gateway_transport
from support.inprocess_server import serving

KEY = "sk-gateway-key-0001"


@contextmanager
def gptrouter_gateway(yaml: str, *, retries: int = 0, **parts: Any) -> Iterator[str]:
    """Its URL, without a path. `parts` go to `gptrouter_routes`; the gateway wants KEY."""
    ready, stop = threading.Event(), threading.Event()
    found: dict[str, Any] = {}

    async def main() -> None:
        config, policy = gateway_config.read(yaml, file="test.yaml", env={})
        options = CallOptions(
            timeouts=gateway_config.timeouts(config.timeouts), retry=RetryPolicy(max_retries=retries, base=0.001, cap=0.01)
        )
        transport = gateway_transport({})
        pipeline = Pipeline(policy, transport, options=options, api_key=KEY)
        async with serving(gptrouter_routes(pipeline, options=options, **parts), Limits()) as running:
            found["url"] = f"http://127.0.0.1:{running.port}"
            ready.set()
            await asyncio.to_thread(stop.wait)
        await transport.aclose()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as problem:  # noqa: BLE001 - told to the test
            found["problem"] = problem
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="gptrouter-gateway")
    thread.start()
    ready.wait(20)
    try:
        if "problem" in found:
            raise found["problem"]
        yield found["url"]
    finally:
        stop.set()
        thread.join(20)
    if "problem" in found:
        raise found["problem"]


def models_over(demo: str, *, cooldown: bool = False) -> str:
    """Groups over the demo upstream by the names that GPTRouter's clients use, and one that fails in every way.

    Without `cooldown` what fails is asked again and again, so that tests do not depend on one another.
    """
    entries = [
        ("gpt-4-0613", "openai/echo", f"{demo}/v1"),
        ("gpt-4o", "openai/canned", f"{demo}/v1"),
        ("claude-2.1", "anthropic/echo", demo),
        ("claude-tools", "anthropic/tools", demo),
        ("tools", "openai/tools", f"{demo}/v1"),
        ("reason", "openai/reason", f"{demo}/v1"),
        ("text-embedding-3-small", "openai/embed", f"{demo}/v1"),
    ]
    faults = ("429", "500", "timeout", "cut", "refuse", "401", "400")
    entries += [(f"fail-{fault}", f"openai/echo?fail={fault}&fail_after=3&length=9", f"{demo}/v1") for fault in faults]
    entries.append(("fail-early", "openai/echo?fail=cut&fail_after=0&length=9", f"{demo}/v1"))
    entries.append(("slow", "openai/echo?length=500&tokens_per_second=20", f"{demo}/v1"))
    lines = [
        f"  - {{name: {name}, model: '{model}', api_base: '{base}', api_key: sk-up-{name}}}" for name, model, base in entries
    ]
    return (
        "\n".join(
            ["models:", *lines, "timeouts: {connect: 2, first_token: 1, idle: 1}", "retries: 0", _cooldown(enabled=cooldown)]
        )
        + "\n"
    )


def _cooldown(*, enabled: bool) -> str:
    return f"router: {{cooldown: {{enabled: {str(enabled).lower()}}}}}"
