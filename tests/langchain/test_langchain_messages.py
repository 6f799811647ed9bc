"""LangChain messages as they go out: every block in every spelling, and what is given back to whom."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from dragoman.core.errors import BadRequestError
from dragoman.langchain.messages import to_openai

PNG = {"url": "data:image/png;base64,UE5H"}
IMAGE = {"type": "image_url", "image_url": PNG}
PDF = {"type": "file", "file": {"file_data": "data:application/pdf;base64,UERG", "filename": "a.pdf"}}

BLOCKS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("text", {"type": "text", "text": "hi"}, {"type": "text", "text": "hi"}),
    (
        "text with marks of an answer",
        {"type": "text", "text": "hi", "annotations": [], "index": 0, "id": "x"},
        {"type": "text", "text": "hi"},
    ),
    (
        "text to be cached",
        {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
    ),
    (
        "text to be cached, told in extras",
        {"type": "text", "text": "hi", "extras": {"cache_control": {"type": "ephemeral"}}},
        {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
    ),
    ("image, OpenAI's", IMAGE, IMAGE),
    ("image, base64", {"type": "image", "base64": "UE5H", "mime_type": "image/png"}, IMAGE),
    (
        "image, url and detail",
        {"type": "image", "url": "https://x.test/a.png", "extras": {"detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
    ),
    ("image, uploaded", {"type": "image", "file_id": "f-1"}, {"type": "file", "file": {"file_id": "f-1"}}),
    ("image, LangChain 0", {"type": "image", "source_type": "base64", "data": "UE5H", "mime_type": "image/png"}, IMAGE),
    ("image, Anthropic's", {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "UE5H"}}, IMAGE),
    ("image, Gemini's", {"type": "media", "mime_type": "image/png", "data": "UE5H"}, IMAGE),
    (
        "sound, base64",
        {"type": "audio", "base64": "UklG", "mime_type": "audio/mpeg"},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
    ),
    (
        "sound, url",
        {"type": "audio", "url": "https://x.test/a.wav"},
        {"type": "input_audio", "input_audio": "https://x.test/a.wav"},
    ),
    (
        "video, url",
        {"type": "video", "url": "https://x.test/a.mp4"},
        {"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}},
    ),
    (
        "video, base64",
        {"type": "video", "base64": "TVA0", "mime_type": "video/mp4"},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,TVA0"}},
    ),
    ("video, uploaded", {"type": "video", "file_id": "f-2"}, {"type": "file", "file": {"file_id": "f-2"}}),
    ("file, OpenAI's", PDF, PDF),
    ("file, base64", {"type": "file", "base64": "UERG", "mime_type": "application/pdf", "filename": "a.pdf"}, PDF),
    (
        "file, named in extras",
        {"type": "file", "base64": "UERG", "mime_type": "application/pdf", "extras": {"filename": "a.pdf"}},
        PDF,
    ),
    (
        "file, url",
        {"type": "file", "url": "https://x.test/a.pdf"},
        {"type": "file", "file": {"file_data": "https://x.test/a.pdf"}},
    ),
    (
        "document, Anthropic's",
        {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "UERG"}},
        PDF,
    ),
    (
        "plain text document",
        {"type": "text-plain", "text": "body", "title": "head", "context": "about"},
        {"type": "text", "text": "head\n\nabout\n\nbody"},
    ),
    ("a provider's own", {"type": "guard_content", "x": 1}, {"type": "guard_content", "x": 1}),
    ("non-standard", {"type": "non_standard", "value": {"type": "guard_content"}}, {"type": "guard_content"}),
]


@pytest.mark.parametrize(("block", "item"), [case[1:] for case in BLOCKS], ids=[case[0] for case in BLOCKS])
def test_a_block_of_a_user(block: dict[str, Any], item: dict[str, Any]) -> None:
    assert to_openai([HumanMessage([block])]) == [{"role": "user", "content": [item]}]


def test_a_block_without_a_source_is_an_error_that_names_its_type() -> None:
    with pytest.raises(BadRequestError, match="type 'image' needs url, base64 or file_id"):
        to_openai([HumanMessage([{"type": "image", "path": "a.png"}])])


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (HumanMessage("hi"), {"role": "user", "content": "hi"}),
        (HumanMessage("hi", name="ann"), {"role": "user", "content": "hi", "name": "ann"}),
        (SystemMessage("be kind", name="boss"), {"role": "system", "content": "be kind", "name": "boss"}),
        (
            SystemMessage("be kind", additional_kwargs={"__openai_role__": "developer"}),
            {"role": "developer", "content": "be kind"},
        ),
        (ChatMessage("x", role="critic"), {"role": "critic", "content": "x"}),
        (FunctionMessage("42", name="f"), {"role": "function", "content": "42", "name": "f"}),
        (AIMessage("hello", name="bob"), {"role": "assistant", "content": "hello", "name": "bob"}),
        (AIMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), {"role": "assistant", "content": "ab"}),
        (HumanMessage([]), {"role": "user", "content": ""}),
        (ToolMessage("42", tool_call_id="c"), {"role": "tool", "tool_call_id": "c", "content": "42"}),
        (
            AIMessage("", additional_kwargs={"refusal": "no"}),
            {"role": "assistant", "content": "", "refusal": "no"},
        ),
    ],
)
def test_a_message(message: Any, sent: dict[str, Any]) -> None:
    assert to_openai([message]) == [sent]


def test_a_message_that_is_for_nobody_is_an_error() -> None:
    with pytest.raises(BadRequestError, match="RemoveMessage"):
        to_openai([RemoveMessage(id="1")])


# ----------------------------------------------------------------------------------------------------------------- tools
CALL = {"name": "add", "args": {"a": 1}, "id": "c-1", "type": "tool_call"}
SENT_CALL = {"type": "function", "id": "c-1", "function": {"name": "add", "arguments": '{"a":1}'}}


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("", tool_calls=[CALL]),
        AIMessage([{"type": "tool_use", "id": "c-1", "name": "add", "input": {"a": 1}}]),
        AIMessage([{"type": "tool_use", "id": "c-1", "name": "add", "input": {"a": 1}}], tool_calls=[CALL]),
        AIMessage("", additional_kwargs={"tool_calls": [SENT_CALL]}),
    ],
    ids=["parsed", "Anthropic's", "both", "old"],
)
def test_calls_are_sent_once_and_with_null_content(message: AIMessage) -> None:
    assert to_openai([message]) == [{"role": "assistant", "content": None, "tool_calls": [SENT_CALL]}]


def test_a_call_that_could_not_be_read_is_not_sent_again() -> None:
    broken = {"name": "add", "args": "{", "id": "c-2", "error": "no JSON", "type": "invalid_tool_call"}
    raw = [{"type": "function", "id": "c-2", "function": {"name": "add", "arguments": "{"}}]
    message = AIMessage("", invalid_tool_calls=[broken], additional_kwargs={"tool_calls": raw})
    assert to_openai([message]) == [{"role": "assistant", "content": ""}]


def test_media_of_several_results_follow_the_last_of_them() -> None:
    image = {"type": "image", "base64": "UE5H", "mime_type": "image/png"}
    first = ToolMessage([{"type": "text", "text": "one"}, image], tool_call_id="c-1")
    second = ToolMessage([image], tool_call_id="c-2")
    assert to_openai([first, second, HumanMessage("so?")]) == [
        {"role": "tool", "tool_call_id": "c-1", "content": [{"type": "text", "text": "one"}]},
        {"role": "tool", "tool_call_id": "c-2", "content": "See the attached media."},
        {"role": "user", "content": [IMAGE, IMAGE]},
        {"role": "user", "content": "so?"},
    ]


def test_a_result_inside_a_users_message_goes_before_it() -> None:
    content: list[Any] = [
        {"type": "text", "text": "there"},
        {"type": "tool_result", "tool_use_id": "c-1", "content": [{"type": "text", "text": "42"}]},
    ]
    assert to_openai([HumanMessage(content)]) == [
        {"role": "tool", "tool_call_id": "c-1", "content": [{"type": "text", "text": "42"}]},
        {"role": "user", "content": [{"type": "text", "text": "there"}]},
    ]


def test_a_users_message_of_a_result_alone_is_that_result() -> None:
    content: list[Any] = [{"type": "tool_result", "tool_use_id": "c-1", "content": "42"}]
    assert to_openai([HumanMessage(content)]) == [{"role": "tool", "tool_call_id": "c-1", "content": "42"}]


# ------------------------------------------------------------------------------------------------- what goes to its issuer
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "sig"}
REDACTED = {"type": "redacted_thinking", "data": "xyz"}

SPELLINGS = {
    "kept beside": AIMessage("yes", additional_kwargs={"reasoning_content": "hm", "thinking_blocks": [SIGNED, REDACTED]}),
    "kept from a stream": AIMessage(
        "yes",
        additional_kwargs={"reasoning_content": "hm", "thinking_blocks": [SIGNED | {"index": 0}, REDACTED | {"index": 1}]},
    ),
    "Anthropic's content": AIMessage([SIGNED, REDACTED, {"type": "text", "text": "yes"}]),
    "standard content": AIMessage(
        [
            {"type": "reasoning", "reasoning": "hm", "extras": {"signature": "sig"}},
            {"type": "non_standard", "value": REDACTED},
            {"type": "text", "text": "yes"},
        ]
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("issuer", "given_back"), [("anthropic", True), (None, True), ("bedrock", False)])
def test_signed_reasoning_goes_back_to_its_issuer_alone(spelling: str, issuer: str | None, given_back: bool) -> None:
    message = SPELLINGS[spelling].model_copy(update={"response_metadata": {"model_provider": issuer} if issuer else {}})
    replayed = {"thinking_blocks": [SIGNED, REDACTED], "reasoning_content": "hm"} if given_back else {}
    sent = to_openai([message], frozenset({"anthropic"}))
    assert sent == [{"role": "assistant", "content": "yes", **replayed}]


def test_a_router_of_several_providers_gets_no_signed_reasoning() -> None:
    message = SPELLINGS["kept beside"].model_copy(update={"response_metadata": {"model_provider": "anthropic"}})
    assert to_openai([message], frozenset({"anthropic", "bedrock"})) == [{"role": "assistant", "content": "yes"}]


def test_reasoning_without_a_signature_is_text() -> None:
    sent = to_openai([AIMessage("yes", additional_kwargs={"reasoning_content": "hm"})])
    assert sent == [{"role": "assistant", "content": "yes", "reasoning_content": "hm"}]


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("", tool_calls=[CALL], additional_kwargs={"tool_call_extras": {"c-1": {"extra_content": {"google": 1}}}}),
        AIMessage([{**CALL, "extras": {"extra_content": {"google": 1}}}], tool_calls=[CALL]),
    ],
    ids=["beside", "standard"],
)
def test_a_calls_signature_goes_back_with_it(message: AIMessage) -> None:
    sent = to_openai([message])[0]
    assert sent["tool_calls"] == [SENT_CALL | {"extra_content": {"google": 1}}]


def test_sound_goes_back_by_its_id() -> None:
    sent = to_openai([AIMessage("", additional_kwargs={"audio": {"id": "a-1", "data": "UklG", "transcript": "hi"}})])
    assert sent == [{"role": "assistant", "content": "", "audio": {"id": "a-1"}}]


FAILED = [
    ToolMessage("no", tool_call_id="c-1", status="error"),
    HumanMessage([{"type": "tool_result", "tool_use_id": "c-1", "content": "no", "is_error": True}]),
]


@pytest.mark.parametrize("message", FAILED, ids=["status", "Anthropic's"])
@pytest.mark.parametrize(
    ("providers", "marked"),
    [
        ({"anthropic"}, True),
        ({"gemini", "bedrock"}, True),
        ({"openai"}, False),
        ({"anthropic", "openai"}, False),
        (set(), False),
    ],
)
def test_a_tool_that_failed_is_marked_where_everyone_has_a_mark_for_it(message: Any, providers: set[str], marked: bool) -> None:
    sent = to_openai([message], frozenset(providers))
    assert sent == [{"role": "tool", "tool_call_id": "c-1", "content": "no"} | ({"is_error": True} if marked else {})]
