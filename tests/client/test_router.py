"""`Router` as programs written for LiteLLM use it: groups whose deployments fail in every way, sync and async."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import dragoman
from dragoman import Router
from dragoman.core.errors import ConfigurationError, NoDeploymentError
from dragoman.core.http import HttpResponse
from dragoman.router.balance import Strategy
from dragoman.router.state import Ask, Node
from dragoman.transport.replay import AsyncReplayTransport, ReplayTransport
from support.demo_server import demo_server

HELLO = [{"role": "user", "content": "hello there"}]
Ask_ = Callable[..., Any]


def entry(group: str, model: str, name: str | None = None, **params: Any) -> dict[str, Any]:
    info = {} if name is None else {"model_info": {"id": name}}
    return {"model_name": group, "litellm_params": {"model": f"demo/{model}", **params}, **info}


def failing(fault: str, **more: Any) -> str:
    return "echo?" + "&".join(f"{key}={value}" for key, value in {"fail": fault, **more}.items())


def router(*entries: dict[str, Any], **given: Any) -> Router:
    return Router(model_list=list(entries), env={}, **given)


def sync(asked: Router, *place: Any, **given: Any) -> Any:
    """An answer, or the text of a stream."""
    answer = asked.completion(*place, **given)
    if not given.get("stream"):
        return answer
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)


def awaited(asked: Router, *place: Any, **given: Any) -> Any:
    async def run() -> Any:
        answer = await asked.acompletion(*place, **given)
        if not given.get("stream"):
            return answer
        return "".join([chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices])

    return asyncio.run(run())


@pytest.fixture(params=[sync, awaited], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask_:
    found: Ask_ = request.param
    return found


def text(answer: Any) -> str:
    content: str = answer.choices[0].message.content
    return content


def went(answer: Any) -> list[tuple[str, str | None]]:
    return [(step["deployment"], step["error"]) for step in answer._hidden_params["trail"]]


# ------------------------------------------------------------------------------------------------------- failing deployments
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("500", "InternalServerError"),
        ("503", "ServiceUnavailableError"),
        ("529", "ServiceUnavailableError"),
        ("429", "RateLimitError"),
        ("refuse", "APIConnectionError"),
        ("garbage", "ResponseDecodeError"),
        ("cut", "APIConnectionError"),
    ],
)
def test_one_of_three_down_is_seen_by_nobody(ask: Ask_, fault: str, error: str) -> None:
    three = router(
        entry("fast", failing(fault), "down", order=0), entry("fast", "echo", "a", order=1), entry("fast", "echo", "b", order=1)
    )
    first = ask(three, "fast", HELLO)
    assert text(first) == "hello there"
    assert went(first)[0] == ("down", error)
    assert went(first)[1][1] is None
    assert first._hidden_params["model_id"] in {"a", "b"}
    assert first._hidden_params["attempts"] == 2
    assert first._hidden_params["additional_headers"]["x-litellm-attempted-retries"] == 1
    for _ in range(20):
        assert text(ask(three, "fast", HELLO)) == "hello there"


@pytest.mark.parametrize("fault", ["500", "error_event", "cut", "garbage"])
def test_a_stream_that_fails_before_its_first_token_starts_elsewhere(ask: Ask_, fault: str) -> None:
    two = router(entry("fast", failing(fault, fail_after=0), "down", order=0), entry("fast", "echo", "up", order=1))
    assert ask(two, "fast", HELLO, stream=True) == "hello there"
    assert {state["deployment"]: state["in_flight"] for state in two.explain()} == {"down": 0, "up": 0}


def test_a_stream_that_breaks_later_is_an_error_and_counts_against_its_deployment(ask: Ask_) -> None:
    cut = entry("fast", failing("cut", fail_after=3, length=12), "cut")
    one = router(cut, entry("other", "echo"), fallbacks=[{"fast": ["other"]}])
    with pytest.raises(dragoman.StreamInterruptedError):
        ask(one, "fast", HELLO, stream=True)
    assert one.explain()[0]["success_rate"] < 1


def test_a_429_that_names_its_time_is_left_alone_until_then(ask: Ask_) -> None:
    two = router(entry("fast", failing("429", retry_after=600), "limited", order=0), entry("fast", "echo", "free", order=1))
    assert went(ask(two, "fast", HELLO)) == [("limited", "RateLimitError"), ("free", None)]
    after = ask(two, "fast", HELLO)
    assert went(after) == [("free", None)]
    (drop,) = after._hidden_params["drops"]
    assert drop["deployment"] == "limited"
    assert "rate_limit" in drop["reason"]
    assert two.explain()[0]["state"] == "out"
    assert two.get_available_deployment("fast").model_info.id == "free"


def test_when_all_are_limited_the_error_is_a_rate_limit_error_with_the_time(ask: Ask_) -> None:
    one = router(*(entry("fast", failing("429", retry_after=600)) for _ in range(2)))
    with pytest.raises(dragoman.RateLimitError):
        ask(one, "fast", HELLO)
    with pytest.raises(dragoman.RateLimitError) as failure:
        ask(one, "fast", HELLO)
    assert isinstance(failure.value, NoDeploymentError)
    assert 0 < (failure.value.retry_after or 0) <= 600
    assert len(failure.value.drops) == 2


def test_a_refused_key_takes_out_whoever_shares_it(ask: Ask_) -> None:
    with demo_server() as demo:
        names = (
            ("refused", "echo?fail=401", "sk-one-1234"),
            ("same key", "echo", "sk-one-1234"),
            ("other key", "echo", "sk-two-1234"),
        )
        entries = [
            {
                "model_name": "a",
                "litellm_params": {"model": f"openai/{model}", "api_base": demo.openai_url, "api_key": key, "order": order},
                "model_info": {"id": name},
            }
            for order, (name, model, key) in enumerate(names)
        ]
        with router(*entries) as asked:
            answer = ask(asked, "a", HELLO)
            assert went(answer) == [("refused", "AuthenticationError"), ("other key", None)]
            assert [drop["deployment"] for drop in answer._hidden_params["drops"]] == ["same key"]
            assert went(ask(asked, "a", HELLO)) == [("other key", None)]


# ---------------------------------------------------------------------------------------------------------------- fallbacks
def test_a_group_that_is_down_falls_back_to_the_next(ask: Ask_) -> None:
    asked = router(
        entry("a", failing("503"), "a1"), entry("b", failing("500"), "b1"), entry("c", "echo", "c1"),
        fallbacks=[{"a": ["b", "c"]}], num_retries=0,
    )  # fmt: skip
    answer = ask(asked, "a", HELLO)
    assert went(answer) == [("a1", "ServiceUnavailableError"), ("b1", "InternalServerError"), ("c1", None)]
    headers = answer._hidden_params["additional_headers"]
    assert (headers["x-litellm-attempted-fallbacks"], headers["x-litellm-attempted-retries"]) == (2, 0)
    assert (headers["x-litellm-model-group"], answer._hidden_params["model_group"]) == ("a", "a")


def test_a_prompt_too_long_for_the_group_goes_to_the_context_window_fallback(ask: Ask_) -> None:
    long = [{"role": "user", "content": "word " * 40_000}]
    small = {**entry("small", "echo", "small"), "model_info": {"id": "small", "base_model": "gpt-4"}}
    second = {**entry("small", "echo", "small-2"), "model_info": {"id": "small-2", "base_model": "gpt-4"}}
    asked = router(small, second, entry("large", "echo", "large"), context_window_fallbacks=[{"small": ["large"]}])
    assert went(ask(asked, "small", HELLO))[0][0].startswith("small")
    answer = ask(asked, "small", long)
    assert went(answer) == [("large", None)]
    assert "context window 8192" in answer._hidden_params["drops"][0]["reason"]


def test_without_a_fallback_it_is_a_context_window_error(ask: Ask_) -> None:
    entries = [{**entry("small", "echo"), "model_info": {"base_model": "gpt-4"}} for _ in range(2)]
    with pytest.raises(dragoman.ContextWindowExceededError, match="context window 8192"):
        ask(router(*entries), "small", [{"role": "user", "content": "word " * 40_000}])


def test_default_fallbacks_are_for_any_group(ask: Ask_) -> None:
    asked = router(entry("a", failing("500")), entry("b", "echo", "b"), default_fallbacks=["b"], num_retries=0)
    assert went(ask(asked, "a", HELLO))[-1] == ("b", None)


def test_a_calls_own_fallbacks_change_the_request_and_only_there(ask: Ask_) -> None:
    asked = router(entry("a", failing("500")), entry("b", "echo", "b"), num_retries=0)
    changed = [{"model": "b", "messages": [{"role": "user", "content": "in short"}]}]
    assert text(ask(asked, "a", HELLO, fallbacks=changed)) == "in short"
    assert text(ask(asked, "a", HELLO, fallbacks=["b"])) == "hello there"
    assert text(ask(asked, "a", HELLO, fallbacks=[{"a": ["b"]}])) == "hello there"


def test_fallbacks_can_be_turned_off_for_a_call(ask: Ask_) -> None:
    asked = router(entry("a", failing("500")), entry("b", "echo"), fallbacks=[{"a": ["b"]}], num_retries=0)
    with pytest.raises(dragoman.InternalServerError) as failure:
        ask(asked, "a", HELLO, disable_fallbacks=True)
    assert failure.value.attempts == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fallbacks": [{"model": "b", "api_key": "sk-x"}]}, r"fallbacks\[0\].api_key"),
        ({"fallbacks": [3]}, r"fallbacks\[0\]: expected a model's name"),
        ({"fallbacks": ["nobody"]}, "no model is called 'nobody'"),
        ({"api_key": "sk-x"}, "api_key: not with a Router"),
        ({"context_window_fallbacks": [{"a": ["b"]}]}, "give it to the Router"),
        ({"num_retries": -1}, "num_retries: expected a whole number"),
        ({"tags": "free"}, "tags: expected a list of texts"),
        ({"specific_deployment": "gone"}, "there is no deployment 'gone'"),
    ],
)
def test_what_a_call_cannot_say_is_named(given: dict[str, Any], words: str) -> None:
    asked = router(entry("a", "echo"), entry("b", "echo"), enable_tag_filtering=True)
    with pytest.raises(dragoman.CallError, match=words):
        asked.completion("a", HELLO, **given)


# --------------------------------------------------------------------------------------------------------- retries and waits
def test_a_calls_own_number_of_retries_holds(ask: Ask_) -> None:
    asked = router(*(entry("a", failing("500")) for _ in range(4)), num_retries=3)
    for number in (0, 1):
        with pytest.raises(dragoman.InternalServerError) as failure:
            ask(asked, "a", HELLO, num_retries=number)
        assert failure.value.attempts == 1 + number


def test_a_deployments_own_timeout_holds(ask: Ask_) -> None:
    asked = router(entry("a", "echo?latency=60000", "slow", timeout=0.05, order=0), entry("a", "echo", "quick", order=1))
    assert went(ask(asked, "a", HELLO)) == [("slow", "Timeout"), ("quick", None)]


def test_the_routers_timeout_holds_for_every_attempt(ask: Ask_) -> None:
    asked = router(entry("a", "echo?latency=60000"), timeout=0.05, num_retries=0)
    with pytest.raises(dragoman.Timeout):
        ask(asked, "a", HELLO)


def test_parameters_of_a_deployment_are_defaults(ask: Ask_) -> None:
    asked = router(entry("a", "canned", max_tokens=1), default_litellm_params={"user": "somebody"})
    assert ask(asked, "a", HELLO).usage.completion_tokens == 1
    assert ask(asked, "a", HELLO, max_tokens=3).usage.completion_tokens == 3


def test_a_limit_of_n_a_minute_serves_n(ask: Ask_) -> None:
    asked = router(entry("a", "echo", rpm=3), entry("b", "echo"))
    for _ in range(3):
        ask(asked, "a", HELLO)
    with pytest.raises(dragoman.RateLimitError, match="at its limit"):
        ask(asked, "a", HELLO)


# ------------------------------------------------------------------------------------------------------------ who is chosen
def test_weights_decide_in_simple_shuffle() -> None:
    entries = (entry("a", "echo", "never", weight=0), entry("a", "echo", "always", weight=1))
    asked = router(*entries, routing_strategy="simple-shuffle")
    assert {went(sync(asked, "a", HELLO))[0][0] for _ in range(20)} == {"always"}


def test_identical_entries_are_two_deployments_and_both_are_used() -> None:
    asked = router(entry("a", "echo"), entry("a", "echo"), routing_strategy="simple-shuffle")
    seen = Counter(went(sync(asked, "a", HELLO))[0][0] for _ in range(60))
    assert sorted(seen) == sorted(asked.get_model_ids("a"))


def test_tags_choose_where_the_router_heeds_them(ask: Ask_) -> None:
    entries = (entry("a", "echo", "free", tags=["free"]), entry("a", "echo", "paid", tags=["paid"]))
    heeding = router(*entries, enable_tag_filtering=True)
    assert went(ask(heeding, "a", HELLO, tags=["paid"])) == [("paid", None)]
    assert went(ask(heeding, "a", HELLO, metadata={"tags": ["free"], "run": "7"})) == [("free", None)]
    with pytest.raises(NoDeploymentError, match="tagged none of other"):
        ask(heeding, "a", HELLO, tags=["other"])
    assert text(ask(router(*entries), "a", HELLO, tags=["other"])) == "hello there"


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("two", {}),
        ("a", {"specific_deployment": "two"}),
        ("demo/canned", {"specific_deployment": True}),
    ],
)
def test_one_deployment_can_be_asked_for_by_its_id_or_model(ask: Ask_, model: str, given: dict[str, Any]) -> None:
    asked = router(entry("a", "echo", "one"), entry("a", "canned", "two"))
    assert went(ask(asked, model, HELLO, **given)) == [("two", None)]


def test_a_session_stays_where_it_was() -> None:
    asked = router(*(entry("a", "echo?latency=10") for _ in range(4)))  # alike, so that nowhere else is much better
    seen = {went(sync(asked, "a", HELLO, litellm_session_id="one conversation"))[0][0] for _ in range(10)}
    assert len(seen) == 1


def test_patterns_and_aliases(ask: Ask_) -> None:
    asked = router(
        {"model_name": "demo/*", "litellm_params": {"model": "demo/*"}}, entry("a", "echo", "a1"),
        model_group_alias={"b": "a", "c": {"model": "a", "hidden": True}},
    )  # fmt: skip
    assert text(ask(asked, "demo/echo", HELLO)) == "hello there"
    assert went(ask(asked, "c", HELLO)) == [("a1", None)]
    assert asked.get_model_names() == ["demo/*", "a", "b"]
    assert [found["model_name"] for found in asked.get_model_list("b")] == ["b"]


def test_a_strategy_of_ones_own() -> None:
    class Last(Strategy):
        def choose(self, nodes: Any, ask: Ask) -> Node:
            node: Node = nodes[-1]
            return node

    class AsLiteLLM:
        def __init__(self, asked: Router) -> None:
            self.asked = asked

        def get_available_deployment(self, model: str, **_: Any) -> Any:
            return self.asked.get_model_list(model)[1]

    asked = router(entry("a", "echo", "x"), entry("a", "echo", "y"), entry("a", "echo", "z"))
    asked.set_custom_routing_strategy(Last())
    assert went(sync(asked, "a", HELLO)) == [("z", None)]
    asked.set_custom_routing_strategy(AsLiteLLM(asked))
    assert went(sync(asked, "a", HELLO)) == [("y", None)]
    asked.update_settings(routing_strategy="simple-shuffle")
    assert {went(sync(asked, "a", HELLO))[0][0] for _ in range(60)} == {"x", "y", "z"}
    with pytest.raises(ConfigurationError, match="object has no get_available_deployment"):
        asked.set_custom_routing_strategy(object())


# --------------------------------------------------------------------------------------------------------- changes on the way
def test_deployments_come_and_go_while_running() -> None:
    asked = router(entry("a", failing("429", retry_after=600), "limited"), entry("a", "echo", "free"), num_retries=1)
    for _ in range(10):
        sync(asked, "a", HELLO)
    added = asked.add_deployment(entry("a", "canned", "third"))
    assert (added.model_info.id, added.litellm_params.model) == ("third", "demo/canned")
    assert asked.explain()[0]["state"] == "out", "what was known is kept"
    gone = asked.delete_deployment("free")
    assert gone is not None
    assert gone.model_name == "a"
    assert asked.delete_deployment("free") is None
    assert went(sync(asked, "a", HELLO)) == [("third", None)]
    asked.upsert_deployment(entry("a", "echo", "limited"))
    assert asked.get_deployment("limited")["litellm_params"] == {"model": "demo/echo"}
    assert asked.get_model_ids() == ["limited", "third"]
    asked.set_model_list([entry("only", "echo")])
    assert asked.get_model_names() == ["only"]
    with pytest.raises(dragoman.NotFoundError, match="no model is called 'a'"):
        asked.completion("a", HELLO)


def test_a_third_identical_entry_gets_an_id_of_its_own() -> None:
    asked = router(entry("a", "echo"), entry("a", "echo"))
    before = asked.get_model_ids()
    added = asked.add_deployment(entry("a", "echo"))
    assert asked.get_model_ids() == [*before, added.model_info.id]
    assert len(set(asked.get_model_ids())) == 3


def test_what_is_printed_holds_no_key() -> None:
    asked = router(entry("a", "echo", api_key="sk-secret-1234"))
    for shown in (asked.model_list, asked.get_model_list("a"), asked.get_available_deployment("a"), asked.explain(), asked):
        assert "sk-secret" not in f"{shown!r} {shown}"
    assert asked.model_list[0]["litellm_params"]["api_key"] == "sk-secret-1234"


def test_objects_with_the_fields_of_an_entry_are_entries() -> None:
    asked = router()
    asked.add_deployment(SimpleNamespace(model_name="a", litellm_params={"model": "demo/echo"}))
    assert text(sync(asked, "a", HELLO)) == "hello there"
    assert asked.get_deployment_by_model_group_name("a") is not None
    assert asked.get_deployment_by_model_group_name("b") is None
    with pytest.raises(ConfigurationError, match="expected a dict with model_name"):
        asked.add_deployment(3)


def test_a_list_that_is_refused_changes_nothing() -> None:
    asked = router(entry("a", "echo"), entry("b", "echo"), fallbacks=[{"a": ["b"]}])
    for entries in ([entry("a", "echo")], [{"model_name": "a"}], [entry("a", "echo", color="red", weigth=3)]):
        with pytest.raises(ConfigurationError):
            asked.set_model_list(entries)
        assert asked.get_model_names() == ["a", "b"]
        assert text(sync(asked, "a", HELLO)) == "hello there"


def test_settings_change_while_running() -> None:
    asked = router(*(entry("a", failing("500")) for _ in range(4)), entry("b", "echo"), num_retries=0)
    with pytest.raises(dragoman.InternalServerError):
        asked.completion("a", HELLO)
    asked.update_settings(fallbacks=[{"a": ["b"]}], timeout=30)
    assert text(sync(asked, "a", HELLO)) == "hello there"
    told = asked.get_settings()
    assert (told["num_retries"], told["fallbacks"], told["timeout"]) == (0, [{"a": ["b"]}], 30)
    for bad in ({"routing_strategy": "best"}, {"num_retriez": 1}, {"fallbacks": [{"a": ["nobody"]}]}):
        with pytest.raises(ConfigurationError):
            asked.update_settings(**bad)
        assert asked.get_settings() == told
        assert text(sync(asked, "a", HELLO)) == "hello there"


def test_reset_forgets() -> None:
    asked = router(entry("a", failing("429", retry_after=600), "x"), entry("a", "echo", "y"))
    for _ in range(10):
        sync(asked, "a", HELLO)
    assert asked.explain()[0]["state"] == "out"
    asked.reset()
    assert asked.explain()[0]["state"] == "in"


# ---------------------------------------------------------------------------------------------------------------- arguments
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_retriez": 3}, "unknown argument 'num_retriez'; did you mean num_retries?"),
        ({"routing_strategy": "best"}, "there is no 'best'"),
        ({"fallbacks": [{"a": ["nobody"]}]}, "no model is called 'nobody'"),
    ],
)
def test_an_argument_that_nobody_knows_is_an_error(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        router(entry("a", "echo"), **given)


def test_what_is_not_obeyed_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="caching_groups is not obeyed"):
        router(entry("a", "echo"), caching_groups=[("a", "b")])
    with pytest.warns(UserWarning, match=r"model_list\[0\].litellm_params.api_version is not obeyed"):
        router(entry("a", "echo", api_version="2024-06-01"))
    with pytest.raises(ConfigurationError, match=r"model_list\[0\].litellm_params.mock_response: .* demo/canned"):
        router(entry("a", "echo", mock_response="hi"))


def test_a_mock_needs_no_deployment(ask: Ask_) -> None:
    assert text(ask(router(entry("a", failing("500"))), "a", HELLO, mock_response="hi")) == "hi"


# -------------------------------------------------------------------------------------------------------- other operations
def test_embeddings_are_routed_too() -> None:
    asked = router(entry("vectors", "embed?fail=500", "down", order=0), entry("vectors", "embed", "up", order=1))
    assert went(asked.embedding("vectors", ["a", "b"]))[-1] == ("up", None)
    assert len(asyncio.run(asked.aembedding("vectors", ["a", "b"])).data) == 2


def test_images_are_routed_too() -> None:
    with demo_server() as demo:
        place = {"api_base": demo.openai_url, "api_key": "sk-demo-1234"}
        models = ("openai/image?fail=500", "openai/image")
        asked = Router(
            model_list=[
                {"model_name": "pictures", "litellm_params": {"model": model, "order": order, **place}}
                for order, model in enumerate(models)
            ]
        )
        with asked:
            assert len(went(asked.image_generation("a cat", "pictures"))) == 2
        assert asyncio.run(asked.aimage_generation("a cat", "pictures")).data


JUDGED = {"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.9}}
URGENT = {"type": "choice", "instructions": "Urgent?", "choices": [{"value": True}, {"value": False}], "name": "urgent"}
DECIDED = {"type": "choice", "name": "urgent", "choice": False, "confidence": 1, "probabilities": []}
OPERATIONS: dict[str, tuple[tuple[Any, ...], dict[str, Any], Any]] = {
    "rerank": (("g", "q", ["a", "b"]), {"id": "r", "results": [{"index": 1, "relevance_score": 0.9}]}, "results"),
    "moderation": (("text", "g"), {"id": "m", "model": "m", "results": [JUDGED]}, "results"),
    "decision": (("g", [URGENT]), {"model": "m", "answers": [DECIDED], "usage": {}}, "answers"),
    "image_generation": (("a cat", "g"), {"created": 1, "data": [{"b64_json": "aGk="}]}, "data"),
    "image_edit": ((b"\x89PNG", "a cat", "g"), {"created": 1, "data": [{"b64_json": "aGk="}]}, "data"),
    "image_variation": ((b"\x89PNG", "g"), {"created": 1, "data": [{"b64_json": "aGk="}]}, "data"),
    "speech": (("g", "hello", "alloy"), {"audio": 1}, "content"),
    "transcription": ((("a.wav", b"RIFF"), "g"), {"text": "hello"}, "text"),
    "translation": ((("a.wav", b"RIFF"), "g"), {"text": "hello"}, "text"),
}
MODELS = {"rerank": "cohere/rerank-v3.5", "decision": "openai/gpt-6-luna"}
MORE = {"decision": {"input": "help!"}}


@pytest.mark.parametrize(("name", "case"), OPERATIONS.items(), ids=list(OPERATIONS))
@pytest.mark.parametrize("awaiting", [False, True], ids=["sync", "async"])
def test_every_operation_goes_on_to_the_next_deployment(name: str, case: Any, awaiting: bool) -> None:
    given, body, field = case
    model, more = MODELS.get(name, "openai/some-model"), MORE.get(name, {})
    places = [
        {
            "model_name": "g",
            "litellm_params": {"model": model, "api_key": "sk-1", "api_base": "https://x.test/v1", "order": order},
            "model_info": {"id": str(order)},
        }
        for order in (0, 1)
    ]
    media = "audio/mpeg" if name == "speech" else "application/json"
    answers = (
        HttpResponse(status=500, body=b"{}"),
        HttpResponse(status=200, headers=(("content-type", media),), body=json.dumps(body).encode()),
    )
    asked = Router(places, env={}, transport=ReplayTransport(*answers), async_transport=AsyncReplayTransport(*answers))
    found = asyncio.run(getattr(asked, f"a{name}")(*given, **more)) if awaiting else getattr(asked, name)(*given, **more)
    assert getattr(found, field)
    assert went(found) == [("0", "InternalServerError"), ("1", None)]


def test_a_call_names_nobody_in_the_other_operations_either() -> None:
    asked = router(entry("g", "echo"))
    with pytest.raises(dragoman.BadRequestError, match="api_key"):
        asked.rerank("g", "q", ["a"], api_key="sk-1")
    with pytest.raises(dragoman.NotFoundError):
        asked.moderation("text", "nobody")


# ---------------------------------------------------------------------------------------------- deadlines, hedges, the rest
def test_the_total_is_for_all_attempts(ask: Ask_) -> None:
    slow = [entry("slow", "echo?latency=60000", str(number)) for number in range(5)]
    with pytest.raises(dragoman.Timeout) as raised:
        ask(router(*slow, num_retries=4), "slow", HELLO, timeout=0.2)
    assert raised.value.attempts == 1, "the first one had it all"


def test_a_stream_that_breaks_is_written_on_by_another(ask: Ask_) -> None:
    able = {"supports_assistant_prefill": True}
    cut = {**entry("fast", failing("cut", fail_after=3, length=12), order=0), "model_info": {"id": "cut", **able}}
    good = {**entry("fast", "echo?length=12", order=1), "model_info": {"id": "good", **able}}
    whole = ask(router(good), "fast", HELLO, stream=True)
    assert ask(router(cut, good), "fast", HELLO, stream=True) == whole
    with pytest.raises(dragoman.StreamInterruptedError):
        ask(router(cut, good, continuation=False), "fast", HELLO, stream=True)
    with pytest.raises(dragoman.StreamInterruptedError):
        ask(router(cut, good, enable_mid_stream_fallback_continuation=False), "fast", HELLO, stream=True)


def test_litellms_switch_asks_any_model_for_the_rest(ask: Ask_) -> None:
    cut, good = entry("fast", failing("cut", fail_after=3), order=0), entry("fast", "echo", order=1)
    asked = router(cut, good, enable_mid_stream_fallback_continuation=True)
    assert ask(asked, "fast", [{"role": "user", "content": "one two three four five six"}], stream=True)
    with pytest.raises(dragoman.StreamInterruptedError):
        ask(router(cut, good), "fast", [{"role": "user", "content": "one two three four five six"}], stream=True)


def test_where_it_went_on_is_told() -> None:
    able = {"supports_assistant_prefill": True}
    cut = {**entry("fast", failing("cut", fail_after=3, length=12), order=0), "model_info": {"id": "cut", **able}}
    good = {**entry("fast", "echo?length=12", order=1), "model_info": {"id": "good", **able}}
    stream = router(cut, good).completion("fast", HELLO, stream=True)
    last = list(stream)[-1]
    assert [(step["deployment"], step["error"]) for step in last._hidden_params["trail"]] == [
        ("cut", "StreamInterruptedError"),
        ("good", None),
    ]
    assert "good wrote the rest" in last._hidden_params["warnings"][-1].message


def test_a_silent_deployment_is_hedged_once_its_speed_is_known() -> None:
    """`hedge` asks a second one beside the first; the quicker answers."""
    asked = router(
        entry("fast", "echo", "quick", order=0), entry("fast", "echo", "spare", order=1), hedge={"at_least": 0.2, "share": 1.0}
    )

    async def run() -> Any:
        for _ in range(20):
            assert went(await asked.acompletion("fast", HELLO)) == [("quick", None)]
        return await asked.acompletion("fast", HELLO, extra_body={"demo": {"latency": 1000}})

    slow = asyncio.run(run())
    assert text(slow) == "hello there"
    assert [error for _, error in went(slow)] == ["cancelled", None]
    assert {state["deployment"]: state["in_flight"] for state in asked.explain()} == {"quick": 0, "spare": 0}


@pytest.mark.parametrize(
    "given", [{"hedge": {"shares": 1}}, {"hedge": 7}, {"continuation": {"most": "x"}}, {"queue": {"max_wait": -1}}]
)
def test_a_policy_that_makes_no_sense_is_named(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(ConfigurationError, match=name):
        router(entry("a", "echo"), **given)


def test_what_a_group_can_do() -> None:
    known = [{**entry("a", "echo", rpm=10), "model_info": {"base_model": name}} for name in ("gpt-4o", "gpt-4o-mini")]
    told = router(*known).get_model_group_info("a")
    assert told is not None
    assert (told.model_group, told.providers, told.rpm, told.tpm) == ("a", ["demo"], 20, None)
    assert told.max_input_tokens == 128_000
    assert told.supports_vision is True
    assert router(*known).get_model_group_info("b") is None


def test_batches() -> None:
    asked = router(entry("a", "echo"), entry("bad", failing("400")), entry("slow", "echo?latency=60000"))
    other = [{"role": "user", "content": "bye"}]

    async def run() -> None:
        first, second = await asked.abatch_completion(["a", "bad"], HELLO)
        assert text(first) == "hello there"
        assert isinstance(second, dragoman.BadRequestError)
        many = await asked.abatch_completion_one_model_multiple_requests("a", [HELLO, other], max_at_once=1)
        assert [text(answer) for answer in many] == ["hello there", "bye"]
        rows = await asked.abatch_completion(["a", "a"], [HELLO, other])
        assert [[text(answer) for answer in row] for row in rows] == [["hello there"] * 2, ["bye"] * 2]
        assert text(await asked.abatch_completion_fastest_response("slow, bad, a", HELLO)) == "hello there"
        with pytest.raises(dragoman.BadRequestError):
            await asked.abatch_completion_fastest_response("bad", HELLO)

    asyncio.run(run())


# ------------------------------------------------------------------------------------------------------------------ threads
def test_threads_and_loops_share_one_router() -> None:
    asked = router(*(entry("a", "echo?fail=500&fail_rate=0.1") for _ in range(6)), num_retries=5)
    answers: list[str] = []

    def work() -> None:
        answers.extend(text(sync(asked, "a", HELLO)) for _ in range(30))
        answers.append(text(awaited(asked, "a", HELLO)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["hello there"] * (4 * 31)
    assert all(state["in_flight"] == 0 for state in asked.explain())


def test_it_closes(ask: Ask_) -> None:
    with router(entry("a", "echo")) as asked:
        ask(asked, "a", HELLO)

    async def run() -> None:
        await asked.acompletion("a", HELLO)
        await asked.aclose()

    asyncio.run(run())


def test_what_one_deployment_does_not_take_another_may(ask: Ask_) -> None:
    with demo_server() as demo:
        places = (("anthropic/echo", demo.url), ("openai/echo", demo.openai_url))
        entries = [
            {
                "model_name": "a",
                "litellm_params": {"model": model, "api_base": base, "api_key": "sk-demo-1234", "order": order},
                "model_info": {"id": model},
            }
            for order, (model, base) in enumerate(places)
        ]
        with router(*entries) as asked:
            assert went(ask(asked, "a", HELLO, strict=True, seed=7)) == [("openai/echo", None)]
            assert went(ask(asked, "a", HELLO, strict=True)) == [("anthropic/echo", None)]
