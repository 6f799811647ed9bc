"""A gateway that writes traces: the client's trace goes through it to the provider, for relayed and rewritten answers alike."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.demo_server import RunningDemo, demo_server
from support.gateway import gateway
from support.otlp_sink import attributes, otlp_sink

CONFIG = """
models:
  - {{name: echo, id: echo-1, model: openai/echo, api_base: '{base}', api_key: sk-upstream}}
  - {{name: claude, id: claude-1, model: anthropic/echo, api_base: '{root}', api_key: sk-upstream}}
  - {{name: shaky, id: bad, model: 'openai/echo?fail=500', order: 0, api_base: '{base}', api_key: sk-upstream}}
  - {{name: shaky, id: good, model: openai/echo, order: 1, api_base: '{base}', api_key: sk-upstream}}
telemetry: {{{telemetry}}}
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


def ask(base: str, model: str, *, stream: bool = False) -> str:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream, "user": "u-1"})
    headers = {"content-type": "application/json", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    with urllib.request.urlopen(urllib.request.Request(f"{base}/chat/completions", body.encode(), headers)) as answer:
        return answer.read().decode()


def test_every_request_is_a_span_in_its_clients_trace(demo: RunningDemo) -> None:
    config = CONFIG.format(base=demo.openai_url, root=demo.url, telemetry="otel: true")
    with otlp_sink() as sink:
        with gateway(config, OTEL_EXPORTER_OTLP_ENDPOINT=sink.url, OTEL_SERVICE_NAME="the-gateway") as served:
            ask(served.openai_url, "echo")
            ask(served.openai_url, "claude", stream=True)
            ask(served.openai_url, "shaky")
        spans = sink.spans
        metrics = sink.metrics
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    whole = {span.name: span for span in spans if span.parent_span_id.hex() == "b7ad6b7169203331"}
    assert whole.keys() == {"chat echo", "chat claude", "chat shaky"}
    assert {span.kind for span in whole.values()} == {2}  # SERVER
    tries = [span.name for span in spans if span.parent_span_id == whole["chat shaky"].span_id]
    assert tries == ["attempt bad", "attempt good"]
    told = attributes(whole["chat claude"])
    assert told["gen_ai.provider.name"] == "anthropic"
    assert told["gen_ai.response.time_to_first_chunk"] > 0
    assert told["gen_ai.response.finish_reasons"] == ["stop"]
    assert "gen_ai.input.messages" not in told
    assert attributes(whole["chat echo"])["gen_ai.usage.input_tokens"] > 0
    assert "gen_ai.client.token.usage" in metrics


def test_gptrouters_face_is_watched_too(demo: RunningDemo, tmp_path: Path) -> None:
    config = CONFIG.format(base=demo.openai_url, root=demo.url, telemetry="otel: true")
    config += f"request_log: {{folder: '{tmp_path}'}}\n"
    prompt = {"messages": [{"role": "user", "content": "hi"}]}
    candidate = {"order": 1, "modelName": "echo", "providerName": "chat_openai", "promptParams": prompt}
    body = {"stream": False, "data": [candidate]}
    with otlp_sink() as sink:
        with gateway(config, OTEL_EXPORTER_OTLP_ENDPOINT=sink.url) as served:
            request = urllib.request.Request(f"{served.url}/api/v1/generate", json.dumps(body).encode())
            request.add_header("content-type", "application/json")
            answered = json.load(urllib.request.urlopen(request))
            with urllib.request.urlopen(f"{served.url}/metrics") as page:
                assert "dragoman_requests_total{" in page.read().decode()
        (whole,) = (span for span in sink.spans if not span.parent_span_id)
    (line,) = (json.loads(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines())
    assert attributes(whole)["gen_ai.usage.output_tokens"] > 0
    assert line["response"] == answered
    assert line["path"] == "/api/v1/generate"


@pytest.mark.parametrize("stream", [False, True])
def test_langfuse_sees_what_was_answered_in_the_clients_own_dialect(demo: RunningDemo, stream: bool) -> None:
    config = CONFIG.format(base=demo.openai_url, root=demo.url, telemetry="langfuse: true")
    with otlp_sink() as sink:
        keys = {"LANGFUSE_PUBLIC_KEY": "pk-lf", "LANGFUSE_SECRET_KEY": "sk-lf"}
        with gateway(config, LANGFUSE_HOST=sink.url, **keys) as served:
            ask(served.openai_url, "echo", stream=stream)
        (whole,) = (attributes(span) for span in sink.spans if span.name == "chat echo")
    assert '"content":"hi"' in whole["langfuse.observation.output"]
    assert whole["langfuse.user.id"] == "u-1"
