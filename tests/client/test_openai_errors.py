"""Our errors as OpenAI's: dressed when the program has `openai` loaded, untouched and nothing imported when it has not."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import dragoman
from dragoman.core.http import HttpResponse, TransportFailure
from dragoman.transport.replay import Pieces, ReplayTransport

COUNTERPARTS = {
    400: ("BadRequestError", "BadRequestError"),
    401: ("AuthenticationError", "AuthenticationError"),
    402: ("PaymentRequiredError", "APIStatusError"),
    403: ("PermissionDeniedError", "PermissionDeniedError"),
    404: ("NotFoundError", "NotFoundError"),
    409: ("ConflictError", "ConflictError"),
    413: ("RequestTooLargeError", "APIStatusError"),
    422: ("UnprocessableEntityError", "UnprocessableEntityError"),
    429: ("RateLimitError", "RateLimitError"),
    500: ("InternalServerError", "InternalServerError"),
    502: ("BadGatewayError", "InternalServerError"),
    503: ("ServiceUnavailableError", "InternalServerError"),
    504: ("Timeout", "APITimeoutError"),
    529: ("ServiceUnavailableError", "InternalServerError"),
}


@pytest.fixture
def openai() -> Any:
    return pytest.importorskip("openai")


def ask(answer: Any, **given: Any) -> Any:
    client = dragoman.Client(transport=ReplayTransport(answer), env={"OPENAI_API_KEY": "sk-secret-1"}, num_retries=0)
    return client.completion("openai/gpt-4o", [{"role": "user", "content": "x"}], **given)


def caught(answer: Any, **given: Any) -> Any:
    with pytest.raises(Exception) as found:  # noqa: PT011 - which one is what the tests look at
        list(ask(answer, **given))
    return found.value


def status(number: int) -> HttpResponse:
    body = json.dumps({"error": {"message": "no", "code": "c7", "param": "p"}}).encode()
    headers = (("content-type", "application/json"), ("x-request-id", "r1"), ("content-length", str(len(body))))
    return HttpResponse(status=number, headers=headers, body=body)


@pytest.mark.parametrize("number", COUNTERPARTS)
def test_a_status_is_both_errors(openai: Any, number: int) -> None:
    ours, theirs = COUNTERPARTS[number]
    error = caught(status(number))
    assert isinstance(error, getattr(dragoman, ours))
    assert isinstance(error, getattr(openai, theirs))
    assert type(error).__name__ == ours
    assert error.status_code == number


def test_a_program_of_openais_catches_it(openai: Any) -> None:
    with pytest.raises(openai.RateLimitError) as found:
        ask(status(429))
    assert found.value.llm_provider == "openai"


def test_failures_without_an_answer(openai: Any) -> None:
    for kind, ours, theirs in (
        ("connect", dragoman.APIConnectionError, openai.APIConnectionError),
        ("first_token", dragoman.Timeout, openai.APITimeoutError),
    ):
        error = caught(TransportFailure(kind, "x"))
        assert isinstance(error, ours)
        assert isinstance(error, theirs)
        assert error.request.method == "POST"


def test_an_answer_that_makes_no_sense(openai: Any) -> None:
    error = caught(HttpResponse(status=200, body=b"<html>"))
    assert isinstance(error, dragoman.ResponseDecodeError)
    assert isinstance(error, openai.APIResponseValidationError)


def test_a_broken_stream(openai: Any) -> None:
    chunk = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    error = caught(Pieces(pieces=(chunk,)), stream=True)
    assert isinstance(error, dragoman.StreamInterruptedError)
    assert isinstance(error, openai.APIError)
    assert error.partial.choices[0].parts[0].text == "x"


MISTAKES = [
    ({"custom_llm_provider": "nobody"}, "ConfigurationError", "OpenAIError"),
    ({"timeout": -1}, *["BadRequestError"] * 2),
]


@pytest.mark.parametrize(("given", "ours", "theirs"), MISTAKES)
def test_mistakes_before_any_request(openai: Any, given: dict[str, Any], ours: str, theirs: str) -> None:
    error = caught(status(200), **given)
    assert isinstance(error, getattr(dragoman, ours))
    assert isinstance(error, getattr(openai, theirs))


def test_what_programs_read_from_openais_errors(openai: Any) -> None:
    error = caught(status(429))
    assert error.status_code == error.response.status_code == 429
    assert error.response.json()["error"]["code"] == error.code == "c7"
    assert error.response.headers["x-request-id"] == error.request_id == "r1"
    assert error.request.method == error.response.request.method == "POST"
    assert json.loads(error.body)["error"]["message"] == "no"
    assert (error.param, error.type) == ("p", "rate_limit_error")
    assert error.message in str(error)
    assert "sk-secret-1" not in repr(vars(error))


COPIES: list[Callable[[Any], Any]] = [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy]


@pytest.mark.parametrize("copied", COPIES, ids=["pickle", "copy", "deepcopy"])
@pytest.mark.parametrize(
    "answer",
    [status(429), status(504), TransportFailure("idle", "x"), HttpResponse(status=200, body=b"x")],
    ids=["429", "504", "idle", "garbage"],
)
def test_dressed_errors_are_copied_and_pickled(openai: Any, answer: Any, copied: Callable[[Any], Any]) -> None:
    error = caught(answer)
    twin = copied(error)
    assert type(twin).__name__ == type(error).__name__
    assert vars(twin).keys() == vars(error).keys()
    assert (twin.message, twin.llm_provider, twin.model, twin.attempts) == (error.message, "openai", "gpt-4o", 1)


ALONE = """
import json, sys, types
import dragoman
from dragoman.core.http import HttpResponse
from dragoman.transport.replay import ReplayTransport

def caught():
    client = dragoman.Client(transport=ReplayTransport(HttpResponse(status=429)), env={"OPENAI_API_KEY": "k"}, num_retries=0)
    try:
        client.completion("openai/gpt-4o", [])
    except dragoman.DragomanError as error:
        return error

first = caught()
assert type(first) is dragoman.RateLimitError and "openai" not in sys.modules
sys.modules["openai"] = types.ModuleType("openai")
assert type(caught()) is dragoman.RateLimitError, "something else that is called openai does no harm"
"""


def test_without_openai_errors_are_only_ours() -> None:
    found = subprocess.run([sys.executable, "-W", "error", "-c", ALONE], check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_openai_may_be_imported_later() -> None:
    pytest.importorskip("openai")
    program = ALONE.partition("sys.modules[")[0] + "import openai; assert isinstance(caught(), openai.RateLimitError)"
    found = subprocess.run([sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
