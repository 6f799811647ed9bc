"""GPTRouter's /generate on a real server: candidates and fallback, streams, limits of time, refusals as clients read them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from dragoman.gateway.gptrouter.face import Settings
from support.demo_server import RunningDemo, demo_server
from support.gptrouter import KEY, gptrouter_gateway, models_over

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
HI = [{"role": "user", "content": "Hello there \u2028 😀"}]


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


@pytest.fixture(scope="module")
def url(demo: RunningDemo) -> Iterator[str]:
    settings = Settings(ping_seconds=0.05)
    with gptrouter_gateway(models_over(demo.url), settings=settings) as running:
        yield running


def post(address: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    sent = {"content-type": "application/json", **({"ws-secret": KEY} if headers is None else headers)}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address, data=data, headers=sent)
    try:
        with DIRECT.open(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, dict(refused.headers), refused.read()


def asking(*names: str, stream: bool = False, params: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    data = [
        {"order": place, "modelName": name, "providerName": "anthropic" if "claude" in name else "chat_openai"}
        for place, name in enumerate(names, 1)
    ]
    data[0]["promptParams"] = {"messages": HI, **(params or {})}
    return {"stream": stream, "data": data, **more}


def generate(url: str, *names: str, **more: Any) -> Any:
    status, _, body = post(f"{url}/api/v1/generate", asking(*names, **more))
    assert status == 200, body
    return json.loads(body)


def events(body: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]


def stream(url: str, *names: str, **more: Any) -> list[Any]:
    status, headers, body = post(f"{url}/api/v1/generate", asking(*names, stream=True, **more))
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert body.isascii()
    return events(body)


@pytest.mark.parametrize("base", ["/api/v1", "//api/v1", "/api/api/v1"])
@pytest.mark.parametrize("header", ["ws-secret", "authorization", "x-api-key"])
def test_every_spelling_of_path_and_key_works(url: str, base: str, header: str) -> None:
    shown = f"Bearer {KEY}" if header == "authorization" else KEY
    status, _, body = post(f"{url}{base}/generate", asking("gpt-4-0613"), {header: shown})
    assert (status, json.loads(body)["choices"][0]["text"]) == (200, HI[0]["content"])


@pytest.mark.parametrize("fault", ["500", "429", "401", "timeout", "refuse", "early"])
@pytest.mark.parametrize("streamed", [False, True])
def test_the_next_candidate_answers_for_one_that_is_down(url: str, demo: RunningDemo, fault: str, streamed: bool) -> None:
    demo.reset()
    names = (f"fail-{fault}", "claude-2.1")
    if streamed:
        found = stream(url, *names)
        assert found[0]["event"] == "attempt"
        told = next(event["data"] for event in found if event["event"] == "meta")
        assert told["text"] == HI[0]["content"]
        assert found[-1] == {"event": "end", "data": "end"}
        attempts = told["attempts"]
    else:
        body = generate(url, *names)
        assert body["choices"][0]["text"] == HI[0]["content"]
        attempts = body["meta"]["attempts"]
    assert [attempt["model"] for attempt in attempts] == list(names)
    assert ["error" in attempt for attempt in attempts] == [True, False]
    asked = demo.stats()["requests"]
    assert asked == 2 or (fault == "refuse" and asked == 3)  # a pooled connection that dies unanswered is replaced once


def test_a_candidate_that_traffic_shows_down_goes_last_and_is_not_refused(demo: RunningDemo) -> None:
    with gptrouter_gateway(models_over(demo.url, cooldown=True)) as url:
        assert len(generate(url, "fail-401", "claude-2.1")["meta"]["attempts"]) == 2
        assert [attempt["model"] for attempt in generate(url, "fail-401", "claude-2.1")["meta"]["attempts"]] == ["claude-2.1"]
        status, _, body = post(f"{url}/api/v1/generate", asking("fail-401"))
        assert status == 503
        assert "401" in json.loads(body)["message"]


def test_a_cut_after_the_first_token_is_an_error_and_never_an_end(url: str) -> None:
    found = stream(url, "fail-cut", "claude-2.1")
    assert [event["event"] for event in found][-1] == "error"
    assert {event["event"] for event in found[:-1]} == {"update"}
    assert found[-1]["message"]


def test_each_candidate_may_have_parameters_of_its_own(url: str) -> None:
    body = asking("fail-500", "claude-2.1")
    body["data"][1]["promptParams"] = {"messages": [{"role": "user", "content": "another"}], "max_tokens": 50}
    status, _, answered = post(f"{url}/api/v1/generate", body)
    assert (status, json.loads(answered)["choices"][0]["text"]) == (200, "another")


def test_a_candidate_may_have_a_time_limit_of_its_own(url: str) -> None:
    body = asking("fail-timeout", "claude-2.1")
    body["data"][0]["timeout"] = 50
    status, _, answered = post(f"{url}/api/v1/generate", body)
    attempts = json.loads(answered)["meta"]["attempts"]
    assert (status, len(attempts)) == (200, 2)
    assert "first_token" in attempts[0]["error"]["message"] or "total" in attempts[0]["error"]["message"]


def test_candidates_with_limits_that_all_fail_tell_of_each(url: str) -> None:
    body = asking("fail-500", "fail-429", maxRetries=0)
    body["data"][1]["timeout"] = 5000
    status, _, answered = post(f"{url}/api/v1/generate", body)
    assert status == 429
    assert [attempt["model"] for attempt in json.loads(answered)["error"]["attempts"]] == ["fail-500", "fail-429"]


def test_the_retries_of_a_lone_candidate_are_the_requests_own(url: str) -> None:
    status, _, answered = post(f"{url}/api/v1/generate", asking("fail-500", maxRetries=2))
    assert (status, len(json.loads(answered)["error"]["attempts"])) == (503, 3)


@pytest.mark.parametrize(("retries", "attempts"), [(None, 2), (0, 2), (1, 3), (3, 5)])
@pytest.mark.parametrize("limited", [False, True])
def test_retries_of_several_candidates_are_of_the_whole_call(
    url: str, demo: RunningDemo, retries: int | None, attempts: int, *, limited: bool
) -> None:
    demo.reset()
    body = asking("fail-500", "fail-429", maxRetries=retries)
    if limited:  # a candidate with a time limit of its own is asked without a session
        body["data"][0]["timeout"] = 5000
    status, _, answered = post(f"{url}/api/v1/generate", body)
    tried = [attempt["model"] for attempt in json.loads(answered)["error"]["attempts"]]
    assert status in (429, 503)
    assert tried == [("fail-500", "fail-429")[place % 2] for place in range(attempts)]
    assert demo.stats()["requests"] == attempts


def test_a_candidate_with_a_limit_gives_way_to_the_next_for_a_refused_key(url: str) -> None:
    body = asking("fail-401", "claude-2.1")
    body["data"][0]["timeout"] = 5000
    status, _, answered = post(f"{url}/api/v1/generate", body)
    assert (status, json.loads(answered)["choices"][0]["text"]) == (200, HI[0]["content"])


def test_one_group_twice_with_other_parameters(url: str) -> None:
    body = asking("fail-500", "fail-500", "claude-2.1")
    body["data"][1]["promptParams"] = {"prompt": "x", "max_tokens": 3}
    status, _, answered = post(f"{url}/api/v1/generate", body)
    assert (status, len(json.loads(answered)["meta"]["attempts"])) == (200, 3)


def test_a_candidate_that_hangs_leaves_time_for_the_others(url: str) -> None:
    answered = generate(url, "fail-timeout", "claude-2.1", timeout=400)
    assert [attempt["model"] for attempt in answered["meta"]["attempts"]] == ["fail-timeout", "claude-2.1"]


def test_the_timeout_is_for_the_whole_call(url: str) -> None:
    status, _, body = post(f"{url}/api/v1/generate", asking("slow", timeout=150))
    assert (status, json.loads(body)["statusCode"]) == (503, 503)
    found = stream(url, "slow", timeout=300)
    assert found[-1]["event"] == "error"
    assert "timeout" in found[-1]["message"]


def test_a_silent_stream_is_kept_alive(url: str) -> None:
    _, _, body = post(f"{url}/api/v1/generate", asking("fail-timeout", stream=True))
    assert body.startswith(b"retry: 3000\n\n: ping\n\n")
    assert events(body)[-1]["event"] == "error"


def test_calls_of_tools_go_both_ways(url: str) -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
    for name in ("tools", "claude-tools"):
        choice = generate(url, name, params={"tools": [tool]})["choices"][0]
        assert choice["tool_calls"][0]["function"]["name"] == "get_weather"
        deltas = [event["data"] for event in stream(url, name, params={"tools": [tool]}) if event["event"] == "update"]
        assert deltas[0]["tool_calls"][0]["function"]["name"] == "get_weather" or "tool_calls" in str(deltas)


@pytest.mark.parametrize(
    ("names", "status", "told"),
    [
        (("nope",), 400, "data[0].modelName"),
        (("fail-400",), 400, "400"),
        (("fail-429",), 429, "429"),
        (("fail-500",), 503, "500"),
        (("fail-401",), 503, "401"),
    ],
)
def test_failures_have_statuses_that_clients_know(url: str, names: tuple[str, ...], status: int, told: str) -> None:
    found, _, body = post(f"{url}/api/v1/generate", asking(*names))
    value = json.loads(body)
    assert (found, value["statusCode"]) == (status, status)
    assert told in value["message"]
    (event,) = stream(url, *names)
    assert (event["event"], event["data"]["statusCode"]) == ("error", status)
    assert told in event["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"data":[{"order":1}]}', b"\xff"])
def test_a_bad_request_is_a_400_that_says_why(url: str, body: bytes) -> None:
    status, _, answered = post(f"{url}/api/v1/generate", body)
    assert status == 400
    assert json.loads(answered)["message"]


def test_a_wrong_key_is_a_401_and_in_a_stream_an_event(url: str) -> None:
    status, _, body = post(f"{url}/api/v1/generate", asking("gpt-4-0613"), {"ws-secret": "sk-wrong-key-000001"})
    assert (status, json.loads(body)["statusCode"]) == (401, 401)
    status, _, body = post(f"{url}/api/v1/generate", asking("gpt-4-0613", stream=True), {})
    assert status == 200
    assert [event["event"] for event in events(body)] == ["error"]


def test_a_stream_may_be_refused_with_the_honest_status(demo: RunningDemo) -> None:
    with gptrouter_gateway(models_over(demo.url), settings=Settings(stream_refusals="status")) as url:
        status, _, body = post(f"{url}/api/v1/generate", asking("gpt-4-0613", stream=True), {})
        assert (status, [event["event"] for event in events(body)]) == (401, ["error"])


def test_ids_name_a_model_as_well(url: str) -> None:
    first = generate(url, "gpt-4-0613")
    data = [{"order": 1, "providerId": first["providerId"], "modelId": first["modelId"], "promptParams": {"prompt": "again"}}]
    status, _, body = post(f"{url}/api/v1/generate", {"data": data})
    assert (status, json.loads(body)["choices"][0]["text"]) == (200, "again")


def test_a_question_about_an_image(url: str) -> None:
    data = {"model": "gpt-4o", "providerName": "chat_openai", "imageUrl": "http://x/y.png", "promptParams": {"prompt": "What?"}}
    status, _, body = post(f"{url}/api/v1/generate/image", {"data": data})
    assert status == 200
    assert json.loads(body)["response"]
    _, _, body = post(f"{url}/api/v1/generate/image", {"stream": True, "data": data})
    assert events(body)[-1] == {"event": "end", "data": "end"}
