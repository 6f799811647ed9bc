"""The command `dragoman demo-upstream`: the demo provider over HTTP, for tests, benchmarks, users' CI and fault drills.

It prints one line with its address when it is ready, and ends on SIGINT or SIGTERM.
"""

from __future__ import annotations

from typing import Any

import click


@click.command("demo-upstream")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8090, show_default=True, type=click.IntRange(0, 65535), help="The port to listen on; 0 picks a free one."
)
@click.option("--require-key", help="Answer 401 to every other key. Without it any key will do.")
@click.option("--latency", type=float, help="Milliseconds before every answer.")
@click.option("--tokens-per-second", type=float, help="The pace of the answers.")
@click.option("--chunk", type=int, help="Tokens in a streamed piece (1).")
@click.option("--length", type=int, help="Answer with so many words, whatever is asked.")
@click.option(
    "--fail",
    help="How requests fail: 400, 401, 429, 500, 503, 529, timeout, refuse, cut, stall, garbage, malformed or error_event.",
)
@click.option("--fail-rate", type=float, help="The share of requests that fail, 0 to 1 (1).")
@click.option("--fail-after", type=int, help="Pieces before a cut, stall, garbage, malformed or error_event (half).")
@click.option("--retry-after", type=float, help="Seconds in the header retry-after of failing answers.")
def demo_upstream(*, host: str, port: int, require_key: str | None, **settings: Any) -> None:
    """Serve the demo provider over HTTP: a deterministic stand-in for OpenAI and Anthropic that fails on demand.

    Models: echo, canned, tools, json, reason, embed, image. Every parameter can be set for one request too, in the model's
    name (demo/echo?latency=200&fail=cut) or in a field of the body ({"demo": {"latency": 200}}). GET /demo/stats counts
    requests, POST /demo/reset begins anew.
    """
    from dragoman.cli import demo_serving  # noqa: PLC0415 - the other commands need none of it

    demo_serving.run({name: value for name, value in settings.items() if value is not None}, host, port, require_key)
