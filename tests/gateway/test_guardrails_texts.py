"""Every text of a request is seen and can be written anew, in every dialect; ids, names and data are not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given

from dragoman.core.chat import ChatRequest
from dragoman.core.http import HttpResponse
from dragoman.dialects import registry
from dragoman.gateway.guardrails.texts import Text, edited, texts
from support.strategies import chat_requests
from support.whole_gateway import WholeGateway

MAIL = "jane@example.com"
GUARDED = """
models:
  - {name: m, model: openai/gpt-x}
  - {name: claude, model: anthropic/claude-x}
  - {name: instruct, model: openai/gpt-3.5-turbo-instruct}
retries: 0
guardrails: [{name: pii, use: pii, action: mask}]
"""


def read(dialect: str, body: dict[str, Any]) -> Any:
    return registry.get(dialect).decode_request(json.dumps({"model": "m", **body}).encode())


@given(chat_requests())
def test_what_nobody_changes_is_the_very_same(request_: ChatRequest) -> None:
    assert edited(request_, lambda text: text.text) is request_


@given(chat_requests())
def test_what_is_written_for_all_is_read_for_all(request_: ChatRequest) -> None:
    made = edited(request_, lambda _: "x")
    assert {text.text for text in texts(made)} <= {"x"}


def test_texts_come_with_whose_they_are() -> None:
    found = texts(
        read(
            "openai_chat",
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "u"}]}]},
        )
    )
    assert found == [Text("s", "system"), Text("u", "user")]


def test_token_ids_and_data_are_no_texts() -> None:
    assert texts(read("openai_embeddings", {"input": [[1, 2], [3]]})) == []
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert texts(read("openai_chat", {"messages": [{"role": "user", "content": [picture]}]})) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/chat/completions",
            {
                "messages": [
                    {"role": "developer", "content": MAIL},
                    {"role": "user", "content": [{"type": "text", "text": MAIL}]},
                ]
            },
        ),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "x"}], "prediction": {"type": "content", "content": MAIL}},
        ),
        (
            "/v1/chat/completions",
            {
                "messages": [{"role": "user", "content": "x"}],
                "tools": [{"type": "function", "function": {"name": "f", "description": MAIL}}],
            },
        ),
        ("/v1/completions", {"prompt": MAIL}),
        ("/v1/completions", {"prompt": [MAIL]}),
        ("/v1/completions", {"model": "instruct", "prompt": ["a", MAIL]}),
        (
            "/v1/responses",
            {"instructions": MAIL, "input": [{"role": "user", "content": [{"type": "input_text", "text": MAIL}]}]},
        ),
        ("/v1/responses", {"input": [{"type": "function_call_output", "call_id": "c", "output": MAIL}]}),
        (
            "/v1/messages",
            {
                "model": "claude",
                "max_tokens": 9,
                "system": [{"type": "text", "text": MAIL}],
                "messages": [
                    {"role": "user", "content": "x"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"to": [MAIL]}}]},
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": MAIL}]}],
                    },
                    {
                        "role": "user",
                        "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": MAIL}}],
                    },
                ],
            },
        ),
        ("/v1/embeddings", {"input": ["a", MAIL]}),
        ("/v1/moderations", {"input": [{"type": "text", "text": MAIL}]}),
        ("/v1/images/generations", {"prompt": MAIL}),
        ("/v1/audio/speech", {"input": MAIL, "voice": "x", "instructions": MAIL}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_text_of_a_request_gets_past_a_mask(path: str, body: dict[str, Any]) -> None:
    house = WholeGateway(GUARDED, HttpResponse(status=500, body=b"{}"))
    asyncio.run(house.ask("POST", path, {"model": "m", **body}))
    (request,) = house.asked
    assert MAIL not in request.body.decode()
    assert "[EMAIL]" in request.body.decode()
