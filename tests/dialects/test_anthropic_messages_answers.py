"""Answers and failures in the Messages API: read, written for a client, and relayed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from dragoman.core import errors
from dragoman.core.chat import (
    ChatResponse,
    Choice,
    Citation,
    Finish,
    MediaPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    Warning,
)
from dragoman.dialects import registry
from dragoman.dialects.anthropic_messages import DIALECT


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def test_the_registry_knows_it() -> None:
    assert registry.get("anthropic_messages") is DIALECT
    assert DIALECT.path("any", stream=True) == "/v1/messages"
    assert DIALECT.headers() == (("anthropic-version", "2023-06-01"),)


# --------------------------------------------------------------------------------------------------------------- answers
def told(*parts: Any, finish: Finish | None = None, **fields: Any) -> dict[str, Any]:
    choice = Choice(parts=parts, finish=finish or Finish(reason="stop"))
    return json.loads(DIALECT.encode_response(ChatResponse(id="r", model="m", choices=(choice,), **fields), now=5))


@pytest.mark.parametrize(
    "finish, stop_reason, stop_sequence",
    [
        (Finish(reason="stop", native="stop"), "end_turn", None),
        (Finish(reason="stop", stop_sequence="#"), "stop_sequence", "#"),
        (Finish(reason="length", native="length"), "max_tokens", None),
        (Finish(reason="length", native="model_context_window_exceeded"), "model_context_window_exceeded", None),
        (Finish(reason="tool_calls", native="stop"), "tool_use", None),
        (Finish(reason="content_filter"), "refusal", None),
        (Finish(reason="refusal"), "refusal", None),
        (Finish(reason="pause"), "pause_turn", None),
        (Finish(reason="pause", native="compaction"), "compaction", None),
        (Finish(reason="unknown", native="gone_fishing"), "gone_fishing", None),
        (Finish(reason="unknown"), "end_turn", None),
        (Finish(reason="error"), "error", None),
    ],
)
def test_stop_reasons(finish: Finish, stop_reason: str, stop_sequence: str | None) -> None:
    message = told(TextPart(text="x"), finish=finish)
    assert (message["stop_reason"], message["stop_sequence"]) == (stop_reason, stop_sequence)


def test_answers_of_other_providers() -> None:
    message = told(
        ReasoningPart(text="unsigned"),
        TextPart(text="See here.", citations=(Citation(url="https://e.org", title="E", start_index=0, end_index=3),)),
        ToolCallPart(id="c", name="n", arguments='{"a":1}', signature="gemini's"),
        MediaPart(kind="image", data="AA==", media_type="image/png"),
    )
    assert message["content"] == [
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        text("See here.") | {"citations": [message["content"][1]["citations"][0]]},
        {"type": "tool_use", "id": "c", "name": "n", "input": {"a": 1}, "signature": "gemini's"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
    ]
    cited = {
        "type": "web_search_result_location",
        "url": "https://e.org",
        "title": "E",
        "cited_text": "See",
        "encrypted_index": "",
    }
    assert message["content"][1]["citations"] == [cited]
    assert "dragoman" not in message


def test_another_providers_signature_comes_back_with_the_history() -> None:
    block = told(ToolCallPart(id="c", name="n", signature="gemini's"))["content"][0]
    body = {"model": "m", "messages": [{"role": "assistant", "content": [block]}]}
    assert DIALECT.decode_request(json.dumps(body).encode()).messages[0].parts[0].signature == "gemini's"


def test_a_refusal_is_a_text_and_a_stop_reason() -> None:
    message = told(RefusalPart(text="No."))
    assert (message["content"], message["stop_reason"]) == ([text("No.")], "refusal")


def test_an_answer_says_what_it_lost() -> None:
    warning = Warning(field="seed", message="no such parameter")
    choices = (Choice(parts=(TextPart(text="a"),)), Choice(index=1))
    response = ChatResponse(id="", model="m", choices=choices, warnings=(warning,))
    message = json.loads(DIALECT.encode_response(response, now=5))
    assert [lost["field"] for lost in message["dragoman"]["warnings"]] == ["seed", "choices[1]"]
    assert message["id"] == "msg_5"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content":"x"}', b'{"content":[{"type":"text","text":1}]}'])
def test_a_senseless_answer_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(errors.ResponseDecodeError) as raised:
        DIALECT.decode_response(body)
    assert raised.value.body == body.decode()


def test_an_error_inside_a_200_raises_what_it_stands_for() -> None:
    with pytest.raises(errors.ServiceUnavailableError) as raised:
        DIALECT.decode_response(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
    assert raised.value.status_code == 529


# ---------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    "error, kind",
    [
        (errors.BadRequestError("x"), "invalid_request_error"),
        (errors.ContextWindowExceededError("x"), "invalid_request_error"),
        (errors.ContentPolicyViolationError("x"), "invalid_request_error"),
        (errors.UnsupportedParamsError("x"), "invalid_request_error"),
        (errors.UnprocessableEntityError("x"), "invalid_request_error"),
        (errors.GuardrailRejectedError("x"), "invalid_request_error"),
        (errors.AuthenticationError("x"), "authentication_error"),
        (errors.InvalidKeyError("x"), "authentication_error"),
        (errors.PaymentRequiredError("x"), "billing_error"),
        (errors.BudgetExceededError("x"), "billing_error"),
        (errors.PermissionDeniedError("x"), "permission_error"),
        (errors.NotFoundError("x"), "not_found_error"),
        (errors.ConflictError("x"), "conflict_error"),
        (errors.RequestTooLargeError("x"), "request_too_large"),
        (errors.RateLimitError("x"), "rate_limit_error"),
        (errors.RateLimitExceededError("x"), "rate_limit_error"),
        (errors.InternalServerError("x"), "api_error"),
        (errors.BadGatewayError("x"), "api_error"),
        (errors.APIConnectionError("x"), "api_error"),
        (errors.ResponseDecodeError("x"), "api_error"),
        (errors.StreamInterruptedError("x"), "api_error"),
        (errors.ConfigurationError("x"), "api_error"),
        (errors.Timeout("x"), "timeout_error"),
        (errors.ServiceUnavailableError("x"), "overloaded_error"),
        (errors.NoDeploymentError("x"), "overloaded_error"),
        (errors.APIStatusError("x", status_code=418), "invalid_request_error"),
    ],
)
def test_our_errors_in_the_vendors_words(error: errors.DragomanError, kind: str) -> None:
    body = {"type": "error", "error": {"type": kind, "message": "x"}}
    assert json.loads(DIALECT.encode_error(error)) == body
    assert (
        DIALECT.encode_stream_error(error)
        == b"event: error\ndata: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
    )


def test_an_error_keeps_the_request_id() -> None:
    assert json.loads(DIALECT.encode_error(errors.NotFoundError("x", request_id="req_1")))["request_id"] == "req_1"


@pytest.mark.parametrize(
    "body", [b"", b"upstream is down", b"<html><title>502</title></html>", b"null", b'{"error":[]}', b"\xff"]
)
def test_a_failure_of_any_shape_has_a_message(body: bytes) -> None:
    assert DIALECT.decode_error(502, body).message


# ----------------------------------------------------------------------------------------------------------------- relay
def test_relay_replaces_the_model_and_nothing_else() -> None:
    envelope = {
        "model": msgspec.Raw(b'"public"'),
        "messages": msgspec.Raw(b'[ {"role" : "user"} ]'),
        "stream": msgspec.Raw(b"true"),
    }
    edited = DIALECT.edit_request(envelope, model="claude", want_usage=True)
    assert edited == {**envelope, "model": msgspec.Raw(b'"claude"')}
    assert envelope["model"] == msgspec.Raw(b'"public"')


@pytest.mark.parametrize("body", [b"", b"nothing", b"{}", b'{"usage":null}', b'{"usage":3}', b"\xff"])
def test_no_usage_is_no_failure(body: bytes) -> None:
    assert DIALECT.read_usage(body) is None
