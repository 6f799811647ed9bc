"""Failures -> our errors: which class, which wait, which id, and never a key."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from dragoman.core import errors as e
from dragoman.core.errors import ErrorDetail
from dragoman.core.events import StreamError
from dragoman.core.http import HttpResponse, TransportFailure
from dragoman.engine import interpret
from dragoman.engine.prepare import Prepared, prepare
from dragoman.providers.base import Provider, Target
from dragoman.router.deployment import Deployment
from support.calls import KEY, deployment, fail, make_call, respond

NOW = 1_700_000_000.0
IN_30_S = "Tue, 14 Nov 2023 22:13:50 {}"


def prepared(place: Deployment | None = None) -> Prepared:
    place = place or deployment()
    return prepare(make_call(place), place)


def status_error(response: HttpResponse, place: Deployment | None = None) -> Any:
    return interpret.status_error(prepared(place), response, attempts=1, now=NOW)


# ------------------------------------------------------------------------------------------------------------------- waits
WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "seconds": ({"retry-after": "12"}, 12),
    "a fraction": ({"retry-after": "0.25"}, 0.25),
    "nothing to wait for": ({"retry-after": "0"}, 0),
    "milliseconds": ({"retry-after-ms": "1500"}, 1.5),
    "both, seconds longer": ({"retry-after": "12", "retry-after-ms": "1500"}, 12),
    "both, milliseconds longer": ({"retry-after": "1", "retry-after-ms": "1500"}, 1.5),
    "a date": ({"retry-after": IN_30_S.format("GMT")}, 30),
    "a date without a zone": ({"retry-after": IN_30_S.format("-0000")}, 30),
    "a date that has passed": ({"retry-after": "Tue, 14 Nov 2023 10:00:00 GMT"}, 0),
    "one that makes no sense": ({"retry-after": "soon", "retry-after-ms": "2000"}, 2),
    "nonsense": ({"retry-after": "soon"}, None),
    "empty": ({"retry-after": ""}, None),
    "negative": ({"retry-after": "-3"}, None),
    "not a number": ({"retry-after": "nan"}, None),
    "endless": ({"retry-after": "inf"}, None),
    "a day that is none": ({"retry-after": "Tue, 99 Nov 2023 22:13:50 GMT"}, None),
    "none": ({}, None),
}


@pytest.mark.parametrize(("headers", "wait"), WAITS.values(), ids=WAITS)
def test_the_longest_wait_that_headers_name(headers: dict[str, str], wait: float | None) -> None:
    found = interpret.retry_after(429, tuple(headers.items()), ErrorDetail(message=""), now=NOW)
    assert found == wait


@pytest.mark.parametrize(("told", "wait"), [(4.0, 4.0), (-4.0, None), (float("inf"), None), (None, None)])
def test_without_a_header_the_body_may_name_it(told: float | None, wait: float | None) -> None:
    assert interpret.retry_after(503, (), ErrorDetail(message="", retry_after=told), now=NOW) == wait


def test_a_header_outranks_the_body() -> None:
    detail = ErrorDetail(message="", retry_after=50.0)
    assert interpret.retry_after(429, (("retry-after", "2"),), detail, now=NOW) == 2


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500, 502])
def test_other_statuses_name_no_wait(status: int) -> None:
    assert interpret.retry_after(status, (("retry-after", "2"),), ErrorDetail(message=""), now=NOW) is None


@pytest.mark.parametrize("status", [429, 503, 529])
def test_the_wait_is_in_the_error(status: int) -> None:
    assert status_error(fail(status, retry_after="9")).retry_after == 9


# -------------------------------------------------------------------------------------------------------------- what is kept
def test_an_error_keeps_what_the_provider_said() -> None:
    body = {"error": {"message": "too hot", "type": "t", "code": "c7", "param": "temperature"}}
    error = status_error(respond(body, 400, x_request_id="r1"))
    assert (error.status_code, error.code, error.param, error.request_id) == (400, "c7", "temperature", "r1")
    assert json.loads(error.body) == body
    assert error.headers["x-request-id"] == "r1"
    assert error.detail.type == "t"


ID_HEADERS = ["x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-goog-request-id", "cf-ray"]


@pytest.mark.parametrize("name", ID_HEADERS)
def test_request_ids_of_all_vendors(name: str) -> None:
    assert status_error(HttpResponse(status=500, headers=((name, "abc"),))).request_id == "abc"


def test_the_vendors_own_id_goes_before_that_of_its_proxy() -> None:
    headers = (("cf-ray", "proxy"), ("request-id", ""), ("x-request-id", "own"))
    assert status_error(HttpResponse(status=500, headers=headers)).request_id == "own"


def test_a_huge_body_is_kept_in_part() -> None:
    assert len(status_error(respond(b"x" * 100_000, 500)).body) == 4096


def test_bytes_that_are_no_text_are_no_obstacle() -> None:
    assert status_error(respond(b"\xff\xfe\x00", 500)).status_code == 500


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308])
def test_a_redirect_is_a_matter_of_configuration(status: int) -> None:
    error = status_error(HttpResponse(status=status, headers=(("location", "https://b.test/x?sig=1"),)))
    assert type(error) is e.ConfigurationError
    assert "https://b.test/x:" in error.message


# --------------------------------------------------------------------------------------------------------- transport failures
KINDS: dict[str, tuple[type[e.CallError], str | None]] = {
    "connect": (e.APIConnectionError, None),
    "connect_timeout": (e.Timeout, "connect"),
    "first_token": (e.Timeout, "first_token"),
    "idle": (e.Timeout, "idle"),
    "total": (e.Timeout, "total"),
    "closed": (e.APIConnectionError, None),
    "protocol": (e.APIConnectionError, None),
    "too_large": (e.APIConnectionError, None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_transport_failure(kind: str) -> None:
    error = interpret.transport_error(prepared(), TransportFailure(kind, "it broke"), attempts=2)
    assert type(error) is KINDS[kind][0]
    assert getattr(error, "phase", None) == KINDS[kind][1]
    assert error.retryable
    assert (error.llm_provider, error.model, error.attempts) == ("acme", "m-1", 2)
    for word in ("acme", "https://api.acme.test/v1", "it broke", kind):
        assert word in error.message


# ------------------------------------------------------------------------------------------------------ inside of an answer
def test_a_stream_that_broke_before_its_first_event_is_no_answer() -> None:
    event = StreamError(message="it just ended", broken=True)
    error = interpret.stream_error(prepared(), event, attempts=1, headers=(("x-request-id", "r"),))
    assert type(error) is e.ResponseDecodeError
    assert error.request_id == "r"
    assert "answered" not in error.message


def test_a_failure_that_was_reported_in_a_stream_is_that_failure() -> None:
    event = StreamError(message="busy", status=429, code="rate", error_type="t")
    error = interpret.stream_error(prepared(), event, attempts=1, headers=())
    assert type(error) is e.RateLimitError
    assert (error.status_code, error.code, error.detail.type) == (429, "rate", "t")


# ------------------------------------------------------------------------------------------------------------- credentials
def everything(error: BaseException) -> str:
    return f"{error!r} {error} {vars(error)}"


ECHO = f"Incorrect API key provided: {KEY}. You can find your key at ..."


@pytest.mark.parametrize(
    "error",
    [
        status_error(fail(401, ECHO)),
        status_error(respond(ECHO.encode(), 401)),
        interpret.stream_error(prepared(), StreamError(message=ECHO, status=401), attempts=1, headers=()),
        interpret.reported_error(prepared(), 401, ErrorDetail(message=ECHO), attempts=1),
        interpret.transport_error(prepared(), TransportFailure("connect", "refused"), attempts=1),
    ],
    ids=["json", "text", "stream", "tap", "transport"],
)
def test_no_error_holds_the_key_even_when_the_provider_repeats_it(error: e.CallError) -> None:
    assert KEY not in everything(error)


SECRET = 'a/b+c="d\ne' + "f" * 9
FORMS = (SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET)[1:-1].replace("/", "\\/"), quote(SECRET, safe=""))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("held", [{"api_key": SECRET}, {"secrets": {"aws_secret_access_key": SECRET}}, {"headers": "Bearer "}])
def test_whatever_is_secret_is_taken_out_however_it_is_written(held: dict[str, Any], form: str) -> None:
    if "headers" in held:
        held = {"headers": (("x-proxy-authorization", "Bearer " + SECRET),)}
    target = msgspec.structs.replace(deployment().target, **{"api_key": None} | held)
    assert interpret.without_key(f"you sent <{form}>, {KEY}", target) == f"you sent <[key]>, {KEY}"


def test_a_headers_value_that_is_no_secret_stays() -> None:
    target = msgspec.structs.replace(deployment().target, headers=(("x-team", "platform-team"),))
    assert interpret.without_key("platform-team", target) == "platform-team"


def test_of_two_secrets_that_begin_alike_nothing_is_left() -> None:
    target = msgspec.structs.replace(deployment().target, api_key="12345678", secrets={"x": "123456789012"})
    assert interpret.without_key("12345678 123456789012", target) == "[key] [key]"


def test_every_field_of_an_error_is_clean() -> None:
    body = json.dumps({"error": {"message": ECHO, "type": KEY, "code": KEY, "param": KEY}})
    answer = HttpResponse(status=400, headers=(("x-request-id", KEY), ("x-echo", f"Bearer {KEY}")), body=body.encode())
    told = status_error(answer)
    assert (told.code, told.param, told.request_id, told.headers["x-echo"]) == ("[key]", "[key]", "[key]", "Bearer [key]")
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    for error in (told, status_error(respond(b'{"error": {"message": "%s"}}' % escaped.encode(), 400))):
        assert KEY not in everything(error)


def test_an_answer_that_makes_no_sense_is_told_without_the_key() -> None:
    error = interpret.unreadable(prepared(), respond(KEY.encode(), 200), f"found {KEY}", attempts=1)
    assert KEY not in everything(error)
    assert "found [key]" in error.message


def test_a_key_that_is_a_word_does_not_spoil_the_message() -> None:
    row = Provider(name="home", base_url="http://localhost:1/v1")
    place = Deployment(Target(provider=row, model="m", base_url="http://localhost:1/v1", api_key="key"))
    assert "the key is wrong" in status_error(fail(401, "the key is wrong"), place).message
