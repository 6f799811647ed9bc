"""Raw pass-through: as it is in both directions, to the provider's host alone, and no key on the wrong side."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import BadRequestError, ConfigurationError
from dragoman.core.http import HttpResponse, TransportFailure
from dragoman.gateway.config import read
from dragoman.gateway.raw.meaning import meaning
from dragoman.gateway.raw.wire import Scrubber, address, root
from dragoman.providers import registry
from dragoman.transport.replay import Pieces
from support.whole_gateway import JSON, WholeGateway, openai_answer, openai_stream

CONFIG = """
models: [{name: m, model: openai/gpt-x}]
server: {api_key: sk-the-gateways-own}
passthrough: {providers: [openai, anthropic]}
"""
KEY = {"authorization": "Bearer sk-the-gateways-own"}
OPENAI = registry.resolve("openai/any", env={"OPENAI_API_KEY": "sk-upstream"})


def house(*answers: Any) -> WholeGateway:
    made = WholeGateway(CONFIG, *answers)
    made.gateway.routes["POST", b"/v1/chat/completions"].handler.pipeline.observers = (made.ended.append,)
    return made


def ask(gateway: WholeGateway, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return asyncio.run(gateway.ask(method, path, body, **(KEY | headers)))


@pytest.mark.parametrize("prefix", ["/passthrough/openai", "/openai"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_everything_goes_and_comes_as_it_is_but_for_the_keys(prefix: str, method: str) -> None:
    answer = HttpResponse(status=207, headers=(*JSON, ("x-odd", "1"), ("set-cookie", "a=b")), body=b'{ "odd":  1.0 }')
    gateway = house(answer)
    body = b'{"strange":   true}'
    seen = ask(gateway, method, f"{prefix}/v1/anything/at%2Fall?x=1&y=a%20b", body, openai_beta="assistants=v2", cookie="c=d")
    (request,) = gateway.asked
    assert (request.method, request.url) == (method, "https://api.openai.com/v1/anything/at%2Fall?x=1&y=a%20b")
    assert request.body == body
    sent = dict(request.headers)
    assert sent["authorization"] == "Bearer sk-upstream"
    assert sent["openai-beta"] == "assistants=v2"
    assert "cookie" not in sent
    assert "sk-the-gateways-own" not in repr(request.headers) + request.url
    assert (seen.status, seen.answer, seen.head["x-odd"]) == (207, b'{ "odd":  1.0 }', "1")
    assert "set-cookie" not in seen.head


def test_a_key_in_a_strange_place_is_taken_out_too() -> None:
    gateway = house(HttpResponse(status=200, headers=JSON, body=b"{}"))
    ask(gateway, "GET", "/openai/v1/models?key=sk-the-gateways-own&token=sk-the-gateways-own&a=1", x_copy="sk-the-gateways-own")
    assert gateway.asked[0].url == "https://api.openai.com/v1/models?a=1"
    assert "sk-the-gateways-own" not in repr(gateway.asked[0].headers)


def test_an_answer_that_repeats_the_providers_key_does_not_reach_the_client_with_it() -> None:
    whole = HttpResponse(status=401, headers=(*JSON, ("x-key-was", "sk-upstream")), body=b'{"error": "bad key sk-upstream"}')
    pieces = Pieces(headers=(("content-type", "text/plain"),), pieces=(b"your key sk-up", b"stream", b" and sk-up"))
    gateway = house(whole, pieces)
    first = ask(gateway, "GET", "/openai/v1/models")
    assert (first.status, first.answer) == (401, b'{"error": "bad key [key]"}')
    assert "x-key-was" not in first.head
    assert ask(gateway, "GET", "/openai/v1/models").answer == b"your key [key] and sk-up"


@given(st.lists(st.sampled_from([b"sk-up", b"stream", b"sk-upstream", b"s", b"k", b" ", b"-other-secret", b"x"]), max_size=20))
def test_however_it_is_cut(pieces: list[bytes]) -> None:
    secrets = (b"sk-upstream", b"-other-secret")
    scrubber, whole = Scrubber(secrets), b"".join(pieces)
    out = b"".join(map(scrubber.feed, pieces)) + scrubber.feed(b"", last=True)
    assert not any(secret in out for secret in secrets)
    if not any(secret in whole for secret in secrets):
        assert out == whole


def test_a_known_path_is_read_for_the_books() -> None:
    gateway = house(openai_answer("hi"), openai_stream("hi", " there"))
    ask(gateway, "POST", "/openai/v1/chat/completions", {"model": "gpt-4o", "messages": []})
    streamed = ask(gateway, "POST", "/openai/v1/chat/completions", {"model": "gpt-4o", "messages": [], "stream": True})
    assert streamed.text.endswith("data: [DONE]\n\n")
    for call in gateway.ended:
        assert (call.operation, call.model) == ("chat", "openai/gpt-4o")
        assert (call.settlement.usage.input_tokens, call.settlement.usage.output_tokens) == (7, 3)
        assert call.attempts[0].deployment.target.model == "gpt-4o"


@pytest.mark.parametrize(
    ("provider", "url", "body", "expected"),
    [
        ("openai", "https://api.openai.com/v1/embeddings", {"model": "e"}, ("embedding", "e", False)),
        ("anthropic", "https://api.anthropic.com/v1/messages", {"model": "c", "stream": True}, ("chat", "c", True)),
        (
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta/models/g-1:streamGenerateContent?alt=sse",
            {"contents": []},
            ("chat", "g-1", True),
        ),
        ("openai", "https://api.openai.com/v1/fine_tuning/jobs", {"model": "m"}, ("passthrough", "m", False)),
        ("openai", "https://api.openai.com/v1/chat/completions", {"model": 7}, ("passthrough", "", False)),
    ],
)
def test_what_a_request_means(provider: str, url: str, body: Any, expected: tuple[str, str, bool]) -> None:
    target = registry.resolve(f"{provider}/any", api_key="k", env={})
    assert meaning(target, "POST", url, json.dumps(body).encode())[:3] == expected


def test_what_is_not_there_or_not_allowed_asks_nobody() -> None:
    gateway = house()
    unknown = ask(gateway, "GET", "/passthrough/groq/v1/models")
    assert (unknown.status, unknown.value["error"]["message"]) == (
        404,
        "nothing is passed on to 'groq'; there are: anthropic, openai",
    )
    keyless = asyncio.run(gateway.ask("GET", "/passthrough/openai/v1/models"))
    assert keyless.status == 401
    anthropic = ask(gateway, "GET", "/anthropic/v1/models", authorization="Bearer wrong")
    assert (anthropic.status, anthropic.value["type"]) == (401, "error")
    assert gateway.asked == []


@pytest.mark.parametrize(
    "path", ["/../x", "/v1/%2e%2e/x", "/v1/./x", "//evil.test/x", "/v1//x", "/v1/a b", "/v1/\\x", "/%2F/x"]
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(BadRequestError):
        address(OPENAI, path, "", "")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_no_path_leaves_the_providers_root(path: str) -> None:
    try:
        url = address(OPENAI, f"/{path}", "", "")
    except BadRequestError:
        return
    assert url.startswith("https://api.openai.com/")


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com"),
        ("https://api.groq.com/openai/v1", "https://api.groq.com/openai"),
        ("https://g.test/v1beta", "https://g.test"),
        ("https://a.test", "https://a.test"),
        ("https://a.test/serving", "https://a.test/serving"),
    ],
)
def test_the_root_stands_before_the_version(base: str, expected: str) -> None:
    assert root(base) == expected


def test_a_provider_that_is_not_there_is_an_error_and_a_break_no_clean_end() -> None:
    refused = house(TransportFailure("connect", "refused", sent=False))
    seen = ask(refused, "GET", "/openai/v1/models")
    assert (seen.status, seen.value["error"]["message"]) == (502, "openai: refused (connect)")
    broken = house(Pieces(pieces=(b"data: 1\n\n",), failure=TransportFailure("closed", "gone")))
    cut = ask(broken, "GET", "/openai/v1/events")
    assert (cut.status, cut.answer, cut.aborted) == (200, b"data: 1\n\n", True)
    assert type(broken.ended[0].settlement.error).__name__ == "APIConnectionError"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("passthrough: {providers: []}", "passthrough.providers"),
        ("passthrough: {providers: [nobody]}", "x.yaml:2: passthrough.providers[0]: "),
        ("passthrough: {providers: [groq]}", "passthrough.providers[0]: groq needs a key"),
        ("passthrough: {providers: [local]}", "passthrough.providers[0]: local has no address"),
        ("passthrough: {providers: [openai, openai]}", "passthrough.providers[1]: openai stands there twice"),
        ("passthrough: {providers: [openai], guarded: true}", "passthrough.guarded: unknown key"),
        ("guardrails: [{name: a, use: pii}]\npassthrough: {providers: [openai]}", "x.yaml:3: passthrough: no guardrail reads"),
        ("files: {providers: [openai]}", "x.yaml:2: files: needs server.api_key beside it"),
    ],
)
def test_a_wrong_configuration_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        read(f"models: [{{name: m, model: openai/gpt-x}}]\n{text}\n", file="x.yaml", env={"OPENAI_API_KEY": "sk-x"})
    assert message in failure.value.message


def test_nothing_is_passed_on_by_default() -> None:
    gateway = WholeGateway("models: [{name: m, model: openai/gpt-x}]")
    assert gateway.table.find(b"GET", b"/passthrough/openai/v1/models") is None
    assert gateway.table.find(b"GET", b"/openai/v1/models") is None
    assert gateway.table.find(b"GET", b"/v1/files") is None
