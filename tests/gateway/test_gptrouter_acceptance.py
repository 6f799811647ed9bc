"""What GPTRouter got wrong on the wire, each with the test that holds it right here; and the tests that belong nowhere else.

The left side is what was measured of the original server and of its clients; the right side names a test of this repository.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dragoman.core.http import HttpResponse
from dragoman.engine.call import CallOptions
from dragoman.gateway import config as gateway_config
from dragoman.gateway.gptrouter.routes import gptrouter_routes
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import Limits
from dragoman.transport.replay import AsyncReplayTransport
from support.demo_server import RunningDemo, demo_server
from support.gptrouter import KEY, gptrouter_gateway, models_over
from support.inprocess_server import run, serving

TESTS = Path(__file__).resolve().parents[1]
HERE = "gateway/test_gptrouter_acceptance.py"
GENERATE, PAGES = "gateway/test_gptrouter_generate.py", "gateway/test_gptrouter_pages.py"
GOVERNED, ANSWERS = "gateway/test_gptrouter_governed.py", "dialects/test_gptrouter_answers.py"
CLIENTS, OURS = "contract/test_gptrouter_clients.py", "gptrouter/test_gptrouter_client.py"

HELD = {
    "the second model is never asked": (GENERATE, "test_the_next_candidate_answers_for_one_that_is_down"),
    "a fresh start refuses its first request": (HERE, "test_a_fresh_start_serves_its_first_request"),
    "a model that is down is refused": (GENERATE, "test_a_candidate_that_traffic_shows_down_goes_last_and_is_not_refused"),
    "a model that is slow is refused": ("gateway/test_gptrouter_routing.py", "test_who_is_slow_to_begin_stands_behind"),
    "retries are the vendor's, on one model": (GENERATE, "test_retries_of_several_candidates_are_of_the_whole_call"),
    "a timeout is for each attempt": (GENERATE, "test_the_timeout_is_for_the_whole_call"),
    "every error is a 500 without a reason": (GENERATE, "test_failures_have_statuses_that_clients_know"),
    "a bad request is a 500": (GENERATE, "test_a_bad_request_is_a_400_that_says_why"),
    "a stream that is cut looks complete": (GENERATE, "test_a_cut_after_the_first_token_is_an_error_and_never_an_end"),
    "a failing stream ends the process": (HERE, "test_a_stream_that_fails_harms_nobody"),
    "the stream of a stored prompt ends in the wrong order": (HERE, "test_the_stream_of_a_prompt_ends_as_every_stream"),
    "usage is missing where content is a list": (HERE, "test_usage_is_there_where_content_is_a_list"),
    "usage is missing in most clients": (CLIENTS, "test_generate_plain_streamed_and_async"),
    "a client that leaves is not noticed": ("gateway/test_gptrouter_leaving.py", "test_leaving_ends_the_upstream_request"),
    "calls of tools are lost": (GENERATE, "test_calls_of_tools_go_both_ways"),
    "parameters are dropped, one stop becomes a text": (HERE, "test_every_parameter_reaches_the_provider"),
    "a double slash is a 404": (GENERATE, "test_every_spelling_of_path_and_key_works"),
    "dates are empty objects": (PAGES, "test_providers_and_models_are_listed_by_the_names_that_clients_use"),
    "a dead model has a latency of 0 ms": (PAGES, "test_health_and_usage_come_from_real_traffic"),
    "a list without dates is a 500": (PAGES, "test_health_and_usage_come_from_real_traffic"),
    "a missing variable is the word undefined": (PAGES, "test_a_missing_variable_is_a_400_that_names_it"),
    "a deleted prompt still runs": (PAGES, "test_a_prompt_is_made_changed_labelled_run_and_deleted"),
    "links are taken for places": ("gateway/test_gptrouter_templates.py", "test_places_are_filled_and_text_is_left_alone"),
    "a login gives the password back": (PAGES, "test_a_login_gives_a_token_and_no_secret"),
    "a login tells who is known": (PAGES, "test_wrong_logins_are_alike"),
    "any key may change prompts": (GOVERNED, "test_what_all_keys_did_is_for_admins_and_prompts_for_who_may_manage"),
    "all users share one limit": (GOVERNED, "test_a_limit_holds_on_every_route"),
    "usage without a user is lost": (GOVERNED, "test_the_master_key_without_a_user_has_its_row"),
    "failed attempts are recorded nowhere": (GOVERNED, "test_the_ledger_has_both_attempts_the_labels_and_what_was_spent"),
    "separators of lines cost clients a chunk": (ANSWERS, "test_every_text_survives_in_one_line_of_ascii"),
    "null strings break clients": (ANSWERS, "test_strings_are_never_null"),
    "an edit needs address and base64": ("gateway/test_gptrouter_media.py", "test_an_edit_has_address_and_base64_both"),
    "an error event without a message is swallowed": (ANSWERS, "test_a_stream_that_breaks_has_an_error_event_and_no_end"),
    "LangChain's class fails with the newer client": (CLIENTS, "test_langchains_own_class"),
    "a retried stream doubles its text": (OURS, "test_a_stream_that_has_not_begun_is_asked_for_again_and_its_text_comes_once"),
    "a call's tag wipes other labels": (OURS, "test_what_the_call_does_not_say_of_its_owner_stays_as_the_client_has_it"),
    "stop is lost in the client": (OURS, "test_every_parameter_is_sent"),
    "an order that is left out is no JSON": (
        "gptrouter/test_gptrouter_models.py",
        "test_candidates_without_an_order_stand_where_they_are",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("file", "name"), HELD.values(), ids=HELD)
def test_what_was_wrong_is_held_by_a_test(file: str, name: str) -> None:
    tree = ast.parse((TESTS / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


@pytest.fixture(scope="module")
def session(demo: RunningDemo) -> Iterator[httpx2.Client]:
    with (
        gptrouter_gateway(models_over(demo.url)) as url,
        httpx2.Client(base_url=f"{url}/api/v1", headers={"ws-secret": KEY}, trust_env=False, timeout=20) as client,
    ):
        yield client


def events(answer: httpx2.Response) -> list[Any]:
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]


def asking(model: str, **params: Any) -> dict[str, Any]:
    return {"data": [{"order": 1, "modelName": model, "providerName": "chat_openai", "promptParams": params}]}


def stored(session: httpx2.Client, model: str) -> str:
    made = session.post("/prompt", json={"title": "t", "models": [f"chat_openai/{model}"], "promptParams": {"prompt": "hello"}})
    return made.json()["id"]


def test_a_fresh_start_serves_its_first_request(demo: RunningDemo) -> None:
    with gptrouter_gateway(models_over(demo.url)) as url:
        body = asking("gpt-4-0613", prompt="hello")
        answer = httpx2.post(f"{url}/api/v1/generate", json=body, headers={"ws-secret": KEY}, trust_env=False)
    assert answer.json()["choices"][0]["text"] == "hello"


ROUTES = {
    "/generate": lambda _, model: {**asking(model, prompt="hello"), "stream": True},
    "/generate/prompt": lambda session, model: {"stream": True, "data": {"promptId": stored(session, model), "inputData": {}}},
    "/generate/image": lambda _, model: {
        "stream": True,
        "data": {"model": model, "providerName": "chat_openai", "imageUrl": "http://x/y.png", "promptParams": {"prompt": "?"}},
    },
}


@pytest.mark.parametrize("fault", ["500", "cut", "early", "refuse"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_stream_that_fails_harms_nobody(session: httpx2.Client, route: str, fault: str) -> None:
    failed = session.post(route, json=ROUTES[route](session, f"fail-{fault}"))
    assert (failed.status_code, events(failed)[-1]["event"]) == (200, "error")
    good = session.post(route, json=ROUTES[route](session, "gpt-4-0613"))
    assert events(good)[-1] == {"event": "end", "data": "end"}


def test_the_stream_of_a_prompt_ends_as_every_stream(session: httpx2.Client) -> None:
    answer = session.post("/generate/prompt", json=ROUTES["/generate/prompt"](session, "gpt-4-0613"))
    assert [event["event"] for event in events(answer)][-3:] == ["meta", "generation_source", "end"]
    assert answer.text.endswith('data: {"event":"end","data":"end"}\n\nevent: end\ndata: Stream closed\n\n')


def test_usage_is_there_where_content_is_a_list(session: httpx2.Client) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "hello there"}]}]
    answer = session.post("/generate", json={**asking("gpt-4-0613", messages=messages), "stream": True})
    usage = next(event for event in events(answer) if event["event"] == "meta")["data"]["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
SAID = {"temperature": 0.1, "top_p": 0.9, "stop": ["END"], "tools": [TOOL], "tool_choice": "required", "max_tokens": 7}
OPENAI = {"seed": 1, "user": "u", "logit_bias": {"5": 1}, "presence_penalty": 0.1, "n": 1, "response_format": {"type": "text"}}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
CHAT = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]}
MESSAGE = {
    "id": "c",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": "end_turn",
    "usage": {},
}


@pytest.mark.parametrize(
    ("model", "params", "answer", "expected"),
    [
        ("openai/m", SAID | OPENAI, CHAT, SAID | OPENAI),
        (
            "anthropic/m",
            SAID,
            MESSAGE | {"usage": {"input_tokens": 1, "output_tokens": 1}},
            {"temperature": 0.1, "top_p": 0.9, "stop_sequences": ["END"], "tool_choice": {"type": "any"}, "max_tokens": 7},
        ),
    ],
)
def test_every_parameter_reaches_the_provider(
    model: str, params: dict[str, Any], answer: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = json.dumps(answer).encode()
    transport = AsyncReplayTransport(HttpResponse(status=200, headers=(("content-type", "application/json"),), body=body))

    async def scenario() -> None:
        _, policy = gateway_config.read(f"models: [{{name: m, model: {model}, api_key: k}}]", file="t", env={})
        routes = gptrouter_routes(Pipeline(policy, transport, options=CallOptions()))
        wish = {"data": [{"order": 1, "modelName": "m", "promptParams": {"prompt": "hello", **params}}]}
        async with serving(routes, Limits()) as running, httpx2.AsyncClient(trust_env=False) as client:
            found = await client.post(f"http://127.0.0.1:{running.port}/api/v1/generate", json=wish)
            assert found.status_code == 200, found.text

    run(scenario)
    sent = json.loads(transport.requests[0].body or b"")
    assert {key: sent.get(key) for key in expected} == expected
