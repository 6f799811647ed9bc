"""What is kept of an answer, and which answers are kept at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from dragoman.caching.entries import may_ask, may_keep, pack, unpack
from dragoman.core.chat import ChatRequest, ChatResponse, Choice, Finish, NativeTool, OpaquePart, TextPart, Tool, Usage, Warning
from dragoman.core.media import SpeechResponse, TranscriptionResponse
from dragoman.core.operations import (
    DecisionAnswer,
    DecisionResponse,
    Embedding,
    EmbeddingResponse,
    ModerationResponse,
    ModerationResult,
    RerankResponse,
    RerankResult,
    TokenCountResponse,
)
from dragoman.dialects import registry
from support.strategies import chat_responses

WHOLE = Choice(parts=(TextPart(text="hi"),), finish=Finish(reason="stop"))
ANSWER = ChatResponse(id="1", model="m", choices=(WHOLE,), usage=Usage(input_tokens=1, output_tokens=1))
OTHERS = [
    EmbeddingResponse(model="m", embeddings=(Embedding(index=0, vector=(0.1, -2.5)), Embedding(index=1, vector="AAAA"))),
    RerankResponse(model="m", results=(RerankResult(index=1, relevance_score=0.5, document={"text": "x"}),)),
    ModerationResponse(model="m", results=(ModerationResult(flagged=True, categories={"hate": True}),)),
    DecisionResponse(model="m", answers=(DecisionAnswer(kind="choice", choice=True, confidence=0.5),)),
    TranscriptionResponse(text="hello", model="m"),
    SpeechResponse(audio=b"\x00\xff", media_type="audio/mpeg"),
]


@settings(max_examples=20)
@given(response=chat_responses())
def test_an_answer_comes_back_as_it_was(response: ChatResponse) -> None:
    found = unpack(pack(response, created=1.5, deployment="d"))
    assert found is not None
    assert (found[0].created, found[0].deployment, found[1]) == (1.5, "d", response)


@pytest.mark.parametrize("response", OTHERS, ids=lambda response: type(response).__name__)
def test_so_do_answers_of_other_operations(response: Any) -> None:
    found = unpack(pack(response, created=1.0, warnings=(Warning(field="seed", message="left out"),)))
    assert found is not None
    assert found[1] == response
    assert found[0].warnings[0].field == "seed"
    assert may_keep(response)


@pytest.mark.parametrize("data", [None, b"", b"\xc1", b"\x80", b"{}", pack(ANSWER, created=1.0)[:-2]])
def test_what_cannot_be_read_is_not_there(data: bytes | None) -> None:
    assert unpack(data) is None


def chosen(**changes: Any) -> ChatResponse:
    return replace(ANSWER, choices=(replace(WHOLE, **changes),))


NOT_KEPT = {
    "cut off by a filter": chosen(finish=Finish(reason="content_filter")),
    "refused": chosen(finish=Finish(reason="refusal")),
    "paused": chosen(finish=Finish(reason="pause")),
    "failed": chosen(finish=Finish(reason="error")),
    "ended for no reason": chosen(finish=Finish(reason="unknown")),
    "not ended": chosen(finish=None),
    "empty": chosen(parts=()),
    "without a choice": replace(ANSWER, choices=()),
    "one of two is filtered": replace(ANSWER, choices=(WHOLE, replace(WHOLE, finish=Finish(reason="content_filter")))),
    "made by a tool of the provider": chosen(parts=(OpaquePart(dialect="anthropic_messages", value={}),)),
    "looked up": replace(ANSWER, usage=Usage(web_search_requests=1)),
    "a count": TokenCountResponse(input_tokens=5),
    "relayed unread": None,
}


@pytest.mark.parametrize("response", NOT_KEPT.values(), ids=NOT_KEPT)
def test_answers_that_are_not_kept(response: Any) -> None:
    assert not may_keep(response)


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls"])
def test_answers_that_are(reason: Any) -> None:
    assert may_keep(chosen(finish=Finish(reason=reason)))


ASKED = ChatRequest(model="m")
TOOL = NativeTool(dialect="openai_responses", value={"type": "web_search"})
DEPENDS: dict[str, tuple[ChatRequest, dict[str, Any]]] = {
    "a tool of the provider": (replace(ASKED, tools=(TOOL,)), {}),
    "a conversation there": (replace(ASKED, extra={"openai_responses": {"previous_response_id": "r"}}), {}),
    "a search": (replace(ASKED, extra={"openai_chat": {"web_search_options": {}}}), {}),
    "a container": (replace(ASKED, extra={"anthropic_messages": {"container": "c"}}), {}),
    "servers of tools": (ASKED, {"mcp_servers": [{"type": "url"}]}),
}


@pytest.mark.parametrize(("asked", "extra_body"), DEPENDS.values(), ids=DEPENDS)
def test_requests_whose_answer_depends_on_more_are_not_looked_up(asked: ChatRequest, extra_body: dict[str, Any]) -> None:
    assert not may_ask(asked, extra_body)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_responses", {"model": "m", "input": "x", "previous_response_id": "r"}),
        ("openai_responses", {"model": "m", "input": "x", "tools": [{"type": "web_search"}]}),
        ("openai_chat", {"model": "m", "messages": [], "web_search_options": {}}),
        (
            "anthropic_messages",
            {"model": "m", "max_tokens": 1, "messages": [], "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        ),
    ],
)
def test_so_it_is_as_dialects_write_them(dialect: str, body: dict[str, Any]) -> None:
    assert not may_ask(registry.get(dialect).decode_request(json.dumps(body).encode()), {})


def test_tools_of_the_client_are_no_reason_nor_what_is_switched_off() -> None:
    asked = replace(ASKED, tools=(Tool(name="f"),), extra={"openai_responses": {"min_p": 1, "background": False}})
    assert may_ask(asked, {"web_search_options": None})
