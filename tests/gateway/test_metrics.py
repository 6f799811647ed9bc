"""What a gateway counts: by calls that end as scripted, through Prometheus's own parser, and over several workers."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from dragoman.core.chat import Usage
from dragoman.core.errors import BudgetExceededError, InternalServerError, RateLimitError
from dragoman.engine.call import Attempt, Call, CallOptions, Settlement
from dragoman.engine.price import price
from dragoman.gateway.config import read
from dragoman.gateway.observing.exposition import written
from dragoman.gateway.observing.families import COUNTED, CURRENT
from dragoman.gateway.observing.metrics import KINDS, Metrics
from dragoman.gateway.observing.requests import Requests
from dragoman.gateway.observing.series import added
from dragoman.gateway.observing.worker_files import WorkerFiles
from dragoman.gateway.pipeline import Pipeline
from support.demo_server import RunningDemo, demo_server
from support.gateway import RunningGateway, gateway

CONFIG = """
models:
  - {name: fast, id: fast-1, model: openai/gpt-4o-mini, api_key: sk-a}
  - {name: fast, id: fast-2, model: openai/gpt-4o, api_key: sk-b}
  - {name: spare, id: spare-1, model: anthropic/claude-haiku-4-5, api_key: sk-c}
  - {name: "any/*", model: "groq/*", api_key: sk-d}
"""


class Bench:
    """Metrics over a pipeline that is never asked; requests end as told."""

    def __init__(self, config: str = CONFIG, **given: Any) -> None:
        _, self.policy = read(config, file="test", env={})
        self.pipeline = Pipeline(self.policy, None, options=CallOptions())  # type: ignore[arg-type]  # nothing is sent
        self.requests = Requests()
        self.metrics = Metrics(self.pipeline, self.requests, **given)
        self.requests.told.append(self.metrics)

    def begin(self, model: str = "fast", *, stream: bool = False, who: Any = None) -> Call:
        group = self.policy.group(model)
        deployments = tuple(node.deployment for node in group.nodes)
        call = Call(operation="chat", dialect="openai_chat", model=model, body=b"{}", deployments=deployments, stream=stream)
        call.clock = time.perf_counter
        self.requests.begins(call, None, b"req-1", who)  # type: ignore[arg-type]  # metrics do not look at it
        return call

    def value(self, sample: str, **labels: str) -> float | None:
        """The sum of the samples that have these labels; None when there is none."""
        found = [s.value for s in self.samples() if s.name == sample and labels.items() <= s.labels.items()]
        return sum(found) if found else None

    def samples(self) -> list[Any]:
        text, _ = written(added([self.metrics.tables(), self.metrics.current()]), "")
        return [sample for family in parse(text.decode()) for sample in family.samples]


def tried(call: Call, place: int = 0, error: Any = None, **more: Any) -> None:
    now = time.perf_counter()
    call.attempts.append(Attempt(call.deployments[place], now, now, error, **more))


USAGE = Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=400, reasoning_tokens=10)


def test_an_answer_is_counted_everywhere_once() -> None:
    bench = Bench()
    call = bench.begin()
    tried(call)
    call.settle(Settlement(usage=USAGE))
    labels = {"operation": "chat", "model": "fast"}
    assert bench.value("dragoman_requests_total", **labels, dialect="openai_chat", status="2xx") == 1
    assert bench.value("dragoman_request_duration_seconds_count", **labels) == 1
    assert bench.value("dragoman_attempts_total", deployment="fast-1", outcome="success") == 1
    assert bench.value("dragoman_tokens_total", deployment="fast-1", kind="input") == 1000
    assert bench.value("dragoman_tokens_total", deployment="fast-1", kind="cache_read") == 400
    assert bench.value("dragoman_tokens_total", deployment="fast-1", kind="cache_write") is None


@pytest.mark.parametrize("model", ["fast", "spare"])
def test_what_is_spent_is_the_sum_of_the_prices(model: str) -> None:
    bench, expected = Bench(), 0.0
    for tokens in (10, 1000, 300_000):
        call = bench.begin(model)
        tried(call)
        usage = Usage(input_tokens=tokens, output_tokens=tokens // 10)
        call.settle(Settlement(usage=usage))
        cost = price(call, usage)
        assert cost is not None
        assert cost.dollars is not None
        expected += cost.dollars
        assert bench.value("dragoman_spend_usd_total", deployment=call.deployments[0].id) == pytest.approx(expected, abs=1e-8)


def test_a_batch_is_counted_when_it_is_settled_at_the_price_of_batches() -> None:
    bench = Bench()
    usual, batched = bench.begin(), bench.begin()
    batched.operation = "batch"
    costs = []
    for call in (usual, batched):
        tried(call)
        call.observers = (bench.metrics.settled,) if call is batched else call.observers
        call.settle(Settlement(usage=USAGE))
        cost = price(call, USAGE)
        assert cost is not None
        assert cost.dollars
        costs.append(cost.dollars)
    assert costs[1] == pytest.approx(costs[0] / 2)
    assert bench.value("dragoman_spend_usd_total", deployment="fast-1") == pytest.approx(sum(costs), abs=1e-9)
    assert bench.value("dragoman_tokens_total", deployment="fast-1", kind="input") == 2000


def test_an_answer_of_two_deployments_is_counted_at_each() -> None:
    bench = Bench()
    call = bench.begin(stream=True)
    first, whole = Usage(input_tokens=100, output_tokens=20), Usage(input_tokens=230, output_tokens=50)
    tried(call, 0, InternalServerError("broken"), usage=first)
    tried(call, 1, reason="continuation")
    call.settle(Settlement(usage=whole))
    for place, kind, count in (("1", "input", 100), ("1", "output", 20), ("2", "input", 130), ("2", "output", 30)):
        assert bench.value("dragoman_tokens_total", deployment=f"fast-{place}", kind=kind) == count
    cost = price(call, whole)
    assert cost is not None
    assert bench.value("dragoman_spend_usd_total") == pytest.approx(cost.dollars, abs=1e-9)


def test_moves_from_one_attempt_to_the_next_are_told_apart() -> None:
    bench = Bench()
    call = bench.begin()
    spare = bench.policy.group("spare").nodes[0].deployment
    tried(call, 0, RateLimitError("busy"))
    tried(call, 1, InternalServerError("broken"))
    call.attempts.append(Attempt(spare, 1.0, 2.0))
    call.settle(Settlement())
    assert bench.value("dragoman_retries_total", model="fast", reason="RateLimitError") == 1
    assert bench.value("dragoman_fallbacks_total", model="fast", to="spare", reason="InternalServerError") == 1
    assert bench.value("dragoman_attempts_total", deployment="fast-1", outcome="RateLimitError") == 1
    assert bench.value("dragoman_requests_total", status="2xx") == 1


def test_a_hedge_is_neither_a_retry_nor_a_fallback() -> None:
    bench = Bench()
    call = bench.begin()
    tried(call, 0, cancelled=True)
    tried(call, 1, reason="hedge")
    call.settle(Settlement())
    assert bench.value("dragoman_hedges_total", model="fast") == 1
    assert bench.value("dragoman_attempts_total", outcome="cancelled") == 1
    assert bench.value("dragoman_retries_total") is None


ENDS = [
    (Settlement(), "2xx"),
    (Settlement(cancelled=True), "4xx"),
    (Settlement(error=RateLimitError("busy")), "4xx"),
    (Settlement(error=InternalServerError("broken")), "5xx"),
    (Settlement(error=msgspec.DecodeError("no JSON")), "4xx"),
]


@pytest.mark.parametrize(("end", "status"), ENDS, ids=[str(end.error or end.cancelled) for end, _ in ENDS])
def test_every_end_has_a_status_class(end: Settlement, status: str) -> None:
    bench = Bench()
    bench.begin().settle(end)
    assert bench.value("dragoman_requests_total", status=status) == 1
    assert bench.value("dragoman_requests_total") == 1


@pytest.mark.parametrize("begun", [False, True])
def test_a_refusal_is_counted_by_its_kind_and_as_a_request(begun: bool) -> None:
    bench = Bench()
    call = bench.begin() if begun else None
    error = BudgetExceededError("spent")
    told: Any = {"operation": "chat", "dialect": "openai_chat", "exchange": None, "identity": b"r", "call": call}
    bench.requests.refused(error, **told)
    if call is not None:
        call.settle(Settlement(cancelled=True))  # what the pipeline does with what is left
    assert bench.value("dragoman_refusals_total", reason="BudgetExceededError") == 1
    assert bench.value("dragoman_requests_total", status="4xx") == 1
    assert bench.value("dragoman_requests_total") == 1
    assert bench.value("dragoman_requests_in_flight") == 0


def test_streams_are_timed_and_counted_while_they_are_open() -> None:
    bench = Bench()
    call = bench.begin(stream=True)
    assert bench.value("dragoman_open_streams") == 1
    assert bench.value("dragoman_requests_waiting") == 1
    tried(call)
    assert bench.value("dragoman_requests_waiting") == 0
    call.settle(Settlement(usage=USAGE))
    assert bench.value("dragoman_open_streams") == 0
    assert bench.value("dragoman_time_to_first_token_seconds_count", model="fast") == 1
    assert bench.value("dragoman_time_per_output_token_seconds_count", model="fast") == 1


def test_what_clients_write_is_no_label() -> None:
    bench = Bench()
    for number in range(50):
        call = bench.begin(f"any/model-{number}")
        tried(call)
        call.settle(Settlement(usage=USAGE))
    labels = {value for sample in bench.samples() for value in sample.labels.values()}
    assert not [label for label in labels if "model-" in label]
    assert bench.value("dragoman_requests_total", model="other") == 50
    assert bench.value("dragoman_tokens_total", deployment="other", kind="input") == 50_000


def test_a_watcher_that_fails_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.requests.told.insert(0, lambda _: 1 / 0)
    bench.begin().settle(Settlement())
    assert bench.value("dragoman_requests_total") == 1
    assert "ZeroDivisionError" in caplog.text


class _Key(NamedTuple):
    id: str


class _Who(NamedTuple):
    key: _Key


def test_keys_are_labels_only_when_asked_for_and_then_a_few() -> None:
    for most, expected in ((0, set()), (3, {"key-0", "key-1", "key-2", "other"})):
        bench = Bench(by_key=most)
        for number in range(10):
            call = bench.begin(who=_Who(_Key(f"key-{number}")))
            tried(call)
            call.settle(Settlement(usage=USAGE))
        assert {sample.labels["key"] for sample in bench.samples() if "key" in sample.labels} == expected


def test_a_deployment_that_is_out_is_told_with_the_reason() -> None:
    bench = Bench()
    node = bench.policy.group("fast").nodes[0]
    node.health.out, node.health.until = "unavailable", time.perf_counter() + 60
    assert bench.value("dragoman_deployment_out", deployment="fast-1", reason="unavailable") == 1
    assert bench.value("dragoman_deployment_out", deployment="fast-2") is None


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0; charset=utf-8"])
def test_the_text_is_clean(accept: str) -> None:
    """What promtool's check would say: a help and a type for each, counters named so, units in the names, no sample twice."""
    bench = Bench(by_key=2)
    call = bench.begin(stream=True)
    tried(call)
    call.settle(Settlement(usage=USAGE))
    text, media_type = written(added([bench.metrics.tables(), bench.metrics.current()]), accept)
    reader = parse_openmetrics if "openmetrics" in media_type else parse
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    for family in reader(text.decode()):
        assert family.documentation
        assert family.type in {"counter", "gauge", "histogram"}
        for sample in family.samples:
            assert sample.name.startswith("dragoman_")
            assert family.type != "counter" or sample.name.endswith("_total")
            key = sample.name, frozenset(sample.labels.items())
            assert key not in seen
            seen.add(key)


def test_names_and_labels_are_well_formed() -> None:
    names = [family.name for family in (*COUNTED, *CURRENT)]
    assert len(set(names)) == len(names)
    for family in (*COUNTED, *CURRENT):
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert list(family.bounds) == sorted(set(family.bounds))
        assert (family.kind == "histogram") == bool(family.bounds)
    assert {f"{kind}_tokens" for kind in KINDS} <= {field.name for field in msgspec.structs.fields(Usage)}


# ------------------------------------------------------------------------------------------------------------ several workers
def test_workers_add_their_numbers_up(tmp_path: Path) -> None:
    one, other = Bench(), Bench()
    for bench in (one, one, other):
        bench.begin().settle(Settlement())
    other.begin()
    here, there = WorkerFiles(tmp_path), WorkerFiles(tmp_path)
    here.leave(one.metrics.tables(), one.metrics.current())
    there.leave(other.metrics.tables(), other.metrics.current())
    total = added([one.metrics.tables(), one.metrics.current(), *here.others()])
    assert total["dragoman_requests"] == {("chat", "fast", "openai_chat", "2xx"): [3.0]}
    assert total["dragoman_requests_in_flight"] == {(): [1.0]}


def test_a_dead_worker_still_counts_but_nothing_is_in_flight_there(tmp_path: Path) -> None:
    bench = Bench()
    bench.begin().settle(Settlement())
    bench.begin()
    dead = WorkerFiles(tmp_path)
    dead._pid = _dead_pid()
    dead.leave(bench.metrics.tables(), bench.metrics.current())
    total = added(WorkerFiles(tmp_path).others())
    assert total["dragoman_requests"] == {("chat", "fast", "openai_chat", "2xx"): [1.0]}
    assert "dragoman_requests_in_flight" not in total


def test_those_that_have_ended_end_in_one_file(tmp_path: Path) -> None:
    for _ in range(3):
        bench = Bench()
        bench.begin().settle(Settlement())
        bench.begin()
        dead = WorkerFiles(tmp_path)
        dead._pid = _dead_pid()
        dead.leave(bench.metrics.tables(), bench.metrics.current())
    alive = WorkerFiles(tmp_path)
    alive.leave(bench.metrics.tables(), bench.metrics.current())
    reader = WorkerFiles(tmp_path)
    before, much_later = added(reader.others()), time.time() + 1000
    for now, left in ((time.time(), 4), (much_later, 2), (much_later, 2)):
        reader.merge(now)
        assert len(list(tmp_path.glob("*.metrics"))) == left
        assert added(reader.others()) == before
    assert (tmp_path / "ended.metrics").exists()
    assert not list(tmp_path.glob("*.new"))


def test_a_kill_while_they_are_merged_counts_nobody_twice(tmp_path: Path) -> None:
    bench = Bench()
    bench.begin().settle(Settlement())
    dead = WorkerFiles(tmp_path)
    dead._pid = _dead_pid()
    dead.leave(bench.metrics.tables(), bench.metrics.current())
    (left,) = tmp_path.glob("*.metrics")
    content, reader = left.read_bytes(), WorkerFiles(tmp_path)
    before = added(reader.others())
    reader.merge(time.time() + 1000)
    left.write_bytes(content)  # merged, and not removed any more
    assert added(reader.others()) == before
    reader.merge(time.time() + 1000)
    assert added(reader.others()) == before
    assert not left.exists()


def _dead_pid() -> int:
    pid = os.fork() if hasattr(os, "fork") else 0
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "1-aa.metrics").write_bytes(b"\xc1 no msgpack")
    assert WorkerFiles(tmp_path).others() == []


# ------------------------------------------------------------------------------------------------------------- real gateways
SERVED = """
models:
  - {{name: echo, id: echo-1, model: openai/echo, api_base: '{base}', api_key: sk-upstream}}
server: {{api_key: sk-the-gateways-key}}
metrics: {{open: {open}}}
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


def scrape(served: RunningGateway, key: str | None = None) -> tuple[int, str]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{served.url}/metrics", headers=headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def ask(served: RunningGateway) -> None:
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hi"}]}).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer sk-the-gateways-key"}
    with urllib.request.urlopen(urllib.request.Request(f"{served.openai_url}/chat/completions", body, headers)) as answer:
        answer.read()


@pytest.mark.parametrize("open_", ["true", "false"])
def test_the_page_wants_the_key_unless_it_is_open(demo: RunningDemo, open_: str) -> None:
    with gateway(SERVED.format(base=demo.openai_url, open=open_)) as served:
        ask(served)
        assert scrape(served)[0] == (200 if open_ == "true" else 401)
        status, text = scrape(served, "sk-the-gateways-key")
    assert status == 200
    assert 'dragoman_requests_total{dialect="openai_chat",model="echo",operation="chat",status="2xx"} 1.0' in text
    assert "dragoman_worker_cpu_seconds_total" in text
    assert "sk-" not in text


def test_any_worker_tells_of_all(demo: RunningDemo, tmp_path: Path) -> None:
    config = SERVED.format(base=demo.openai_url, open="true").replace("server: {", "server: {workers: 2, ")
    with gateway(config, DRAGOMAN_METRICS_FOLDER=str(tmp_path)) as served:
        for _ in range(12):
            ask(served)
        deadline = time.monotonic() + 30
        while (told := _told(scrape(served)[1])) != (12.0, 2):
            assert time.monotonic() < deadline, f"the workers do not hear of each other: {told}"


def _told(text: str) -> tuple[float, int]:
    """How many requests were answered, and by how many workers."""
    samples = [sample for family in parse(text) for sample in family.samples]
    requests = sum(sample.value for sample in samples if sample.name == "dragoman_requests_total")
    return requests, sum(sample.name == "dragoman_worker_cpu_seconds_total" for sample in samples)
