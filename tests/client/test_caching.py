"""The SDK with a cache: the package's own, a client's, a Router's, under LiteLLM's names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import dragoman as litellm
from dragoman.caching import Cache
from dragoman.caching.disk import DiskStore
from dragoman.client import functions
from dragoman.client.client import AsyncClient, Client
from dragoman.core.errors import BadRequestError, ConfigurationError
from dragoman.transport.replay import AsyncReplayTransport, Pieces, ReplayTransport
from support.calls import STREAM, respond

MESSAGES = [{"role": "user", "content": "hello"}]
ASKED = {"model": "openai/gpt-4o", "messages": MESSAGES, "api_key": "sk-1"}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test sets as the package's cache is gone after it."""
    yield
    litellm.disable_cache()


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> ReplayTransport:
    """What `completion` is answered with; its `requests` are what was sent."""
    transport = ReplayTransport(choose=lambda _: respond())
    client = functions._PackageClient(transport=transport)
    monkeypatch.setattr(functions, "_shared", lambda: client)
    return transport


def hit(**given: Any) -> bool | None:
    return litellm.completion(**{**ASKED, **given})._hidden_params["cache_hit"]


# ----------------------------------------------------------------------------------------------------------- the package's
def test_litellms_way(upstream: ReplayTransport) -> None:
    litellm.cache = Cache(type="local")
    first, second = litellm.completion(**ASKED, caching=True), litellm.completion(**ASKED)
    assert (first._hidden_params["cache_hit"], second._hidden_params["cache_hit"]) == (False, True)
    assert first._hidden_params["cache_key"] == second._hidden_params["cache_key"]
    assert (first.id, first.choices, first.usage) == (second.id, second.choices, second.usage)
    assert len(upstream.requests) == 1


def test_a_hit_costs_nothing(upstream: ReplayTransport) -> None:
    litellm.enable_cache()
    paid, free = (litellm.completion(**ASKED)._hidden_params for _ in range(2))
    assert paid["response_cost"] > 0
    assert (free["response_cost"], free["attempts"], free["trail"]) == (0, 0, ())
    assert (free["custom_llm_provider"], free["litellm_model_name"], free["api_base"]) == (
        paid["custom_llm_provider"],
        paid["litellm_model_name"],
        paid["api_base"],
    )


def test_without_a_cache_there_is_no_hit(upstream: ReplayTransport) -> None:
    assert [hit(), hit(caching=False), hit(cache={"no-cache": True})] == [None, None, None]
    with pytest.raises(ConfigurationError, match="enable_cache"):
        hit(caching=True)


def test_controls(upstream: ReplayTransport) -> None:
    litellm.enable_cache()
    assert [hit(), hit(), hit(cache={"no-cache": True}), hit(cache={"namespace": "x"}), hit(caching=False)] == [
        False,
        True,
        False,
        False,
        None,
    ]
    with pytest.raises(BadRequestError, match="cache: unknown word 'nocache'"):
        hit(cache={"nocache": True})
    assert all(b"cache" not in request.body for request in upstream.requests)


def test_extra_parameters_and_places_count(upstream: ReplayTransport) -> None:
    litellm.enable_cache()
    hit()
    assert [hit(min_p=0.1), hit(extra_body={"x": 1}), hit(extra_headers={"x-beta": "1"}), hit(api_base="http://b/v1")] == [
        False
    ] * 4
    assert hit(min_p=0.1, timeout=5, num_retries=0) is True


def test_enable_update_and_disable(upstream: ReplayTransport, tmp_path: Path) -> None:
    litellm.enable_cache()
    first = litellm.cache
    litellm.enable_cache(type="disk", path=tmp_path / "a")
    assert litellm.cache is first
    litellm.update_cache(type="disk", path=tmp_path / "a")
    assert isinstance(litellm.cache.store, DiskStore)  # type: ignore[union-attr]
    assert [hit(), hit()] == [False, True]
    litellm.disable_cache()
    assert (litellm.cache, hit()) == (None, None)
    litellm.enable_cache(type="disk", path=tmp_path / "a")
    assert hit() is True


def test_a_cache_that_is_off_unless_asked_for(upstream: ReplayTransport) -> None:
    litellm.cache = Cache(mode="default_off")
    assert [hit(), hit(caching=True), hit(cache={"use-cache": True}), hit()] == [None, False, True, None]


def test_flush_cache_forgets(upstream: ReplayTransport) -> None:
    litellm.cache = Cache()
    hit()
    litellm.cache.flush_cache()
    assert hit() is False


# -------------------------------------------------------------------------------------------------------------- clients
def test_streams_of_a_client() -> None:
    transport = ReplayTransport(Pieces(pieces=STREAM))
    with Client(transport=transport, cache=Cache()) as client:
        texts, hidden = [], []
        for _ in range(2):
            chunks = list(client.completion(**ASKED, stream=True))
            texts.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
            hidden.append((chunks[-1]._hidden_params["cache_hit"], chunks[-1]._hidden_params["response_cost"] == 0))
        plain = client.completion(**ASKED)
    assert texts == ["hello", "hello"] == [plain.choices[0].message.content] * 2
    assert hidden == [(False, False), (True, True)]
    assert len(transport.requests) == 1


def test_an_async_client_and_a_sync_one_share_a_cache(tmp_path: Path) -> None:
    async def ask(transport: AsyncReplayTransport, cache: Cache) -> Any:
        async with AsyncClient(transport=transport, cache=cache) as client:
            return await client.completion(**ASKED)

    with closing(Cache("disk", path=tmp_path / "a")) as cache:
        first = asyncio.run(ask(AsyncReplayTransport(respond()), cache))
        with Client(transport=ReplayTransport(), cache=cache) as client:
            second = client.completion(**ASKED)
        third = asyncio.run(ask(AsyncReplayTransport(), cache))
    assert [answer._hidden_params["cache_hit"] for answer in (first, second, third)] == [False, True, True]


def test_other_operations() -> None:
    answer = {"id": "1", "model": "m", "results": [{"flagged": False, "categories": {}, "category_scores": {}}]}
    transport = ReplayTransport(respond(answer))
    with Client(transport=transport, cache=Cache()) as client:
        found = [client.moderation("hello", "openai/omni-moderation-latest", api_key="k") for _ in range(2)]
    assert [one._hidden_params["cache_hit"] for one in found] == [False, True]
    assert found[0].results == found[1].results


# --------------------------------------------------------------------------------------------------------------- Router
LIST = [{"model_name": "fast", "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "k"}}]


def test_a_router_keeps_answers_of_a_group() -> None:
    transport = ReplayTransport(choose=lambda _: respond())
    with litellm.Router(model_list=LIST, cache_responses=True, cache_kwargs={"ttl": 5}, transport=transport) as router:
        found = [router.completion("fast", MESSAGES) for _ in range(2)]
        assert router._core.cache is not None
        assert router._core.cache.ttl == 5
    assert [answer._hidden_params["cache_hit"] for answer in found] == [False, True]


def test_a_router_without_one_uses_the_packages(upstream: ReplayTransport) -> None:
    litellm.enable_cache()
    with litellm.Router(model_list=LIST, transport=upstream) as router:
        found = [router.completion("fast", MESSAGES) for _ in range(2)]
    assert [answer._hidden_params["cache_hit"] for answer in found] == [False, True]


def test_a_router_in_redis(valkey: str) -> None:
    host, _, port = valkey.removeprefix("redis://").partition("/")[0].rpartition(":")
    transport = ReplayTransport(choose=lambda _: respond())
    for expected in (False, True):
        with litellm.Router(
            model_list=LIST,
            cache_responses=True,
            redis_host=host,
            redis_port=int(port),
            cache_kwargs={"namespace": "router-test"},
            transport=transport,
        ) as router:
            assert router.completion("fast", MESSAGES)._hidden_params["cache_hit"] is expected


# ------------------------------------------------------------------------------------------------------------ arguments
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a kind": ({"type": "s3"}, "type: expected one of local, valkey, memory, disk, redis"),
    "a name": ({"hots": "x"}, "unknown argument 'hots'; did you mean host"),
    "a mode": ({"mode": "off"}, "mode: expected default_on or default_off"),
    "a time": ({"ttl": 0}, "ttl: expected a number above 0"),
    "a size": ({"max_mb": -1}, "max_mb: expected a number above 0"),
    "a threshold": (
        {"type": "local-semantic", "similarity_threshold": 2},
        "similarity_threshold: expected a number from 0 to 1",
    ),
    "of another kind": ({"similarity_threshold": 0.9}, "similarity_threshold is for a semantic cache"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Cache(**given)


def test_an_argument_that_is_not_obeyed_is_told() -> None:
    with pytest.warns(UserWarning, match="redis_flush_size is not obeyed"):
        Cache(redis_flush_size=5)


@pytest.mark.parametrize(
    ("given", "env", "url"),
    [
        ({}, {}, "redis://127.0.0.1:6379/0"),
        ({"host": "h", "port": "7", "password": "p@ss", "db": 2}, {}, "redis://:p%40ss@h:7/2"),
        ({"url": "rediss://x"}, {"REDIS_HOST": "h"}, "rediss://x"),
        ({}, {"REDIS_URL": "redis://u"}, "redis://u"),
        ({"host": "h"}, {"REDIS_URL": "redis://u", "REDIS_PASSWORD": "p"}, "redis://:p@h:6379/0"),
        ({"ssl": True, "username": "me"}, {"REDIS_HOST": "e", "REDIS_PORT": "1"}, "rediss://me:@e:1/0"),
    ],
)
def test_where_redis_is(given: dict[str, Any], env: dict[str, str], url: str) -> None:
    from dragoman.caching.cache import redis_url

    assert redis_url(given, env) == url
