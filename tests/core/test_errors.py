"""The error tree: one status table, two refinements by the body, attributes that callers read, no credential anywhere."""

from __future__ import annotations

import pytest

from dragoman.core import errors as e
from dragoman.core.errors import ErrorDetail, error_for, refine

STATUSES = [
    # status, class, may asking again help?
    (400, e.BadRequestError, False),
    (401, e.AuthenticationError, False),
    (402, e.PaymentRequiredError, False),
    (403, e.PermissionDeniedError, False),
    (404, e.NotFoundError, False),
    (408, e.Timeout, True),
    (409, e.ConflictError, True),
    (413, e.RequestTooLargeError, False),
    (422, e.UnprocessableEntityError, False),
    (424, e.InternalServerError, True),  # Bedrock: the model failed
    (429, e.RateLimitError, True),
    (500, e.InternalServerError, True),
    (502, e.BadGatewayError, True),
    (503, e.ServiceUnavailableError, True),
    (504, e.Timeout, True),
    (529, e.ServiceUnavailableError, True),
    (418, e.BadRequestError, False),  # not in the table
    (501, e.InternalServerError, True),
    (520, e.InternalServerError, True),
]


@pytest.mark.parametrize(("status", "kind", "retryable"), STATUSES)
def test_the_status_decides(status, kind, retryable):
    error = error_for(status, ErrorDetail(message="no"), llm_provider="acme", model="m", request_id="r", attempts=2)
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.message == f"acme answered {status}: no"
    assert (error.llm_provider, error.provider, error.model, error.request_id, error.attempts) == ("acme", "acme", "m", "r", 2)
    if kind is not e.Timeout:
        assert error.status_code == status


CONTEXT_WINDOW = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "request (2009 tokens) exceeds the available context size (512 tokens), try increasing it",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "prompt too long; exceeded max context length by 1119046 tokens",
    "Input is too long for requested model.",
    "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).",
    "`inputs` tokens + `max_new_tokens` must be <= 2048",
]
CONTENT_POLICY = [
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "Your request was rejected as a result of our safety system.",
]
REFINED = [
    *(
        (status, ErrorDetail(message=text), e.ContextWindowExceededError)
        for text in CONTEXT_WINDOW
        for status in (400, 413, 422)
    ),
    (400, ErrorDetail(message="x", code="context_length_exceeded"), e.ContextWindowExceededError),
    (400, ErrorDetail(message="x", type="too_many_prompt_tokens"), e.ContextWindowExceededError),
    *((400, ErrorDetail(message=text), e.ContentPolicyViolationError) for text in CONTENT_POLICY),
    (400, ErrorDetail(message="x", code="content_filter"), e.ContentPolicyViolationError),
    (400, ErrorDetail(message="x", code="ResponsibleAIPolicyViolation"), e.ContentPolicyViolationError),
    (400, ErrorDetail(message="x", type="content_policy_violation"), e.ContentPolicyViolationError),
    (400, ErrorDetail(message="temperature must be below 2"), e.BadRequestError),
]


@pytest.mark.parametrize(("status", "detail", "kind"), REFINED)
def test_the_body_refines_bad_requests_to_two_kinds(status, detail, kind):
    assert refine(status, detail) is kind


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_and_refines_nothing_else(status):
    assert refine(status, ErrorDetail(message=CONTEXT_WINDOW[0], code="content_filter")) is e.STATUS_CLASSES[status]


def test_what_the_provider_said_is_kept():
    detail = ErrorDetail(message="no", code="c", param="p", type="t")
    error = error_for(400, detail, body='{"x":1}', retry_after=2.5, headers={"x-request-id": "r"})
    assert (error.code, error.param, error.detail, error.body, error.retry_after) == ("c", "p", detail, '{"x":1}', 2.5)
    assert error.headers == {"x-request-id": "r"}
    assert str(error) == error.message == "provider answered 400: no"


def test_a_timeout_ignores_what_only_a_status_error_holds():
    error = error_for(504, ErrorDetail(message="no"), llm_provider="acme", body="x", retry_after=1.0)
    assert (type(error), error.phase, error.llm_provider) == (e.Timeout, "total", "acme")


TREE = {
    "APIConnectionError": "CallError",
    "APIStatusError": "CallError",
    "AuthenticationError": "APIStatusError",
    "BadGatewayError": "APIStatusError",
    "BadRequestError": "APIStatusError",
    "BudgetExceededError": "GatewayError",
    "CallError": "DragomanError",
    "ConfigurationError": "DragomanError",
    "ConflictError": "APIStatusError",
    "ContentPolicyViolationError": "BadRequestError",
    "ContextWindowExceededError": "BadRequestError",
    "DragomanError": "Exception",
    "GatewayError": "DragomanError",
    "GuardrailRejectedError": "GatewayError",
    "InternalServerError": "APIStatusError",
    "InvalidKeyError": "GatewayError",
    "NoDeploymentError": "DragomanError",
    "NotFoundError": "APIStatusError",
    "PaymentRequiredError": "APIStatusError",
    "PermissionDeniedError": "APIStatusError",
    "RateLimitError": "APIStatusError",
    "RateLimitExceededError": "GatewayError",
    "RequestTooLargeError": "APIStatusError",
    "ResponseDecodeError": "CallError",
    "ServiceUnavailableError": "APIStatusError",
    "StreamInterruptedError": "CallError",
    "Timeout": "APIConnectionError",
    "UnprocessableEntityError": "APIStatusError",
    "UnsupportedParamsError": "BadRequestError",
}


def test_the_tree_is_this():
    found = {name: value for name, value in vars(e).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert {name: value.__base__.__name__ for name, value in found.items()} == TREE


@pytest.mark.parametrize("name", sorted(TREE))
def test_every_error_is_drawn_in_the_docstring_and_can_be_made_with_a_message(name):
    assert name in e.__doc__
    error = getattr(e, name)("what happened")
    assert error.message == str(error) == "what happened"
    assert 400 <= error.status_code < 600
    assert error.type


def test_what_each_carries():
    assert e.Timeout("t", phase="idle").phase == "idle"
    assert e.StreamInterruptedError("t", partial=7, code="c").partial == 7
    assert e.ResponseDecodeError("t", body="<html>").body == "<html>"
    assert e.NoDeploymentError("t", drops=("a",), retry_after=3.0).drops == ("a",)
    assert e.RateLimitExceededError("t", retry_after=3.0).retry_after == 3.0
    assert e.BadRequestError("t").status_code == 400
    assert e.ServiceUnavailableError("t", status_code=529).status_code == 529
