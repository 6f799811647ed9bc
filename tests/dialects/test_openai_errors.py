"""Errors of the OpenAI-shaped dialects: every shape there is can be read, and ours are written as OpenAI writes them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import errors
from dragoman.core.events import StreamError
from dragoman.dialects.openai_errors import (
    MAX_MESSAGE,
    decode_error,
    embedded_status,
    encode_error,
    encode_stream_error,
    stream_error,
)
from support.recordings import _index

SHAPES = [
    # body, message, type, code, param
    ('{"error": {"message": "no", "type": "t", "param": "p", "code": "c"}}', "no", "t", "c", "p"),
    ('{"error": {"message": "no", "type": null, "param": null, "code": null}}', "no", None, None, None),
    ('{"error": {"message": "no", "code": 400}}', "no", None, None, None),  # the status again says nothing
    ('{"error": {"message": "no", "code": 1234}}', "no", None, "1234", None),
    ('[{"error": {"message": "no", "status": "INVALID_ARGUMENT"}}]', "no", "INVALID_ARGUMENT", None, None),
    ('{"error": "no"}', "no", None, None, None),
    ('{"error": "no", "error_type": "validation"}', "no", "validation", None, None),
    ('{"error": ["no", "never"]}', "no; never", None, None, None),
    ('{"code": "invalid-argument", "error": "no"}', "no", None, "invalid-argument", None),
    ('{"detail": "no"}', "no", None, None, None),
    ('{"detail": [{"loc": ["body", "input", 0], "msg": "no", "type": "missing"}]}', "input.0: no", None, None, "input.0"),
    ('{"title": "Bad", "detail": "no", "status": 400}', "no", None, None, None),
    ('{"message": "no", "request_id": "r"}', "no", None, None, None),
    ('{"object": "error", "message": "no", "type": "t", "code": "3051", "raw_status_code": 400}', "no", "t", "3051", None),
    ('{"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "no"}]}}', "n: no", None, None, None),
    (
        '{"error": {"message": "Provider returned error", "metadata": {"raw": "no"}}}',
        "Provider returned error: no",
        None,
        None,
        None,
    ),
    ('"no"', "no", None, None, None),
    ("no", "no", None, None, None),
    ("<html><head><title>502 Bad\n Gateway</title></head><body>nginx</body></html>", "502 Bad Gateway", None, None, None),
    ("<p>no <b>way</b></p><script>var x</script>", "no way", None, None, None),
    ('{"error": {"code": "quota"}}', "quota", None, "quota", None),
    *((empty, "status 400 without a message", None, None, None) for empty in ("", "  ", "null", "{}", "[]", '{"error": {}}')),
]


@pytest.mark.parametrize(("body", "message", "kind", "code", "param"), SHAPES)
def test_every_shape_is_read(body, message, kind, code, param):
    assert decode_error(400, body.encode()) == errors.ErrorDetail(message=message, type=kind, code=code, param=param)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ('{"error": "loading", "estimated_time": 20.0}', 20.0),
        ('{"error": {"message": "quota", "details": [{"x": 1}, {"@type": "RetryInfo", "retryDelay": "34.4s"}]}}', 34.4),
        ('{"error": {"message": "quota", "details": [{"retryDelay": "soon"}]}}', None),
        ('{"error": "loading", "estimated_time": "soon"}', None),
        ('{"error": {"message": "slow down", "retry_after": 3}}', 3.0),
        ('{"error": {"message": "Limit 6000, used 6000. Please try again in 1m2.5s. Visit"}}', 62.5),
        ('{"error": {"message": "Please try again in 120ms."}}', 0.12),
        ('{"error": {"message": "Please retry in 48.9s."}}', 48.9),
        ('{"error": {"message": "Please try again in a minute"}}', None),
    ],
)
def test_a_wait_in_the_body_is_read(body, seconds):
    assert decode_error(503, body.encode()).retry_after == seconds


def test_long_messages_are_cut():
    assert len(decode_error(500, b"x" * 100_000).message) == MAX_MESSAGE + 3
    assert len(decode_error(500, json.dumps({"error": "x" * 100_000}).encode()).message) == MAX_MESSAGE + 3


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "detail", "code", "type", "param", "loc", "msg", "metadata", "raw", "details"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_it_fail_or_fall_silent(body):
    assert decode_error(500, body).message


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 900 + b"]" * 900, b'{"error":' * 800 + b"1" + b"}" * 800])
def test_deep_bodies_do_no_harm(body):
    assert decode_error(500, body).message


@pytest.mark.parametrize("entry", [entry for entry in _index() if entry.status >= 400], ids=lambda entry: entry.id)
def test_recorded_failures_say_something(entry):
    detail = decode_error(entry.status, entry.load().response_bytes)
    assert detail.message.strip()
    assert "without a message" not in detail.message
    assert not detail.message.startswith(("{", "[", "<"))


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"error": {"message": "no", "code": 429}}, 429),
        ({"error": {"message": "no", "status_code": 400, "code": "tool_use_failed"}}, 400),
        ({"error": {"message": "no", "code": "503"}}, 503),
        ({"error": {"message": "no", "type": "rate_limit_error"}}, 429),
        ({"error": {"message": "no", "code": "content_filter", "status": 400}}, 400),
        ({"error": "no", "error_type": "validation"}, 422),
        ({"message": "no", "raw_status_code": 422}, 422),
        ({"error": {"message": "no", "code": 7}}, 502),
        ({"error": {"message": "no", "code": True, "type": ["x"]}}, 502),
        ("no", 502),
    ],
)
def test_the_status_of_an_error_inside_a_200(value, status):
    assert embedded_status(value) == status


def coded(code):
    return errors.ErrorDetail(message="no", code=code)


WRITTEN = [
    # error, type, code, param
    (errors.BadRequestError("no"), "invalid_request_error", None, None),
    (errors.ContextWindowExceededError("no"), "invalid_request_error", "context_length_exceeded", None),
    (errors.ContentPolicyViolationError("no"), "invalid_request_error", "content_policy_violation", None),
    (errors.UnsupportedParamsError("no"), "invalid_request_error", "unsupported_parameter", None),
    (errors.AuthenticationError("no"), "invalid_request_error", "invalid_api_key", None),
    (errors.NotFoundError("no"), "invalid_request_error", "model_not_found", None),
    (errors.RateLimitError("no"), "rate_limit_error", "rate_limit_exceeded", None),
    (errors.InternalServerError("no"), "server_error", None, None),
    (errors.ServiceUnavailableError("no", status_code=529), "server_error", "service_unavailable", None),
    (errors.APIConnectionError("no"), "server_error", "upstream_unreachable", None),
    (errors.Timeout("no", phase="idle"), "server_error", "timeout", None),
    (errors.StreamInterruptedError("no"), "server_error", "stream_interrupted", None),
    (errors.NoDeploymentError("no"), "server_error", "no_deployment", None),
    (errors.ConfigurationError("no"), "server_error", "configuration_error", None),
    (errors.InvalidKeyError("no"), "invalid_request_error", "invalid_api_key", None),
    (errors.BudgetExceededError("no"), "insufficient_quota", "budget_exceeded", None),
    (errors.GuardrailRejectedError("no"), "invalid_request_error", "guardrail_rejected", None),
    (errors.RateLimitError("no", detail=coded("insufficient_quota")), "rate_limit_error", "insufficient_quota", None),
    (errors.ContextWindowExceededError("no", detail=coded("3051")), "invalid_request_error", "context_length_exceeded", None),
    (errors.ContentPolicyViolationError("no", detail=coded("content_filter")), "invalid_request_error", "content_filter", None),
    (
        errors.BadRequestError("no", detail=errors.ErrorDetail(message="no", code="unknown_parameter", param="foo")),
        "invalid_request_error",
        "unknown_parameter",
        "foo",
    ),
]


@pytest.mark.parametrize(("error", "kind", "code", "param"), WRITTEN, ids=lambda value: type(value).__name__)
def test_ours_are_written_as_openai_does(error, kind, code, param):
    assert json.loads(encode_error(error)) == {"error": {"message": "no", "type": kind, "param": param, "code": code}}


def test_inside_a_stream():
    event = stream_error({"error": {"message": "no", "code": 429}})
    assert event == StreamError(message="no", status=429)
    assert encode_stream_error(errors.BadRequestError("no")) == b"data: " + encode_error(errors.BadRequestError("no")) + b"\n\n"


def every_class(base=errors.DragomanError):
    yield base
    for kind in base.__subclasses__():
        yield from every_class(kind)


@pytest.mark.parametrize("kind", list(every_class()), ids=lambda kind: kind.__name__)
def test_what_is_written_is_read_back(kind):
    error = kind("no, because of that")
    detail = decode_error(error.status_code, encode_error(error))
    assert detail.message == "no, because of that"
    assert detail.type
