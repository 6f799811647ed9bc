"""Failures in both directions, and the relay: editing the envelope, reading usage without decoding."""

from __future__ import annotations

import json

import pytest

from dragoman.core import errors as e
from dragoman.core import json as codec
from dragoman.core.chat import Usage
from dragoman.core.errors import ErrorDetail
from dragoman.dialects.openai_chat import DIALECT

BODIES = [
    # body, message, type, code, retry_after
    ({"error": {"message": "m", "type": "t", "param": "p", "code": "c"}}, "m", "t", "c", None),
    ({"error": "m"}, "m", None, None, None),
    ({"error": ["a", "b"]}, "a; b", None, None, None),
    ({"error": "m", "error_type": "overloaded", "estimated_time": 20.5}, "m", "overloaded", None, 20.5),
    ({"code": "Some code", "error": "m"}, "m", None, "Some code", None),
    ({"object": "error", "message": "m", "type": "t", "code": "3051", "raw_status_code": 400}, "m", "t", "3051", None),
    ({"detail": "Unauthorized"}, "Unauthorized", None, None, None),
    (
        {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]},
        "messages: Field required",
        None,
        None,
        None,
    ),
    ({"error": {"code": "401", "message": "m"}}, "m", None, "401", None),
    (
        {"error": {"code": 429, "message": "m", "metadata": {"raw": "upstream"}}, "user_id": "u"},
        "m: upstream",
        None,
        "429",
        None,
    ),
    (
        [{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "48.9s"}]}}],
        "m",
        "RESOURCE_EXHAUSTED",
        "429",
        48.9,
    ),
    ({"error": {"message": "Please try again in 1m2.5s."}}, "Please try again in 1m2.5s.", None, None, 62.5),
    ({"error": {"message": "Please try again in 250ms."}}, "Please try again in 250ms.", None, None, 0.25),
    ({"error": {"message": "Please try again in 7s."}}, "Please try again in 7s.", None, None, 7.0),
]


@pytest.mark.parametrize(("body", "message", "kind", "code", "wait"), BODIES)
def test_error_bodies_in_every_shape(body, message, kind, code, wait):
    detail = DIALECT.decode_error(400, json.dumps(body).encode())
    assert (detail.message, detail.type, detail.code, detail.retry_after) == (message, kind, code, wait)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "status 502 without a message"),
        (b"upstream gone\n", "upstream gone"),
        (b"<html><head><title>502 Bad gateway</title><style>p {}</style></head><p>nginx</p>", "502 Bad gateway"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"{}", "status 502 without a message"),
        (b"null", "status 502 without a message"),
    ],
)
def test_bodies_that_are_no_error_object(body, message):
    assert DIALECT.decode_error(502, body).message == message


ERRORS = [
    (e.BadRequestError("m", detail=ErrorDetail(message="m", param="p", code="c")), "invalid_request_error", "c"),
    (e.ContextWindowExceededError("m"), "invalid_request_error", "context_length_exceeded"),
    (e.ContentPolicyViolationError("m"), "invalid_request_error", "content_policy_violation"),
    (e.UnsupportedParamsError("m"), "invalid_request_error", "unsupported_parameter"),
    (e.AuthenticationError("m"), "invalid_request_error", "invalid_api_key"),
    (e.InvalidKeyError("m"), "invalid_request_error", "invalid_api_key"),
    (e.PaymentRequiredError("m"), "insufficient_quota", "insufficient_quota"),
    (e.BudgetExceededError("m"), "insufficient_quota", "budget_exceeded"),
    (e.PermissionDeniedError("m"), "invalid_request_error", "permission_denied"),
    (e.NotFoundError("m"), "invalid_request_error", "model_not_found"),
    (e.RateLimitError("m"), "rate_limit_error", "rate_limit_exceeded"),
    (e.RateLimitExceededError("m"), "rate_limit_error", "rate_limit_exceeded"),
    (e.InternalServerError("m"), "server_error", None),
    (e.ServiceUnavailableError("m"), "server_error", "service_unavailable"),
    (e.Timeout("m"), "server_error", "timeout"),
    (e.StreamInterruptedError("m", code="x"), "server_error", "x"),
    (e.NoDeploymentError("m"), "server_error", "no_deployment"),
    (e.DragomanError("m"), "server_error", None),
]


@pytest.mark.parametrize(("error", "kind", "code"), ERRORS, ids=[type(row[0]).__name__ for row in ERRORS])
def test_our_errors_are_what_openai_clients_read(error, kind, code):
    written = json.loads(DIALECT.encode_error(error))["error"]
    assert (written["message"], written["type"], written["code"]) == ("m", kind, code)
    assert written["param"] == getattr(error, "param", None)
    assert DIALECT.encode_stream_error(error) == b"data: " + DIALECT.encode_error(error) + b"\n\n"


def test_every_error_class_has_its_words():
    for cls in vars(e).values():
        if isinstance(cls, type) and issubclass(cls, e.DragomanError):
            assert json.loads(DIALECT.encode_error(cls("m")))["error"]["type"]


# --------------------------------------------------------------------------------------------------------------- relay
@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({"stream": True}, {"include_usage": True}),
        ({"stream": True, "stream_options": {"x": 1}}, {"x": 1, "include_usage": True}),
        ({"stream": True, "stream_options": None}, {"include_usage": True}),
        ({"stream": True, "stream_options": 5}, 5),
        ({"stream": False}, None),
        ({}, None),
    ],
)
def test_the_envelope_gets_the_model_and_asks_for_usage(body, options):
    envelope = codec.decode_envelope(json.dumps({"model": "public", "messages": [1.0]} | body).encode())
    before = dict(envelope)
    edited = DIALECT.edit_request(envelope, model="real", want_usage=True)
    assert (codec.read(edited, "model"), codec.read(edited, "stream_options")) == ("real", options)
    assert bytes(edited["messages"]) == b"[1.0]"
    assert envelope == before
    assert "stream_options" not in DIALECT.edit_request({}, model="real", want_usage=False)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}', Usage(input_tokens=3, output_tokens=1)),
        (
            b'{"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":9,"completion_tokens_details":{"reasoning_tokens":5}}}',
            Usage(input_tokens=3, output_tokens=6, reasoning_tokens=5),
        ),
        (
            b'{"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4,"cost":1}}',
            Usage(input_tokens=3, output_tokens=1, extra={"openai_chat": {"cost": 1}}),
        ),
        (b'{"usage":{"prompt_tokens":-3,"completion_tokens":1,"total_tokens":1}}', Usage(output_tokens=1)),
        (b'{"usage":null}', None),
        (b'{"usage":{}}', None),
        (b"{}", None),
        (b"[]", None),
        (b"<html>", None),
    ],
)
def test_read_usage(body, usage):
    assert DIALECT.read_usage(body) == usage


def tapped(*chunks: bytes):
    tap = DIALECT.stream_tap()
    for chunk in chunks:
        tap.feed(chunk)
    return tap


@pytest.mark.parametrize(
    ("chunks", "started"),
    [
        ((b": ping\n\n",), False),
        ((b'data: {"a":1}',), False),
        ((b'data: {"a":1}\n',), False),
        ((b'data: {"a":1}\n', b"\n"), True),
        ((b": ping\r\n\r\ndata: {}\r\n\r\n",), True),
    ],
)
def test_the_tap_has_started_when_the_first_data_event_is_complete(chunks, started):
    assert tapped(*chunks).started is started


def line(choices: str, more: str = "") -> bytes:
    return b'data: {"choices":[%b]%b}\n\n' % (choices.encode(), more.encode())


@pytest.mark.parametrize(
    ("chunks", "complete"),
    [
        ((line('{"index":0,"delta":{"content":"x"},"finish_reason":null}'),), False),
        ((line('{"index":0,"finish_reason":"stop"}'),), True),
        ((line('{"index": 0, "finish_reason": "stop"}'),), True),
        ((line('{"index":1,"delta":{}}'), line('{"index":0,"finish_reason":"stop"}')), False),
        (
            (
                line('{"index":1,"delta":{}}'),
                line('{"index":0,"finish_reason":"stop"}'),
                line('{"index":1,"finish_reason":"stop"}'),
            ),
            True,
        ),
        ((b"data: [DONE]\n\n",), True),
        ((b"data: [DO", b"NE]\n\n"), True),
        ((b"data: [DONE]",), True),
        ((line('{"index":0,"finish_reason":"error"}', ',"error":{"message":"m"}'), b"data: [DONE]\n\n"), False),
        (
            (line('{"index":0,"delta":{"content":"say \\"finish_reason\\":\\"stop\\" and [DONE]"},"finish_reason":null}'),),
            False,
        ),
    ],
)
def test_the_tap_knows_a_complete_answer(chunks, complete):
    assert tapped(*chunks).complete is complete


def test_the_tap_reads_usage_and_errors():
    tap = tapped(
        line("", ',"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}'),
        b'event: error\ndata: {"error":{"message":"m","code":429}}\n\n',
    )
    assert tap.usage == Usage(input_tokens=3, output_tokens=1)
    assert (tap.error.message, tap.error_status) == ("m", 429)


@pytest.mark.parametrize("opening", [b"[", b'{"usage":', b'{"choices":[{"delta":{"content":'])
def test_json_nested_beyond_reason_is_an_error_and_not_a_crash(opening):
    deep = opening * 100_000
    assert DIALECT.read_usage(deep) is None
    assert DIALECT.decode_error(500, deep).message
    with pytest.raises(e.BadRequestError, match="no JSON"):
        DIALECT.decode_request(deep)
    with pytest.raises(e.ResponseDecodeError, match="no JSON"):
        DIALECT.decode_response(deep)
    assert DIALECT.stream_decoder().feed(b"data: " + deep + b"\n\n")[-1].broken
    assert tapped(b"data: " + deep + b"\n\n").error_status == 502
