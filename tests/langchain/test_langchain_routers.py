"""`ChatLiteLLMRouter` and `LiteLLMEmbeddingsRouter` over our Router and over anything that looks like LiteLLM's."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import warnings
from typing import Any

import pytest
from langchain_core.load import dumps, load
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import ValidationError

import dragoman
from dragoman.client.router import Router
from dragoman.core.http import HttpResponse
from dragoman.langchain import ChatLiteLLMRouter, LiteLLMEmbeddingsRouter
from dragoman.transport.replay import ReplayTransport
from support.demo_server import demo_server
from support.langchain import SmallRouter, clients, standard_answers

DEMO = [
    {"model_name": "fast", "litellm_params": {"model": "demo/echo"}},
    {"model_name": "fast", "litellm_params": {"model": "demo/echo"}},
    {"model_name": "clever", "litellm_params": {"model": "demo/canned"}},
    {"model_name": "broken", "litellm_params": {"model": "demo/echo?fail=500"}},
]
MIXED = [
    {"model_name": "mixed", "litellm_params": {"model": "openai/gpt-4o", "api_key": "k"}},
    {"model_name": "mixed", "litellm_params": {"model": "anthropic/claude-sonnet-4-5", "api_key": "k"}},
]


def test_without_a_name_it_is_the_first_group() -> None:
    model = ChatLiteLLMRouter(router=Router(model_list=DEMO))
    assert model.model == "fast"
    message = model.invoke("hello")
    assert message.content == "hello"
    told = message.response_metadata
    assert (told["model_name"], told["model_group"], told["model_provider"], told["attempts"]) == ("fast", "fast", "demo", 1)
    assert told["fallback_used"] is False
    assert told["deployment_id"]


def test_the_documented_router_of_two_deployments_at_azure() -> None:
    """Each at the address, with the key and at the version of the API that its entry names."""
    places = {
        name: {
            "model": f"azure/{name}",
            "api_key": f"k-{name}",
            "api_version": version,
            "api_base": f"https://{host}.openai.azure.com/",
        }
        for name, version, host in (("gpt-4.1", "2024-10-21", "one"), ("gpt-4o", "2024-06-01", "two"))
    }
    transport = ReplayTransport(choose=standard_answers)
    entries = [{"model_name": name, "litellm_params": params} for name, params in places.items()]
    llm = ChatLiteLLMRouter(router=Router(model_list=entries, transport=transport), model_name="gpt-4.1", temperature=0.1)
    for name in places:
        llm.set_default_model(name)
        assert llm.invoke("hello").response_metadata["model_name"] == name
    assert [(request.url, dict(request.headers)["api-key"]) for request in transport.requests] == [
        ("https://one.openai.azure.com/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21", "k-gpt-4.1"),
        ("https://two.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-06-01", "k-gpt-4o"),
    ]


def test_another_default_group() -> None:
    model = ChatLiteLLMRouter(router=Router(model_list=DEMO), model_name="fast")
    model.set_default_model("clever")
    assert model.invoke("capital of France").content == "Paris"
    with pytest.raises(ValueError, match="no model 'slow'; it has: fast, clever, broken"):
        model.set_default_model("slow")


def test_a_fallback_is_reported_as_what_answered() -> None:
    router = Router(model_list=DEMO, fallbacks=[{"broken": ["fast"]}], num_retries=0)
    model = ChatLiteLLMRouter(router=router, model_name="broken")
    first, *rest = model.stream("hello")
    for chunk in rest:
        first += chunk
    for told in (model.invoke("hello").response_metadata, first.response_metadata):
        assert (told["model_name"], told["fallback_used"], told["attempts"]) == ("fast", True, 2)
        assert [tried["group"] for tried in told["trail"]] == ["broken", "fast"]


def test_an_alias_is_no_fallback() -> None:
    router = Router(model_list=DEMO, model_group_alias={"gpt-4": "fast"})
    told = ChatLiteLLMRouter(router=router, model_name="gpt-4").invoke("hello").response_metadata
    assert (told["model_name"], told["fallback_used"]) == ("gpt-4", False)


@pytest.mark.parametrize(("given", "requests"), [({}, 2), ({"max_retries": 3}, 4), ({"max_retries": 0}, 1)])
def test_the_router_owns_the_retries(given: dict[str, Any], requests: int) -> None:
    body = json.dumps({"error": {"message": "no"}}).encode()
    headers = (("content-type", "application/json"), ("retry-after", "0"))
    transport = ReplayTransport(*(HttpResponse(status=429, headers=headers, body=body) for _ in range(9)))
    entry = {"model_name": "one", "litellm_params": {"model": "openai/gpt-4o", "api_key": "k"}}
    router = Router(model_list=[entry], num_retries=1, transport=transport, retry_after=0)
    with pytest.raises(dragoman.RateLimitError):
        ChatLiteLLMRouter(router=router, **given).invoke("x")
    assert len(transport.requests) == requests


async def test_async_through_our_router() -> None:
    model = ChatLiteLLMRouter(router=Router(model_list=DEMO))
    assert (await model.ainvoke("hello")).content == "hello"
    assert "".join([chunk.text async for chunk in model.astream("hello")]) == "hello"


def test_what_belongs_to_the_deployments() -> None:
    with pytest.raises(ValidationError, match="base_url belongs to the deployments"):
        ChatLiteLLMRouter(router=Router(model_list=DEMO), base_url="https://x.test")
    with pytest.raises(ValidationError, match=r"needs router=Router\(model_list="):
        ChatLiteLLMRouter()
    with pytest.raises(ValidationError, match="api_key belongs to the deployments"):
        LiteLLMEmbeddingsRouter(model="fast", router=Router(model_list=DEMO), api_key="k")


def test_nothing_of_the_deployments_reaches_a_trace() -> None:
    secret = {
        "model_name": "one",
        "litellm_params": {"model": "openai/gpt-4o", "api_key": "sk-secret", "api_base": "https://x.test"},
    }
    model = ChatLiteLLMRouter(router=SmallRouter([secret], *clients()))
    assert model._get_ls_params()["ls_provider"] == "openai"
    traced = repr(model) + str(model._identifying_params) + str(model.model_dump())
    assert "sk-secret" not in traced + dumps(model)
    assert "x.test" not in traced


def test_signed_reasoning_is_given_to_nobody_in_a_mixed_group() -> None:
    router = SmallRouter(MIXED, *clients())
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    signed = AIMessage("yes", additional_kwargs={"thinking_blocks": blocks}, response_metadata={"model_provider": "anthropic"})
    ChatLiteLLMRouter(router=router).invoke([HumanMessage("x"), signed, HumanMessage("y")])
    assert "thinking_blocks" not in router.calls[-1]["messages"][1]


def test_a_list_in_place_of_a_router() -> None:
    assert ChatLiteLLMRouter(model_list=DEMO, model_name="clever").invoke("capital of France").content == "Paris"


@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    entries = [*DEMO, {"model_name": "paid", "litellm_params": {"model": "openai/gpt-4o", "api_key": "sk-secret"}}]
    model = ChatLiteLLMRouter(router=Router(model_list=entries), temperature=0.2)
    assert copy.deepcopy(model).router is model.router
    again: Any = load(json.loads(dumps(model)), valid_namespaces=["dragoman"], allowed_objects=[ChatLiteLLMRouter])
    pickled = pickle.loads(pickle.dumps(model))
    for made in (again, pickled):
        assert made.invoke("hello").content == "hello"
        assert made._identifying_params == model._identifying_params
    keys = [entry["litellm_params"].get("api_key") for entry in again.router.model_list]
    assert "sk-secret" not in keys


class Deprecating(SmallRouter):
    """LiteLLM's newer Router warns of the attribute that is read here."""

    def __getattribute__(self, name: str) -> Any:
        if name == "model_list":
            warnings.warn("Router.model_list is deprecated", DeprecationWarning, stacklevel=2)
        return super().__getattribute__(name)


def test_litellms_deprecation_warnings_are_not_passed_on() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        router = Deprecating(MIXED, *clients())
    assert ChatLiteLLMRouter(router=router).model == "mixed"


def test_embeddings_through_our_router() -> None:
    router = Router(model_list=[{"model_name": "vectors", "litellm_params": {"model": "demo/embed"}}])
    made = LiteLLMEmbeddingsRouter(model="vectors", router=router)
    assert len(made.embed_documents(["a", "b", "c"])) == 3
    assert made.embed_query("a") == made.embed_documents(["a"])[0]


@pytest.mark.parametrize(("name", "accepted"), [("openai/responses/gpt-4o", True), ("openai/gpt-4o", False)])
def test_the_responses_api_is_the_deployments_to_name(name: str, accepted: bool) -> None:
    entry = {"model_name": "one", "litellm_params": {"model": name, "api_key": "k"}}
    given: dict[str, Any] = {"router": Router(model_list=[entry]), "use_responses_api": True}
    if accepted:
        assert ChatLiteLLMRouter(**given).model == "one"
        return
    with pytest.raises(ValidationError, match="name it provider/responses/model in the router"):
        ChatLiteLLMRouter(**given)


def test_a_router_that_the_model_made_is_closed_with_it() -> None:
    """An open connection that is dropped is a ResourceWarning, which fails a test."""
    with demo_server() as demo:
        params = {"model": "custom_openai/echo", "api_base": demo.openai_url, "api_key": "k"}
        model = ChatLiteLLMRouter(model_list=[{"model_name": "one", "litellm_params": params}])
        assert model.invoke("hello").content == "hello"
        del model
        gc.collect()
