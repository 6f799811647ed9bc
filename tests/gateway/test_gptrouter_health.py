"""How models fare, from real traffic: sums and what they are bounded by, restarts, the status page, badges, probes."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from dragoman.core.chat import Usage
from dragoman.core.errors import BadRequestError, InternalServerError
from dragoman.core.http import HttpRequest, HttpResponse, Timeouts
from dragoman.engine.call import Attempt, Call, CallOptions, Settlement
from dragoman.gateway import config as gateway_config
from dragoman.gateway.gptrouter import status
from dragoman.gateway.gptrouter.entry import ProbesEntry
from dragoman.gateway.gptrouter.health import BUCKET_SECONDS, KEPT_BUCKETS, MAX_MODELS, Bucket, History, Row
from dragoman.gateway.gptrouter.health_store import HealthStore
from dragoman.gateway.gptrouter.probes import Probes
from dragoman.gateway.pipeline import Pipeline
from dragoman.providers import registry
from dragoman.router.deployment import Deployment

NOW = 1_800_000_000.0
FAILED = InternalServerError("down", attempts=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def deployment(model: str = "openai/gpt-4o-mini") -> Deployment:
    return Deployment(registry.resolve(model, api_key="sk-up", env={}), group=model.partition("/")[2])


def ended(*errors: Any, model: str = "openai/gpt-4o-mini", usage: Usage | None = None) -> Call:
    """A call of as many attempts as there are `errors`; None stands for an answer after 250 ms."""
    place = deployment(model)
    call = Call(operation="chat", dialect="openai_chat", model="m", body=b"{}", deployments=(place,))
    call.attempts = [Attempt(place, 1.0, 1.25, error) for error in errors]
    call.settle(Settlement(usage=usage))
    return call


def day(history: History, name: str = "chat_openai/gpt-4o-mini") -> Any:
    known = history.find(name)
    return None if known is None else [known.buckets[start] for start in sorted(known.buckets)]


def test_attempts_are_counted_where_they_were_made() -> None:
    history = History(clock=Clock())
    history.note(ended(FAILED, None, usage=Usage(input_tokens=1000, output_tokens=500)))
    (bucket,) = day(history)
    assert (bucket.good, bucket.bad, bucket.mean_latency) == (1, 1, 250.0)
    assert (bucket.input_tokens, bucket.output_tokens, bucket.cost > 0) == (1000, 500, True)


def test_the_clients_own_mistakes_say_nothing_of_a_model() -> None:
    history = History(clock=Clock())
    history.note(ended(BadRequestError("no", attempts=1)))
    assert history.models == []


def test_memory_is_bounded_in_time_and_in_models() -> None:
    clock = Clock()
    history = History(clock=clock)
    for _ in range(KEPT_BUCKETS + 5):
        history.note(ended(None))
        clock.now += BUCKET_SECONDS
    assert len(day(history)) == KEPT_BUCKETS
    assert day(history)[0].start > NOW
    clock.now += BUCKET_SECONDS
    history.keep([Row("chat_openai", "gpt-4o-mini", Bucket(int(clock.now)))])  # what another worker saw
    assert len(day(history)) == KEPT_BUCKETS
    for number in range(MAX_MODELS + 5):
        history.note(ended(None, model=f"openai/m{number}"))
    assert len(history.models) == MAX_MODELS


def test_who_goes_down_and_comes_up_is_told_once_each() -> None:
    told: list[tuple[str, bool]] = []
    history = History(clock=Clock(), changed=lambda name, up: told.append((name, up)))
    for error in (FAILED, FAILED, FAILED, FAILED, None, None):
        history.note(ended(error))
    assert told == [("chat_openai/gpt-4o-mini", False), ("chat_openai/gpt-4o-mini", True)]


def test_what_was_seen_is_there_after_a_restart_and_workers_add_up(tmp_path: Path) -> None:
    path, clock = tmp_path / "health.db", Clock()
    stores = [HealthStore(path) for _ in range(2)]
    workers = [History(clock=clock) for _ in stores]
    for store, worker in zip(stores, workers, strict=True):
        worker.keep(store.load(clock.now))
        worker.note(ended(None, usage=Usage(input_tokens=10, output_tokens=5)))
    for store, worker in zip(stores, workers, strict=True):
        rows = worker.take_unsaved()
        worker.note(ended(FAILED))  # while the store is being written
        worker.keep(store.add(rows, clock.now))
    assert [(bucket.good, bucket.bad, bucket.input_tokens) for bucket in day(workers[1])] == [(2, 1, 20)]
    stores[0].add(workers[0].take_unsaved(), clock.now)
    stores[1].add(workers[1].take_unsaved(), clock.now)
    for store in stores:
        store.close()
    again, store = History(clock=clock), HealthStore(path)
    again.keep(store.load(clock.now))
    assert [(bucket.good, bucket.bad, bucket.latency) for bucket in day(again)] == [(2, 2, 500.0)]
    assert store.load(clock.now + KEPT_BUCKETS * BUCKET_SECONDS + BUCKET_SECONDS) == []
    store.close()


def test_the_file_forgets_what_is_older_than_a_day(tmp_path: Path) -> None:
    store = HealthStore(tmp_path / "health.db")
    store.add([Row("openai", "m", Bucket(int(NOW), good=1))], NOW)
    assert len(store.load(NOW)) == 1
    store.add([], NOW + (KEPT_BUCKETS + 1) * BUCKET_SECONDS)
    assert store.load(NOW) == []
    store.close()


def test_what_could_not_be_saved_is_saved_the_next_time(tmp_path: Path) -> None:
    clock, store = Clock(), HealthStore(tmp_path / "health.db")
    history = History(clock=clock)
    history.keep(store.load(clock.now))
    history.note(ended(None))
    history.give_back(history.take_unsaved())
    history.note(ended(None))
    assert [row.bucket.good for row in store.add(history.take_unsaved(), clock.now)] == [2]
    store.close()


# --------------------------------------------------------------------------------------------------------------- for people
class Page(HTMLParser):
    """Every tag that was opened, and whatever it would load."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def seen() -> History:
    history = History(clock=Clock())
    history.note(ended(None, None, FAILED))
    history.note(ended(FAILED, FAILED, FAILED, model="groq/<b>&llama"))
    return history


def test_the_page_stands_alone_and_can_be_read_by_all() -> None:
    text = status.page(seen().models, NOW)
    page = Page(text)
    assert page.open == []
    assert not [tag for tag, attributes in page.tags if tag in ("script", "link", "img", "iframe") or "src" in attributes]
    assert b"http" not in text
    assert ("html", {"lang": "en"}) in page.tags
    assert [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"] == [
        "1 hours up, 0 down, 23 without traffic",
        "0 hours up, 1 down, 23 without traffic",
    ]
    assert b"prefers-color-scheme:dark" in text
    assert b"<b>" not in text
    assert b"groq/&lt;b&gt;&amp;llama" in text
    assert b"66.7%" in text


def test_a_page_without_traffic_says_so() -> None:
    assert b"Nobody has asked a model yet" in status.page([], NOW)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (b"/status/badge/chat_openai/gpt-4o-mini.svg", "chat_openai/gpt-4o-mini: up 66.7%"),
        (b"/status/badge/groq/%3Cb%3E%26llama.svg", "groq/<b>&llama: down 0.0%"),
        (b"/status/badge/nobody/nothing.svg", "nobody/nothing: unknown"),
    ],
)
def test_a_badge_is_a_picture_with_its_words(path: bytes, told: str) -> None:
    name = status.badge_name(path)
    picture = ET.fromstring(status.badge(name, seen().find(name), NOW))
    assert picture.attrib["aria-label"] == told


def test_what_is_a_day_old_is_no_news() -> None:
    assert status.standing(seen().find("chat_openai/gpt-4o-mini"), NOW + 2 * 86400).word == "unknown"


# ------------------------------------------------------------------------------------------------------------------- probes
class Answering:
    """A transport that answers every chat, and keeps what was asked. `usage`: what an answer tells of it."""

    def __init__(self, usage: bytes = b'{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}') -> None:
        self.asked: list[str] = []
        self.usage = usage

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        self.asked.append(request.url)
        body = (
            b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
            b'"content":"pong"},"finish_reason":"stop"}],"usage":' + self.usage + b"}"
        )
        return HttpResponse(status=200, headers=(("content-type", "application/json"),), body=body)


YAML = """
models:
  - {name: cheap, model: openai/gpt-4o-mini, api_key: k}
  - {name: dear, model: openai/private, api_key: k, input_price: 1000000, output_price: 1000000}
  - {name: unpriced, model: openai/nobody-knows-it, api_key: k}
  - {name: vectors, model: openai/text-embedding-3-small, api_key: k}
"""


def probing(**entry: Any) -> tuple[Probes, Answering, History, Clock]:
    _, policy = gateway_config.read(YAML, file="t", env={})
    transport, clock = Answering(), Clock()
    history = History(clock=clock)
    pipeline = Pipeline(policy, transport, options=CallOptions())  # type: ignore[arg-type]  # all that a probe needs
    return Probes(ProbesEntry(**entry), pipeline, CallOptions(), history, clock=clock), transport, history, clock


def test_only_chat_models_with_a_price_within_the_cap_are_probed() -> None:
    probes, transport, history, _ = probing(dollars_a_day=0.01)
    assert asyncio.run(probes.turn()) == 1
    assert [known.name for known in history.models] == ["chat_openai/cheap"]
    assert len(transport.asked) == 1


def test_who_was_asked_is_left_alone_until_it_is_idle() -> None:
    probes, transport, _, clock = probing(every_seconds=300)
    probes.seen(ended(None, model="openai/gpt-4o-mini"))
    asyncio.run(probes.turn())
    asyncio.run(probes.turn())
    assert len(transport.asked) == 1  # by the probe itself
    clock.now += 300
    asyncio.run(probes.turn())
    assert len(transport.asked) == 2


def test_the_cap_is_for_a_day() -> None:
    probes, transport, _, clock = probing(every_seconds=1, dollars_a_day=5e-5)
    for _ in range(20):
        asyncio.run(probes.turn())
        clock.now += 2
    spent = len(transport.asked)
    assert 0 < spent < 20
    clock.now += 86400
    asyncio.run(probes.turn())
    assert len(transport.asked) == spent + 1


def test_a_probe_that_tells_no_usage_is_paid_for_as_the_dearest() -> None:
    probes, transport, _, clock = probing(every_seconds=1, dollars_a_day=5e-5)
    transport.usage = b"null"
    for _ in range(20):
        asyncio.run(probes.turn())
        clock.now += 2
    assert len(transport.asked) == 2  # by its list for priority: 16 x 0.25 + 16 x 1.00 = 20 micro-dollars each
