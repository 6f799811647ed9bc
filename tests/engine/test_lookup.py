"""Calls through a cache, in each of the three drivers: what is asked, what is kept, and what a hit is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from dragoman.caching import Cache
from dragoman.caching.memory import MemoryStore
from dragoman.caching.store import Found
from dragoman.core import errors as e
from dragoman.core.chat import ChatResponse, Usage
from dragoman.core.http import TransportFailure
from dragoman.engine.call import Attempt, Call
from dragoman.engine.drive import Push, adrive, drive
from dragoman.engine.flow import answer, open_stream
from dragoman.engine.lookup import Lookup
from dragoman.engine.streams import StreamState, events
from dragoman.providers.base import Quirks
from dragoman.router.deployment import Terms
from dragoman.router.retry import RetryPolicy
from dragoman.transport.replay import AsyncReplayTransport, Pieces, ReplayTransport
from support.calls import ERROR_EVENT, LO, ROLE, STREAM, chunk, completion, deployment, fail, make_call, respond

OTHER = [{"role": "user", "content": "bye"}]


class Slow(MemoryStore):
    """A store that has to be waited for."""

    instant = False

    async def aread(self, keys: Sequence[str]) -> Found:
        await asyncio.sleep(0)
        return self.read(keys)


def sync(flow: Any, *answers: Any) -> Any:
    return drive(flow, ReplayTransport(*answers))


def awaited(flow: Any, *answers: Any) -> Any:
    return asyncio.run(adrive(flow, AsyncReplayTransport(*answers)))


def called_back(flow: Any, *answers: Any) -> Any:
    async def run() -> Any:
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        Push(flow, AsyncReplayTransport(*answers), lambda *end: told.set_result(end)).start()
        found, problem = await told
        if problem is not None:
            raise problem
        return found

    return asyncio.run(run())


DRIVERS = {"thread": sync, "task": awaited, "callbacks": called_back}


@pytest.fixture(params=DRIVERS.values(), ids=DRIVERS)
def run(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[MemoryStore, Slow], ids=["instant", "waited for"])
def cache(request: pytest.FixtureRequest) -> Cache:
    return Cache(store=request.param(max_bytes=1 << 20))


def asking(cache: Cache, said: dict[str, Any] | None = None, *scope: Any, **given: Any) -> Call:
    call = make_call(**given)
    controls = cache.controls(None, said)
    assert controls is not None
    call.lookup = Lookup(cache, controls, scope)
    return call


def plain(call: Call) -> Any:
    return answer(call, float, float)


def status(call: Call) -> str:
    assert call.lookup is not None
    return call.lookup.status


def streamed(call: Call, *pieces: bytes, failure: TransportFailure | None = None) -> ChatResponse:
    """Open the stream, and read it to its end."""
    transport = ReplayTransport(*([Pieces(pieces=pieces, failure=failure)] if pieces else []))
    state = StreamState(drive(open_stream(call, float, float), transport), call)
    for _ in events(state):
        pass
    return state.response


# -------------------------------------------------------------------------------------------------------------- answers
def test_the_second_call_asks_nobody(cache: Cache, run: Any) -> None:
    first, second = asking(cache), asking(cache)
    asked = run(plain(first), respond())
    kept = run(plain(second))
    assert (status(first), status(second)) == ("miss", "hit")
    assert kept.response == asked.response
    assert (second.attempts, second.settlement.usage, kept.usage) == ([], Usage(), Usage())
    assert second.settlement.response == asked.response
    assert kept.prepared.deployment.id == asked.prepared.deployment.id
    assert kept.prepared.deployment.target.api_key is None


def test_a_hit_settles_once_and_tells_the_observers(cache: Cache, run: Any) -> None:
    settled: list[Any] = []
    run(plain(asking(cache)), respond())
    run(plain(asking(cache, settled=settled)))
    assert [(end.error, end.cancelled) for end in settled] == [(None, False)]


def test_a_call_without_a_cache_is_the_flows_own() -> None:
    call = make_call()
    assert plain(call).gi_code.co_name == "_attempts"


DIFFERENT: dict[str, dict[str, Any]] = {
    "another question": {"body": {"model": "asked", "messages": OTHER}},
    "a parameter": {"body": {"model": "asked", "messages": [{"role": "user", "content": "hello"}], "seed": 1}},
    "a field of the body": {"extra_body": {"min_p": 0.1}},
    "an error for what would be dropped": {"strict": True},
    "a header": {"extra_headers": (("anthropic-beta", "x"),)},
}


@pytest.mark.parametrize("given", DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_is_asked(given: dict[str, Any]) -> None:
    cache = Cache()
    sync(plain(asking(cache)), respond())
    other = asking(cache, **given)
    sync(plain(other), respond())
    assert status(other) == "miss"


def test_another_place_is_another_answer() -> None:
    cache = Cache()
    for name in ("acme", "other"):
        call = make_call(deployment(name))
        call.lookup = Lookup(cache, cache.controls(None, None), ())
        sync(plain(call), respond())
        assert status(call) == "miss"


def test_parameters_that_a_deployment_adds_count() -> None:
    cache = Cache()
    for defaults in ({}, {"temperature": 0.1}, {"temperature": 0.2}):
        place = deployment()
        place.terms = Terms(defaults=defaults)
        call = make_call(place)
        call.lookup = Lookup(cache, cache.controls(None, None), ())
        sync(plain(call), respond())
        assert status(call) == "miss"


def test_tenants_and_namespaces_are_apart() -> None:
    cache = Cache()
    sync(plain(asking(cache, None, "key-1")), respond())
    for said, scope in ((None, "key-2"), ({"namespace": "x"}, "key-1")):
        call = asking(cache, said, scope)
        sync(plain(call), respond())
        assert status(call) == "miss"
    shared = Cache(store=cache.store, namespace="mine")
    call = asking(shared, None, "key-1")
    sync(plain(call), respond())
    assert status(call) == "miss"


def test_controls_of_a_call() -> None:
    cache = Cache()
    for said, expected in (
        ({"no-store": True}, "miss"),
        (None, "miss"),
        (None, "hit"),
        ({"no-cache": True}, "miss"),
        ({"no-store": True}, "hit"),
    ):
        call = asking(cache, said)
        sync(plain(call), *([] if expected == "hit" else [respond()]))
        assert status(call) == expected


def test_an_answer_may_be_too_old_for_a_call() -> None:
    now, cache = [1000.0], Cache(store=MemoryStore(max_bytes=1 << 20, clock=lambda: 0.0))

    def ask(said: Any, *answers: Any) -> str:
        call = asking(cache, said)
        sync(answer(call, float, lambda: now[0]), *answers)
        return status(call)

    assert ask(None, respond()) == "miss"
    now[0] += 10
    assert ask({"s-maxage": 10}) == "hit"
    assert ask({"s-maxage": 9}, respond()) == "miss"


def test_the_time_an_answer_is_kept_is_the_calls_or_the_caches() -> None:
    now = [0.0]
    cache = Cache(ttl=100, store=MemoryStore(max_bytes=1 << 20, clock=lambda: now[0]))
    sync(plain(asking(cache, {"ttl": 5})), respond())
    sync(plain(asking(cache, body={"model": "asked", "messages": OTHER})), respond())
    now[0] = 6
    late, kept = asking(cache), asking(cache, body={"model": "asked", "messages": OTHER})
    sync(plain(late), respond())
    sync(plain(kept))
    assert (status(late), status(kept)) == ("miss", "hit")


# -------------------------------------------------------------------------------------------------- what is not kept
FILTERED = completion(
    choices=[{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "content_filter"}]
)


@pytest.mark.parametrize("failure", [fail(400), fail(429), TransportFailure("closed", "gone")])
def test_errors_are_not_kept(failure: Any) -> None:
    cache = Cache()
    with pytest.raises(e.CallError):
        sync(plain(asking(cache, retries=0)), failure)
    call = asking(cache)
    assert sync(plain(call), respond()).response is not None
    assert status(call) == "miss"


def test_a_filtered_answer_is_not_kept() -> None:
    cache = Cache()
    sync(plain(asking(cache)), respond(FILTERED))
    call = asking(cache)
    sync(plain(call), respond())
    assert status(call) == "miss"


def test_the_answer_of_a_fallback_is_not_kept() -> None:
    cache, place = Cache(), deployment("first")
    other = deployment("second")
    other.group = "another"
    call = make_call(place, other, retry=RetryPolicy(max_retries=1, base=0, max_wait=0))
    call.lookup = Lookup(cache, cache.controls(None, None), ())
    sync(plain(call), fail(500), respond())
    assert len(cache.store) == 0  # type: ignore[arg-type]


def test_a_request_that_only_its_provider_understands_is_sent_as_ever() -> None:
    cache = Cache()
    call = asking(cache, body={"model": "asked", "messages": "no list"})
    sync(plain(call), respond())
    assert status(call) == ""
    assert len(cache.store) == 0  # type: ignore[arg-type]


def test_operations_that_are_not_cached() -> None:
    cache = Cache(operations={"embedding"})
    call = asking(cache)
    sync(plain(call), respond())
    assert status(call) == ""


def test_warnings_of_the_request_are_told_again() -> None:
    cache, place = Cache(), deployment(quirks=Quirks(drop=frozenset({"seed"})))
    body = {"model": "asked", "messages": OTHER, "seed": 3}
    told = []
    for answers in ([respond()], []):
        call = make_call(place, body=body)
        call.lookup = Lookup(cache, cache.controls(None, None), ())
        sync(plain(call), *answers)
        told.append([warning.field for warning in call.warnings])
    assert told == [["seed"], ["seed"]]


# -------------------------------------------------------------------------------------------------------------- streams
def test_a_stream_is_kept_when_it_has_ended_and_serves_both(cache: Cache) -> None:
    call = asking(cache, stream=True)
    whole = streamed(call, *STREAM)
    again, unstreamed = asking(cache, stream=True), asking(cache)
    assert streamed(again) == whole
    assert sync(plain(unstreamed)).response == whole
    assert (status(call), status(again), status(unstreamed)) == ("miss", "hit", "hit")
    assert again.settlement is not None
    assert again.settlement.usage == Usage()


def test_a_plain_answer_serves_a_stream(cache: Cache) -> None:
    found = sync(plain(asking(cache)), respond())
    call = asking(cache, stream=True)
    assert streamed(call) == found.response
    assert status(call) == "hit"


BROKEN: dict[str, Any] = {
    "ended too early": {"pieces": (ROLE, LO)},
    "broke": {"pieces": (ROLE, LO), "failure": TransportFailure("closed", "gone")},
    "an error in it": {"pieces": (ROLE, LO, ERROR_EVENT)},
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_is_not_kept(case: dict[str, Any]) -> None:
    cache = Cache()
    with pytest.raises(e.StreamInterruptedError):
        streamed(asking(cache, stream=True, retries=0), *case["pieces"], failure=case.get("failure"))
    assert len(cache.store) == 0  # type: ignore[arg-type]


def test_a_stream_that_the_client_left_is_not_kept() -> None:
    cache = Cache()
    call = asking(cache, stream=True)
    state = StreamState(drive(open_stream(call, float, float), ReplayTransport(Pieces(pieces=STREAM))), call)
    reading = events(state)
    next(reading)
    reading.close()
    assert call.settlement is not None
    assert call.settlement.cancelled
    assert len(cache.store) == 0  # type: ignore[arg-type]


def test_a_stream_with_a_hole_in_it_is_not_kept() -> None:
    cache = Cache()
    call = asking(cache, stream=True)
    streamed(call, ROLE, LO, b"data: {broken\n\n", chunk({}, "stop"), STREAM[-1])
    assert call.warnings
    assert len(cache.store) == 0  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------------- embeddings
def embedding(cache: Cache, *inputs: str, **said: Any) -> Call:
    place = deployment(dialects={"embedding": "openai_embeddings"})
    body = {"model": "asked", "input": list(inputs), **said}
    call = make_call(place, body=body, dialect="openai_embeddings", operation="embedding")
    call.lookup = Lookup(cache, cache.controls(None, None), ())
    return call


def vectors(*values: float, tokens: int = 1) -> Any:
    data = [{"object": "embedding", "index": place, "embedding": [value]} for place, value in enumerate(values)]
    return respond({"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})


def test_only_inputs_that_are_not_kept_are_asked_for(cache: Cache, run: Any) -> None:
    asked: list[list[str]] = []

    def told(flow: Any, *answers: Any) -> list[float]:
        found = run(flow, *answers)
        asked.append(json.loads(found.prepared.request.body)["input"] if found.prepared.request.body else [])
        return [embedding.vector[0] for embedding in found.response.embeddings]

    first, second, third = embedding(cache, "a", "b"), embedding(cache, "c", "a", "d", "b"), embedding(cache, "d", "c")
    assert told(plain(first), vectors(1, 2)) == [1, 2]
    assert told(plain(second), vectors(3, 4, tokens=7)) == [3, 1, 4, 2]
    assert told(plain(third)) == [4, 3]
    assert asked == [["a", "b"], ["c", "d"], []]
    assert [status(call) for call in (first, second, third)] == ["miss", "partial", "hit"]
    assert [call.settlement.usage.input_tokens for call in (first, second, third)] == [1, 7, 0]
    assert [len(call.attempts) for call in (first, second, third)] == [1, 1, 0]


def test_a_part_that_is_asked_for_is_timed_and_billed_with_its_spare_answers() -> None:
    """As any call: by the clock, and with what a hedge that lost had used."""
    cache = Cache()
    sync(plain(embedding(cache, "a")), vectors(1))
    call = embedding(cache, "a", "b")
    call.attempts.append(Attempt(call.deployments[0], 0.0, cancelled=True, usage=Usage(input_tokens=3)))
    sync(plain(call), vectors(2, tokens=7))
    assert (status(call), call.settlement.usage.input_tokens) == ("partial", 10)  # type: ignore[union-attr]
    assert call.clock is float


def test_other_dimensions_are_other_vectors() -> None:
    cache = Cache()
    sync(plain(embedding(cache, "a")), vectors(1))
    assert sync(plain(embedding(cache, "a", dimensions=1)), vectors(2)).response.embeddings[0].vector == (2,)


def test_vectors_that_do_not_come_one_by_one_are_no_answer_and_not_kept() -> None:
    cache = Cache()
    sync(plain(embedding(cache, "a")), vectors(1))
    call = embedding(cache, "a", "b", "c")
    with pytest.raises(e.ResponseDecodeError, match="2 inputs were embedded and 1 vectors came"):
        sync(plain(call), vectors(9))
    assert isinstance(call.settlement.error, e.ResponseDecodeError)
    assert len(cache.store) == 1  # type: ignore[arg-type]


def test_an_error_for_the_rest_is_the_calls() -> None:
    cache = Cache()
    sync(plain(embedding(cache, "a")), vectors(1))
    call = embedding(cache, "a", "b")
    with pytest.raises(e.BadRequestError):
        sync(plain(call), fail(400))
    assert isinstance(call.settlement.error, e.BadRequestError)


# -------------------------------------------------------------------------------------------------------- single flight
class Held(AsyncReplayTransport):
    """Answers when it is let."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(*answers)
        self.gate = asyncio.Event()

    async def send(self, request: Any, timeouts: Any) -> Any:
        await self.gate.wait()
        return await super().send(request, timeouts)


@pytest.mark.parametrize(("answers", "statuses"), [((respond(),), "miss hit hit"), ((fail(400), respond()), "miss miss hit")])
def test_equal_calls_at_one_time_ask_once_and_for_themselves_when_that_fails(answers: Any, statuses: str) -> None:
    cache = Cache(single_flight=True)

    async def scenario() -> list[Call]:
        transport = Held(*answers)
        calls = [asking(cache) for _ in range(3)]
        tasks = [asyncio.create_task(adrive(plain(call), transport)) for call in calls]
        await asyncio.sleep(0)
        transport.gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return calls

    assert " ".join(map(status, asyncio.run(scenario()))) == statuses


def test_who_waited_and_was_cancelled_takes_nobody_with_it() -> None:
    cache = Cache(single_flight=True)

    async def scenario() -> list[Call]:
        transport = Held(respond())
        calls = [asking(cache) for _ in range(3)]
        tasks = [asyncio.create_task(adrive(plain(call), transport)) for call in calls]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
        transport.gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return calls

    leader, cancelled, follower = asyncio.run(scenario())
    assert (status(leader), status(follower)) == ("miss", "hit")
    assert cancelled.settlement is not None
    assert cancelled.settlement.cancelled


# ------------------------------------------------------------------------------------------------------------- semantic
def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "asked", "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": text}], **fields}


class Embedder:
    """A transport: letters of the questions are their vectors. What is asked in chat is answered with `answers`."""

    def __init__(self, *answers: Any) -> None:
        self._answers = iter(answers)

    def send(self, request: Any, timeouts: Any) -> Any:
        body = json.loads(request.body)
        if "input" not in body:
            return next(self._answers)
        rows = [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in body["input"]]
        data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
        return respond({"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}})


@pytest.fixture
def likeness() -> Cache:
    cache = Cache("local-semantic", similarity_threshold=0.9)
    cache.embedders = (deployment("embedder", dialects={"embedding": "openai_embeddings"}),)
    return cache


def ask(cache: Cache, body: dict[str, Any], *answers: Any, scope: str = "") -> Call:
    call = asking(cache, None, scope, body=body)
    drive(plain(call), Embedder(*answers))  # type: ignore[arg-type]
    return call


@pytest.mark.usefixtures("numpy_or_none")
def test_nearly_the_same_question_is_answered(likeness: Cache) -> None:
    assert status(ask(likeness, chat("reset my password"), respond())) == "miss"
    near = ask(likeness, chat("reset my passwords"))
    assert (status(near), near.settlement.usage, near.attempts) == ("hit", Usage(), [])
    assert status(ask(likeness, chat("what is the time"), respond())) == "miss"
    assert likeness.counts.semantic_hits == 1


@pytest.fixture(params=[True, False], ids=["numpy", "plain"])
def numpy_or_none(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    from dragoman.caching import semantic

    if not request.param:
        monkeypatch.setattr(semantic, "_numpy", lambda: None)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
APART: dict[str, dict[str, Any]] = {
    "instructions": {
        "body": {
            "model": "asked",
            "messages": [{"role": "system", "content": "y"}, {"role": "user", "content": "reset my passwords"}],
        }
    },
    "earlier turns": {
        "body": chat("")
        | {
            "messages": [
                *chat("hello")["messages"],
                {"role": "assistant", "content": "hi"},
                {"role": "user", "content": "reset my passwords"},
            ]
        }
    },
    "tools": {"body": chat("reset my passwords", tools=[TOOL])},
    "a schema": {"body": chat("reset my passwords", response_format={"type": "json_object"})},
    "a parameter": {"body": chat("reset my passwords", temperature=0.3)},
    "a number": {"body": chat("reset my password 2")},
    "the tenant": {"body": chat("reset my passwords"), "scope": "another"},
}


@pytest.mark.parametrize("other", APART.values(), ids=APART)
def test_it_is_compared_only_where_all_else_is_equal(other: dict[str, Any], likeness: Cache) -> None:
    ask(likeness, chat("reset my password"), respond())
    assert status(ask(likeness, other["body"], respond(), scope=other.get("scope", ""))) == "miss"


def test_a_picture_is_not_compared(likeness: Cache) -> None:
    picture = [{"type": "text", "text": "reset"}, {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]
    body = {"model": "asked", "messages": [{"role": "user", "content": picture}]}
    assert status(ask(likeness, body, respond())) == "miss"
    assert len(likeness.index) == 0  # type: ignore[arg-type]


def test_a_share_of_the_hits_is_checked(likeness: Cache, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache("local-semantic", similarity_threshold=0.9, check_share=1.0)
    cache.embedders = likeness.embedders
    ask(cache, chat("reset my password"), respond(completion("use the link")))
    with caplog.at_level(logging.INFO, "dragoman.cache"):
        call = ask(cache, chat("reset my passwords"), respond(completion("Use the LINK")))
        ask(cache, chat("reset my passwordss"), respond(completion("qqqq")))
    assert status(call) == "miss"
    assert (cache.counts.checked, cache.counts.agreed) == (2, 1)
    assert "1 of 2 agreed" in caplog.text
    assert "link" not in caplog.text


def test_an_embedder_that_fails_is_a_miss_and_a_line_in_the_log(likeness: Cache, caplog: pytest.LogCaptureFixture) -> None:
    call = asking(likeness, body=chat("hello"))
    sync(plain(call), fail(500), respond())
    assert status(call) == "miss"
    assert "could not be embedded" in caplog.text


def test_an_answer_that_is_gone_is_forgotten(likeness: Cache) -> None:
    ask(likeness, chat("reset my password"), respond())
    likeness.store.clear()
    assert status(ask(likeness, chat("reset my passwords"), respond())) == "miss"
    assert len(likeness.index) == 1  # type: ignore[arg-type]
