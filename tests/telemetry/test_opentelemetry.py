"""Traces and measurements of calls: OpenTelemetry's own SDK and exporter, sending to a sink of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

import dragoman
from dragoman.core.chat import ChatResponse, Choice, Finish, TextPart, Usage
from dragoman.core.errors import ConfigurationError, RateLimitError
from dragoman.core.http import HttpResponse
from dragoman.engine.call import Settlement
from dragoman.engine.flow import answer, open_stream
from dragoman.telemetry import conventions, exporting, langfuse, named
from dragoman.telemetry.opentelemetry import OpenTelemetry
from support.calls import JSON, FakeStream, deployment, make_call, play
from support.otlp_sink import Sink, attributes, otlp_sink

PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
BODY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1-2026",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "good day"}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 5},
    },
}
OK = HttpResponse(status=200, headers=JSON, body=json.dumps(BODY).encode())
BUSY = HttpResponse(status=503, headers=JSON, body=b'{"error": {"message": "busy"}}')


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with otlp_sink() as running:
        yield running


class Watching:
    """A hook over the real SDK; `spans` and `metrics` flush and give what came out at the other end."""

    def __init__(self, sink: Sink, **given: Any) -> None:
        self._sink = sink
        sink.requests.clear()
        self.tracers = TracerProvider(sampler=given.pop("sampler", None))
        self.tracers.add_span_processor(_batched(OTLPSpanExporter(f"{sink.url}/v1/traces")))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{sink.url}/v1/metrics"), export_interval_millis=1e9)
        self._meters = MeterProvider([reader])
        self.hook = OpenTelemetry(self.tracers, self._meters, **given)

    @property
    def spans(self) -> list[Any]:
        self.tracers.force_flush()
        return self._sink.spans

    @property
    def metrics(self) -> dict[str, Any]:
        self._meters.force_flush()
        return self._sink.metrics

    def close(self) -> None:
        self.tracers.shutdown()
        self._meters.shutdown()


def _batched(exporter: Any) -> Any:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(exporter)


Maker = Callable[..., Watching]


@pytest.fixture
def watching(sink: Sink) -> Iterator[Maker]:
    made: list[Watching] = []

    def make(**given: Any) -> Watching:
        made.append(Watching(sink, **given))
        return made[-1]

    yield make
    for each in made:
        each.close()


def clock() -> Callable[[], float]:
    """A clock that goes on by a second with each look."""
    seconds = iter(range(1, 1_000_000))
    return lambda: float(next(seconds))


def test_a_call_is_a_span_with_a_child_for_each_attempt(watching: Maker) -> None:
    watched = watching()
    call = make_call(deployment("acme"), deployment("other"), retries=1)
    call.watch(watched.hook.begin(call))
    play(answer(call, clock(), float), BUSY, OK)
    *tries, whole = sorted(watched.spans, key=lambda span: span.parent_span_id, reverse=True)
    assert whole.name == "chat asked"
    assert {span.parent_span_id for span in tries} == {whole.span_id}
    assert {span.trace_id for span in tries} == {whole.trace_id}
    first, second = sorted(tries, key=lambda span: span.start_time_unix_nano)
    assert attributes(first)["error.type"] == "ServiceUnavailableError"
    assert attributes(first)["http.response.status_code"] == 503
    assert attributes(first)["server.address"] == "api.acme.test"
    assert "error.type" not in attributes(second)
    assert attributes(second)["dragoman.deployment"] == "other/m-1"
    assert first.start_time_unix_nano < first.end_time_unix_nano <= second.start_time_unix_nano


def test_a_span_says_what_was_asked_and_what_it_came_to(watching: Maker) -> None:
    watched = watching()
    body = {"model": "asked", "messages": [], "temperature": 0.5, "max_tokens": 9, "stop": ["a"], "seed": 7, "top_p": 1, "n": 2}
    call = make_call(body=body)
    call.watch(watched.hook.begin(call))
    play(answer(call, clock(), float), OK)
    told = attributes(next(span for span in watched.spans if not span.parent_span_id))
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "asked",
        "gen_ai.request.stream": False,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.stop_sequences": ["a"],
        "gen_ai.request.seed": 7,
        "gen_ai.request.choice.count": 2,
        "gen_ai.response.model": "m-1-2026",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "server.address": "api.acme.test",
        "server.port": 443,
        "dragoman.attempts": 1,
    }
    assert {name: told.get(name) for name in expected} == expected
    assert "good day" not in str(told)
    assert "gen_ai.input.messages" not in told


def test_the_price_stands_on_the_span(watching: Maker) -> None:
    watched = watching()
    from dragoman.providers import registry

    place = registry.resolve("openai/gpt-4o-mini", api_key="sk-x", env={})
    from dragoman.router.deployment import Deployment

    call = make_call(Deployment(place))
    call.watch(watched.hook.begin(call))
    play(answer(call, clock(), float), OK)
    cost = next(attributes(span)["dragoman.cost.usd"] for span in watched.spans if not span.parent_span_id)
    assert 0 < cost < 0.001


def test_an_error_is_told_by_its_class(watching: Maker) -> None:
    watched = watching()
    call = make_call(retries=0)
    call.watch(watched.hook.begin(call))
    assert play(answer(call, clock(), float), BUSY).error is not None
    whole = next(span for span in watched.spans if not span.parent_span_id)
    assert attributes(whole)["error.type"] == "ServiceUnavailableError"
    assert whole.status.code == 2
    assert "busy" in whole.status.message


def test_what_nobody_waits_for_is_cancelled(watching: Maker) -> None:
    watched = watching()
    call = make_call()
    call.watch(watched.hook.begin(call))
    call.settle(Settlement(cancelled=True))
    (whole,) = watched.spans
    assert attributes(whole)["error.type"] == "cancelled"
    assert whole.status.code == 0


def test_a_stream_tells_when_its_first_chunk_came(watching: Maker) -> None:
    watched = watching()
    call = make_call(stream=True)
    call.watch(watched.hook.begin(call))
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunk["choices"] = [{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}]  # type: ignore[assignment]
    play(open_stream(call, clock(), float), FakeStream(b"data: %b\n\n" % json.dumps(chunk).encode()))
    response = ChatResponse(id="c", model="m", choices=(Choice(parts=(TextPart(text="hi"),), finish=Finish(reason="stop")),))
    call.settle(Settlement(usage=Usage(input_tokens=3, output_tokens=1), response=response))
    spans = watched.spans
    told = attributes(next(span for span in spans if not span.parent_span_id))
    assert told["gen_ai.response.time_to_first_chunk"] > 0
    (first,) = watched.metrics["gen_ai.client.operation.time_to_first_chunk"].histogram.data_points
    assert first.count == 1
    attempt = next(span for span in spans if span.parent_span_id)
    lasted = attempt.end_time_unix_nano - attempt.start_time_unix_nano
    assert lasted > told["gen_ai.response.time_to_first_chunk"] * 1e9  # it goes on after the first event


def test_calls_are_measured(watching: Maker) -> None:
    watched = watching()
    for _ in range(2):
        call = make_call()
        call.watch(watched.hook.begin(call))
        play(answer(call, clock(), float), OK)
    metrics = watched.metrics
    (duration,) = metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert (duration.count, metrics["gen_ai.client.operation.duration"].unit) == (2, "s")
    assert tuple(duration.explicit_bounds) == conventions.SECONDS
    tokens = metrics["gen_ai.client.token.usage"].histogram.data_points
    assert {attributes(point)["gen_ai.token.type"]: point.sum for point in tokens} == {"input": 200, "output": 40}


@pytest.mark.parametrize("caught", [False, True])
def test_what_was_said_is_written_only_when_asked_for(watching: Maker, caught: bool) -> None:
    watched = watching(content=caught)
    call = make_call(relay=True)
    call.watch(watched.hook.begin(call))
    play(answer(call, clock(), float), OK)
    told = attributes(next(span for span in watched.spans if not span.parent_span_id))
    if not caught:
        assert not {"gen_ai.input.messages", "gen_ai.output.messages"} & told.keys()
        return
    said, answered = json.loads(told["gen_ai.input.messages"]), json.loads(told["gen_ai.output.messages"])
    assert said == [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]
    assert answered == [{"role": "assistant", "parts": [{"type": "text", "content": "good day"}], "finish_reason": "stop"}]


def test_the_trace_goes_on_upstream(watching: Maker) -> None:
    watched = watching()
    call = make_call()
    call.watch(watched.hook.begin(call, carrier=PARENT))
    played = play(answer(call, clock(), float), OK)
    whole = next(span for span in watched.spans if span.parent_span_id.hex() == "b7ad6b7169203331")
    sent = dict(played.requests[0].headers)["traceparent"]
    assert sent == f"00-0af7651916cd43dd8448eb211c80319c-{whole.span_id.hex()}-01"


def test_the_callers_own_traceparent_stays(watching: Maker) -> None:
    call = make_call(extra_headers=(("traceparent", "mine"),))
    watching().hook.begin(call)
    assert call.options.extra_headers == (("traceparent", "mine"),)


def test_the_current_span_is_the_parent_in_a_program(watching: Maker) -> None:
    watched = watching()
    with watched.tracers.get_tracer("program").start_as_current_span("outer"):
        call = make_call()
        call.watch(watched.hook.begin(call))
        play(answer(call, clock(), float), OK)
    spans = {span.name: span for span in watched.spans}
    assert spans["chat asked"].parent_span_id == spans["outer"].span_id


def test_what_is_not_sampled_is_not_sent_but_measured(watching: Maker) -> None:
    watched = watching(sampler=ALWAYS_OFF)
    call = make_call()
    call.watch(watched.hook.begin(call))
    played = play(answer(call, clock(), float), OK)
    assert watched.spans == []
    flags = dict(played.requests[0].headers)["traceparent"].rpartition("-")[2]
    assert int(flags, 16) & 1 == 0
    assert watched.metrics["gen_ai.client.operation.duration"].histogram.data_points[0].count == 1


def test_our_names_are_the_conventions() -> None:
    theirs = {value for name, value in vars(gen_ai_attributes).items() if isinstance(value, str) and name.isupper()}
    theirs |= {value for value in vars(gen_ai_metrics).values() if isinstance(value, str)}
    theirs.add("gen_ai.embeddings.dimension.count")
    ours = {value for value in vars(conventions).values() if isinstance(value, str) and value.startswith("gen_ai.")}
    assert ours | set(conventions.PARAMETERS.values()) <= theirs


KNOWN = {provider.value for provider in gen_ai_attributes.GenAiProviderNameValues}


@pytest.mark.parametrize("name", sorted(conventions.PROVIDERS))
def test_our_providers_are_called_by_the_conventions_names(name: str) -> None:
    assert conventions.PROVIDERS[name] in KNOWN


# ------------------------------------------------------------------------------------------------------------ by their names
@pytest.fixture
def by_name(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> Iterator[Callable[..., None]]:
    """Sets `dragoman.callbacks`, with variables as a program would have them."""
    sink.requests.clear()

    def use(*callbacks: str, **variables: str) -> None:
        monkeypatch.setattr(dragoman, "callbacks", list(callbacks))
        for name, text in variables.items():
            monkeypatch.setenv(name, text)

    named._made.cache_clear()
    yield use
    named._made.cache_clear()


HELLO = [{"role": "user", "content": "hello there"}]


def test_otel_sends_by_the_standard_variables(by_name: Callable[..., None], sink: Sink) -> None:
    by_name("otel", OTEL_EXPORTER_OTLP_ENDPOINT=sink.url, OTEL_SERVICE_NAME="my-program")
    dragoman.completion("demo/echo", HELLO)
    named.hook("otel").close()
    traced = next(message for path, _, message in sink.requests if path == "/v1/traces")
    assert attributes(traced.resource_spans[0].resource)["service.name"] == "my-program"
    assert {span.name for span in sink.spans} == {"chat demo/echo", "attempt demo/echo"}
    assert "gen_ai.client.operation.duration" in sink.metrics


def test_langfuse_gets_what_its_ingest_reads(by_name: Callable[..., None], sink: Sink) -> None:
    by_name("langfuse", LANGFUSE_HOST=sink.url + "/", LANGFUSE_PUBLIC_KEY="pk-lf-1", LANGFUSE_SECRET_KEY="sk-lf-1")
    metadata = {"session_id": "s-1", "tags": ["a", "b"], "trace_name": "ask"}
    dragoman.completion("demo/echo", HELLO, user="u-1", temperature=0.5, litellm_metadata=metadata)
    with pytest.raises(RateLimitError):
        dragoman.completion("demo/echo?fail=429", HELLO, num_retries=0)
    named.hook("langfuse").close()
    path, headers, _ = sink.requests[0]
    assert path == "/api/public/otel/v1/traces"
    assert headers["authorization"] == "Basic cGstbGYtMTpzay1sZi0x"
    told, failed = (attributes(span) for span in sink.spans if not span.parent_span_id)
    expected = {
        "langfuse.session.id": "s-1",
        "langfuse.user.id": "u-1",
        "langfuse.trace.name": "ask",
        "langfuse.trace.tags": ["a", "b"],
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "echo",
        "langfuse.observation.model.parameters": '{"temperature":0.5}',
    }
    assert {name: told.get(name) for name in expected} == expected
    assert "hello there" in told["langfuse.observation.input"]
    assert "hello there" in told["langfuse.observation.output"]
    assert json.loads(told["langfuse.observation.usage_details"])["total"] > 0
    assert json.loads(told["langfuse.observation.cost_details"]) == {"total": 0.0}
    assert failed["langfuse.observation.level"] == "ERROR"


@pytest.mark.parametrize("which", ["success", "failure"])
def test_a_name_may_be_for_one_kind_of_end(
    monkeypatch: pytest.MonkeyPatch, by_name: Callable[..., None], sink: Sink, which: str
) -> None:
    by_name(LANGFUSE_HOST=sink.url, LANGFUSE_PUBLIC_KEY="pk", LANGFUSE_SECRET_KEY="sk")
    monkeypatch.setattr(dragoman, f"{which}_callback", ["langfuse"])
    dragoman.completion("demo/echo", HELLO)
    with pytest.raises(RateLimitError):
        dragoman.completion("demo/echo?fail=429", HELLO, num_retries=0)
    named.hook("langfuse").close()
    failures = ["langfuse.observation.level" in attributes(span) for span in sink.spans if not span.parent_span_id]
    assert failures == [which == "failure"]


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: expected otlp, console or none"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "only http/protobuf"),
    ],
)
def test_an_exporter_that_is_not_there_is_an_error(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        exporting.tracers(variables)


def test_exporters_can_be_switched_off() -> None:
    off = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    assert exporting.tracers(off) is None
    assert exporting.meters(off) is None


def test_a_program_that_has_set_a_provider_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: theirs)
    assert exporting.tracers({}) is theirs
    theirs.shutdown()


def test_langfuse_names_the_keys_it_lacks() -> None:
    with pytest.raises(ConfigurationError, match="LANGFUSE_SECRET_KEY is not set"):
        langfuse.place({"LANGFUSE_PUBLIC_KEY": "pk"})
