"""The gateway with a cache, asked by the real clients: hits in every dialect, tenants apart, a Valkey that goes away."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.config import read
from support.demo_server import RunningDemo, demo_server
from support.gateway import RunningGateway, gateway
from support.valkey import OwnValkey

MODELS = """
models:
  - {{name: echo, model: openai/echo, api_base: '{base}', api_key: sk-upstream}}
  - {{name: claude, model: anthropic/echo, api_base: '{root}', api_key: sk-upstream}}
  - {{name: embed, model: openai/embed, api_base: '{base}', api_key: sk-upstream}}
  - {{name: down, model: 'openai/echo?fail=500', api_base: '{base}', api_key: sk-upstream}}
retries: 0
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


def config(demo: RunningDemo, more: str) -> str:
    return MODELS.format(base=demo.openai_url, root=demo.url) + more


@pytest.fixture(scope="module")
def served(demo: RunningDemo) -> Iterator[RunningGateway]:
    with gateway(config(demo, "cache: {}\n")) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: RunningGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.openai_url, api_key="sk-client", max_retries=0) as made:
        yield made


class Seen(NamedTuple):
    status: int
    cache: str | None
    headers: Any
    body: Any


def ask(served: RunningGateway, text: str, model: str = "echo", headers: dict[str, str] | None = None, **more: Any) -> Seen:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    named = {"content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(f"{served.openai_url}/chat/completions", json.dumps(body).encode(), named)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Seen(answer.status, answer.headers["x-dragoman-cache"], answer.headers, json.load(answer))
    except urllib.error.HTTPError as refused:
        with refused:
            return Seen(refused.code, refused.headers["x-dragoman-cache"], refused.headers, json.load(refused))


def said(text: str) -> dict[str, Any]:
    return {"model": "echo", "messages": [{"role": "user", "content": text}]}


# ------------------------------------------------------------------------------------------------------------ the clients
@pytest.mark.parametrize("model", ["echo", "claude"])
@pytest.mark.parametrize("order", ["plain, stream", "stream, plain"])
def test_a_plain_answer_and_a_stream_serve_each_other(client: openai.OpenAI, model: str, order: str) -> None:
    def plain() -> tuple[str | None, str | None, int]:
        raw = client.chat.completions.with_raw_response.create(**body)
        answer = raw.parse()
        assert answer.usage is not None
        return raw.headers["x-dragoman-cache"], answer.choices[0].message.content, answer.usage.total_tokens

    def stream() -> tuple[str | None, str | None, int]:
        with client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}) as chunks:
            pieces = list(chunks)
            status = chunks.response.headers["x-dragoman-cache"]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in pieces if chunk.choices)
        assert [chunk.choices[0].finish_reason for chunk in pieces if chunk.choices][-1] == "stop"
        assert pieces[-1].usage is not None
        return status, text, pieces[-1].usage.total_tokens

    body = said(f"one two three {order}") | {"model": model}
    first, second = (plain, stream) if order.startswith("plain") else (stream, plain)
    (asked, text, tokens), (kept, again, same) = first(), second()
    assert (asked, kept) == ("miss", "hit")
    assert (text, tokens) == (again, same)
    assert first()[0] == "hit"


def test_a_client_of_another_dialect_is_served_from_it(client: openai.OpenAI, served: RunningGateway) -> None:
    system = {"role": "system", "content": "be brief"}
    user = {"role": "user", "content": "in two dialects"}
    client.chat.completions.create(model="echo", max_tokens=50, messages=[system, user])  # type: ignore[list-item]
    with anthropic.Anthropic(base_url=served.url, api_key="sk-client", max_retries=0) as other:
        request: dict[str, Any] = {"model": "echo", "max_tokens": 50, "system": "be brief", "messages": [user]}
        raw = other.messages.with_raw_response.create(**request)
        with other.messages.stream(**request) as stream:
            told = stream.get_final_message()
    assert raw.headers["x-dragoman-cache"] == "hit"
    for message in (raw.parse(), told):
        assert [block.text for block in message.content if block.type == "text"] == ["in two dialects"]
        assert message.stop_reason == "end_turn"


def test_embeddings_are_kept_one_by_one(client: openai.OpenAI) -> None:
    def embed(*texts: str) -> tuple[str, int, list[list[float]]]:
        raw = client.embeddings.with_raw_response.create(model="embed", input=list(texts))
        answer = raw.parse()
        return raw.headers["x-dragoman-cache"], answer.usage.prompt_tokens, [item.embedding for item in answer.data]

    (_, _, (a, b)), (partial, tokens, (c, again)) = embed("aa", "bb"), embed("cc", "aa")
    assert (partial, tokens, again) == ("partial", 1, a)
    assert embed("bb", "cc", "aa") == ("hit", 0, [b, c, a])


# ---------------------------------------------------------------------------------------------------------------- headers
def test_a_hit_says_so_and_names_its_key(served: RunningGateway, demo: RunningDemo) -> None:
    before = demo.stats()["requests"]
    asked, kept = ask(served, "headers"), ask(served, "headers")
    assert demo.stats()["requests"] == before + 1
    assert (asked.cache, kept.cache) == ("miss", "hit")
    assert asked.headers["x-dragoman-cache-key"] == kept.headers["x-dragoman-cache-key"]
    assert (kept.headers["x-dragoman-attempts"], kept.headers["x-dragoman-deployment"]) == ("0", "echo#0")
    assert kept.body == asked.body


CONTROLS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "hit"),
    "the body": ({"cache": {"no-cache": True}}, "miss"),
    "a header": ({"headers": {"x-dragoman-cache": "no-cache"}}, "miss"),
    "the standard header": ({"headers": {"cache-control": "no-cache"}}, "miss"),
    "a standard word that means nothing here": ({"headers": {"cache-control": "max-age=0"}}, "hit"),
    "a namespace": ({"cache": {"namespace": "elsewhere"}, "headers": {"x-dragoman-cache": "no-store"}}, "miss"),
    "a header goes before the body": ({"cache": {"no-cache": True}, "headers": {"x-dragoman-cache": "s-maxage=60"}}, "miss"),
    "an age": ({"headers": {"x-dragoman-cache": "s-maxage=600, ttl=5"}}, "hit"),
}


@pytest.mark.parametrize(("more", "expected"), CONTROLS.values(), ids=CONTROLS)
def test_what_a_request_says_of_the_cache(served: RunningGateway, more: dict[str, Any], expected: str) -> None:
    ask(served, "controls")
    assert ask(served, "controls", **more).cache == expected


@pytest.mark.parametrize("more", [{"cache": {"nocache": True}}, {"cache": "no"}, {"headers": {"x-dragoman-cache": "ttl=soon"}}])
def test_what_it_says_wrongly_is_refused(served: RunningGateway, more: dict[str, Any]) -> None:
    refused = ask(served, "wrong", **more)
    assert refused.status == 400
    assert refused.body["error"]["message"].startswith("cache")


def test_what_the_body_says_of_the_cache_goes_no_further(served: RunningGateway) -> None:
    """The demo upstream refuses parameters that it does not know."""
    assert ask(served, "no further", cache={"ttl": 5}, max_tokens=9).status == 200


def test_errors_are_not_kept(served: RunningGateway) -> None:
    assert [(seen.status, seen.cache) for seen in (ask(served, "fails", "down") for _ in range(2))] == [(500, None)] * 2


# ---------------------------------------------------------------------------------------------------------------- tenants
GOVERNED = """
server: {{api_key: sk-master-1234}}
governance: {{database: 'sqlite:///{folder}/d.db', journal: '{folder}/journal'}}
cache: {{share: {share}}}
"""


def make(served: RunningGateway, path: str, **fields: Any) -> Any:
    headers = {"content-type": "application/json", "authorization": "Bearer sk-master-1234"}
    request = urllib.request.Request(f"{served.url}{path}", json.dumps(fields).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def issue(served: RunningGateway, **fields: Any) -> str:
    key: str = make(served, "/key/generate", **fields)["key"]
    return key


@pytest.mark.parametrize(("share", "expected"), [("key", "miss"), ("everyone", "hit")])
def test_keys_are_apart_unless_they_share(demo: RunningDemo, tmp_path: Path, share: str, expected: str) -> None:
    with gateway(config(demo, GOVERNED.format(folder=tmp_path, share=share))) as running:
        bearers = [{"authorization": f"Bearer {issue(running)}"} for _ in range(2)]
        first, again, other = (ask(running, "mine", headers=bearers[place]).cache for place in (0, 0, 1))
    assert (first, again, other) == ("miss", "hit", expected)


@pytest.mark.parametrize(
    ("share", "kind", "expected"),
    [
        ("user", "user", "hit"),
        ("user", "team", "miss"),
        ("team", "team", "hit"),
        ("organization", "team", "hit"),
        ("team", "user", "miss"),
    ],
)
def test_keys_of_one_user_or_team_share_where_it_says_so(
    demo: RunningDemo, tmp_path: Path, share: str, kind: str, expected: str
) -> None:
    with gateway(config(demo, GOVERNED.format(folder=tmp_path, share=share))) as running:
        make(running, f"/{kind}/new", **{f"{kind}_id": "theirs"})
        bearers = [{"authorization": f"Bearer {issue(running, **{f'{kind}_id': 'theirs'})}"} for _ in range(2)]
        assert [ask(running, "ours", headers=bearer).cache for bearer in bearers] == ["miss", expected]


def test_nearly_the_same_question_within_a_key_alone(demo: RunningDemo, tmp_path: Path) -> None:
    semantic = "cache: {semantic: {model: embed, threshold: 0.9}}"
    text = GOVERNED.format(folder=tmp_path, share="key").replace("cache: {share: key}", semantic)
    with gateway(config(demo, text)) as running:
        mine, other = ({"authorization": f"Bearer {issue(running)}"} for _ in range(2))
        asked = [
            ("How do I reset my password?", mine),
            ("How do I reset my   PASSWORD?", mine),
            ("How do I reset my   PASSWORD?", other),
            ("What is the time?", mine),
        ]
        found = [ask(running, question, headers=headers) for question, headers in asked]
    assert [seen.cache for seen in found] == ["miss", "hit", "miss", "miss"]
    assert found[1].body == found[0].body


def test_hits_that_are_checked_show_in_the_metrics(demo: RunningDemo) -> None:
    semantic = "cache: {semantic: {model: embed, threshold: 0.9, check: 1}}\nmetrics: {open: true}\n"
    with gateway(config(demo, semantic)) as running:
        found = [ask(running, question).cache for question in ("How do I reset my password?", "How do I reset my   PASSWORD?")]
        with urllib.request.urlopen(f"{running.url}/metrics", timeout=20) as answer:
            told = answer.read().decode()
    assert found == ["miss", "miss"]
    assert 'dragoman_cache_checks_total{agreed="true"} 1.0' in told
    assert 'dragoman_cache_checks_total{agreed="false"} 0.0' in told


def test_tags_that_choose_a_deployment_count(demo: RunningDemo) -> None:
    text = """
models:
  - {{name: echo, model: openai/echo, tags: [free], api_base: '{base}', api_key: sk-upstream}}
  - {{name: echo, model: openai/canned, tags: [paid], api_base: '{base}', api_key: sk-upstream}}
router: {{tag_filtering: true}}
cache: {{}}
"""
    with gateway(text.format(base=demo.openai_url)) as running:
        found = [ask(running, "tagged", metadata={"tags": [tag]}).cache for tag in ("paid", "free", "paid")]
    assert found == ["miss", "miss", "hit"]


# -------------------------------------------------------------------------------------------------------- disk and Valkey
def test_two_gateways_share_a_file(demo: RunningDemo, tmp_path: Path) -> None:
    text = config(demo, f"cache: {{type: disk, path: '{tmp_path}/a.sqlite'}}\n")
    with gateway(text) as one:
        assert ask(one, "on disk").cache == "miss"
    with gateway(text) as other:
        assert ask(other, "on disk").cache == "hit"


def test_a_valkey_that_goes_away_while_serving_is_no_ones_error(demo: RunningDemo, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        closing(OwnValkey()) as valkey,
        gateway(config(demo, f"cache: {{type: redis, url: '{valkey.url}'}}\n"), log=log) as one,
    ):
        assert [ask(one, "kept").cache for _ in range(2)] == ["miss", "hit"]
        valkey.stop()
        answers = [ask(one, f"not kept {number}") for number in range(20)]  # what is on its way there would be a hit
        valkey.start()
    assert {(answer.status, answer.cache) for answer in answers} == {(200, "miss")}
    assert log.read_text().count("is away, calls go on without it") == 1


# ---------------------------------------------------------------------------------------------------------- configuration
ONE = "models: [{name: a, model: demo/echo}]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cache: {type: s3}", "cache.type"),
        ("cache: {ttl: 0}", "cache.ttl"),
        ("cache: {type: redis, url: 'http://x'}", "cache.url"),
        ("cache: {operations: [chats]}", "cache.operations"),
        ("cache: {semantic: {treshold: 1}}", "did you mean threshold"),
        ("cache: {semantic: {threshold: 2}}", "cache.semantic.threshold"),
    ],
)
def test_a_wrong_configuration_is_told(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(ONE + text, file="c.yaml", env={})


LITELLM = (
    "model_list: [{model_name: a, litellm_params: {model: demo/echo}}]\nlitellm_settings:\n  cache: true\n  cache_params: "
)


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ("{}", {"type": "memory"}),
        ("{type: local, ttl: 60, mode: default_off, namespace: x}", {"ttl": 60.0, "by_default": False, "namespace": "x"}),
        ("{type: redis, host: h, port: 7, password: p}", {"type": "redis", "url": "redis://:p@h:7/0"}),
        ("{type: redis}", {"url": "redis://:secret@env.test:6379/0"}),
        ("{type: disk, disk_cache_dir: /d}", {"type": "disk", "path": "/d/answers.sqlite"}),
        ("{supported_call_types: [acompletion, aembedding]}", {"operations": ("chat", "embedding")}),
    ],
)
def test_litellms_cache_params(params: str, found: dict[str, Any]) -> None:
    cache = read(LITELLM + params, file="c.yaml", env={"REDIS_HOST": "env.test", "REDIS_PASSWORD": "secret"})[0].cache
    assert cache is not None
    assert {name: getattr(cache, name) for name in found} == found


def test_litellms_semantic_cache() -> None:
    text = "{type: redis-semantic, host: h, similarity_threshold: 0.9, redis_semantic_cache_embedding_model: a}"
    cache = read(LITELLM + text, file="c.yaml", env={})[0].cache
    assert cache is not None
    assert cache.semantic is not None
    assert (cache.semantic.threshold, cache.semantic.model) == (0.9, "a")


@pytest.mark.parametrize(
    ("params", "told"), [("{type: s3}", "type: s3 is not obeyed"), ("{redis_flush_size: 5}", "redis_flush_size")]
)
def test_what_of_litellms_is_not_obeyed_is_told(params: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    read(LITELLM + params, file="c.yaml", env={})
    assert told in caplog.text
