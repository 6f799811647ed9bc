"""A call and a deployment -> the bytes that are sent: what is edited, what is left alone, where the key stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core import errors as e
from dragoman.core.chat import Warning
from dragoman.core.http import Timeouts
from dragoman.engine.prepare import Prepared, prepare
from dragoman.providers.base import Provider, Quirks, Target
from dragoman.router.deployment import Deployment
from support.calls import HELLO, KEY, deployment, make_call


def prepared(place: Deployment, **call: Any) -> Prepared:
    return prepare(make_call(place, **call), place)


def sent(place: Deployment, **call: Any) -> dict[str, Any]:
    return json.loads(prepared(place, **call).request.body)


# ------------------------------------------------------------------------------------------------------------- same dialect
def test_what_nobody_touches_stays_the_bytes_that_came() -> None:
    messages = b'[ {"role":"user",  "content":"\\u00e9 \xc3\xa9"} ]'
    odd = b'{"model": "asked", "messages": %b, "seed": 1.0e0, "x": {"b":1, "a":2}}' % messages
    body = prepared(deployment(), body=odd).request.body
    assert messages in body
    assert b"1.0e0" in body
    assert b'{"b":1, "a":2}' in body
    assert json.loads(body)["model"] == "m-1"


def test_the_clients_body_is_not_changed_by_an_attempt() -> None:
    place = deployment(quirks=Quirks(drop=frozenset({"seed"})))
    call = make_call(place, body={"model": "asked", "messages": HELLO, "seed": 3})
    before = call.body, dict(call.envelope)
    prepare(call, place)
    assert (call.body, dict(call.envelope)) == before


@pytest.mark.parametrize("takes", [True, False])
def test_usage_of_a_stream_is_asked_for_where_the_provider_takes_it(takes: bool) -> None:
    body = sent(deployment(quirks=Quirks(stream_usage=takes)), stream=True)
    assert (body.get("stream_options") == {"include_usage": True}) is takes


def test_quirks_are_applied_and_losses_are_warnings() -> None:
    place = deployment(quirks=Quirks(rename={"max_tokens": "limit"}, drop=frozenset({"seed"}), defaults={"safe": True}))
    found = prepared(place, body={"model": "asked", "messages": HELLO, "max_tokens": 9, "seed": 3})
    body = json.loads(found.request.body)
    assert (body["limit"], body["safe"]) == (9, True)
    assert not {"max_tokens", "seed"} & body.keys()
    assert [warning.field for warning in found.warnings] == ["seed"]


def test_extra_body_goes_over_everything() -> None:
    extra = {"model": "another", "top_k": [1], "seed": None}
    body = sent(deployment(), body={"model": "asked", "messages": HELLO, "seed": 3}, extra_body=extra)
    assert body == {"model": "another", "messages": HELLO, "seed": None, "top_k": [1]}


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"null", b'"x"'])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(e.BadRequestError, match="not a JSON object"):
        prepared(deployment(), body=raw)


# ------------------------------------------------------------------------------------------------------------- translation
def test_another_dialect_goes_through_the_vocabulary() -> None:
    messages = [{"role": "system", "content": "be brief"}, *HELLO]
    body = sent(deployment(dialect="anthropic_messages"), body={"model": "asked", "messages": messages, "stop": "END"})
    assert body["model"] == "m-1"
    assert body["stop_sequences"] == ["END"]
    assert "be brief" in json.dumps(body["system"])
    assert [message["role"] for message in body["messages"]] == ["user"]


def test_usage_is_asked_for_on_behalf_of_a_client_that_speaks_otherwise() -> None:
    body = {"model": "asked", "max_tokens": 5, "messages": HELLO}
    found = sent(deployment(), body=body, dialect="anthropic_messages", stream=True)
    assert found["stream_options"] == {"include_usage": True}
    quiet = deployment(quirks=Quirks(stream_usage=False))
    assert "stream_options" not in sent(quiet, body=body, dialect="anthropic_messages", stream=True)


def test_what_cannot_be_said_is_a_warning() -> None:
    place = deployment(dialect="anthropic_messages")
    found = prepared(place, body={"model": "asked", "messages": HELLO, "logit_bias": {"7": 1}})
    assert [warning.field for warning in found.warnings] == ["logit_bias"]


@pytest.mark.parametrize("dialect", ["anthropic_messages", "openai_chat"])
def test_under_strict_a_loss_is_an_error_before_anything_is_sent(dialect: str) -> None:
    place = deployment(dialect=dialect, quirks=Quirks(drop=frozenset({"logit_bias"})))
    with pytest.raises(e.UnsupportedParamsError, match="logit_bias") as caught:
        prepared(place, body={"model": "asked", "messages": HELLO, "logit_bias": {"7": 1}}, strict=True)
    assert (caught.value.llm_provider, caught.value.model) == ("acme", "m-1")


def test_under_strict_what_is_only_said_otherwise_passes() -> None:
    def edit(body: dict[str, Any], model: str) -> tuple[Warning, ...]:
        return (Warning(field="messages", message=f"said otherwise to {model}", code="changed"),)

    place = deployment(quirks=Quirks(edit=edit))
    assert [warning.code for warning in prepared(place, strict=True).warnings] == ["changed"]


def test_quirks_and_extra_body_hold_after_a_translation_too() -> None:
    place = deployment(dialect="anthropic_messages", quirks=Quirks(drop=frozenset({"temperature"})))
    request = {"model": "asked", "messages": HELLO, "temperature": 0.5}
    body = sent(place, body=request, extra_body={"container": "c"})
    assert "temperature" not in body
    assert body["container"] == "c"


# ------------------------------------------------------------------------------------------------------------------- where
PLACES = {
    "a path of the dialect": ({}, "https://api.acme.test/v1/chat/completions"),
    "a path of its own": ({"paths": {"chat": "/v2/talk"}}, "https://api.acme.test/v1/v2/talk"),
    "another dialect": ({"dialect": "anthropic_messages"}, "https://api.acme.test/v1/v1/messages"),
}


@pytest.mark.parametrize(("row", "url"), PLACES.values(), ids=PLACES)
def test_the_url_is_base_and_path(row: dict[str, Any], url: str) -> None:
    assert prepared(deployment(**row)).request.url == url


def test_an_operation_that_is_not_offered_names_those_that_are() -> None:
    with pytest.raises(e.BadRequestError, match="acme offers no embedding; it offers: chat"):
        prepared(deployment(), operation="embedding")


AUTHS = {
    "bearer": ("authorization", f"Bearer {KEY}"),
    "token": ("authorization", f"Token {KEY}"),
    "x-api-key": ("x-api-key", KEY),
    "api-key": ("api-key", KEY),
    "x-goog-api-key": ("x-goog-api-key", KEY),
}


@pytest.mark.parametrize("auth", AUTHS)
def test_the_key_is_in_its_header_and_nowhere_else(auth: str) -> None:
    found = prepared(deployment(auth=auth))
    assert [pair for pair in found.request.headers if KEY in pair[1]] == [AUTHS[auth]]
    assert KEY not in found.request.url
    assert KEY.encode() not in found.request.body
    assert KEY not in repr(found)


def test_a_provider_without_keys_is_sent_none() -> None:
    assert not [pair for pair in prepared(deployment(auth="none")).request.headers if KEY in pair[1]]


def test_headers_are_those_of_dialect_row_and_target() -> None:
    row = Provider(name="acme", base_url="https://a.test", dialects={"chat": "anthropic_messages"}, headers=(("x-row", "1"),))
    place = Deployment(Target(provider=row, model="m", base_url="https://a.test", headers=(("x-target", "2"),)))
    headers = dict(prepared(place).request.headers)
    assert headers["content-type"] == "application/json"
    assert {"anthropic-version", "x-row", "x-target", "user-agent"} <= headers.keys()


@pytest.mark.parametrize(("stream", "accept"), [(False, "application/json"), (True, "text/event-stream")])
def test_accept_is_what_is_wanted(stream: bool, accept: str) -> None:
    assert dict(prepared(deployment(), stream=stream).request.headers)["accept"] == accept


def test_the_callers_header_stands_in_place_of_ours() -> None:
    extra = (("user-agent", "mine"), ("authorization", "Basic abc"), ("x-new", "1"))
    headers = prepared(deployment(), extra_headers=extra).request.headers
    assert [value for name, value in headers if name in ("user-agent", "authorization")] == ["mine", "Basic abc"]
    assert headers[-1] == ("x-new", "1")
    assert KEY not in str(headers)


# -------------------------------------------------------------------------------------------------------------------- memo
def test_urls_and_headers_are_made_once_for_each_operation_and_kind() -> None:
    place = deployment()
    plain, again, stream = prepared(place), prepared(place), prepared(place, stream=True)
    assert plain.request.headers is again.request.headers
    assert stream.request.headers is not plain.request.headers
    assert len(place.memo) == 2


def test_a_callers_headers_stay_out_of_the_memo() -> None:
    place = deployment()
    prepared(place, extra_headers=(("x-once", "1"),))
    assert "x-once" not in dict(prepared(place).request.headers)


RELAYED = [
    ({}, True, "openai_chat", True),
    ({}, False, "openai_chat", False),
    ({"quirks": Quirks(relay=False)}, True, "openai_chat", False),
    ({}, True, "anthropic_messages", False),
]


@pytest.mark.parametrize(("row", "wanted", "dialect", "relayed"), RELAYED)
def test_bytes_are_relayed_when_all_three_agree(row: dict[str, Any], wanted: bool, dialect: str, relayed: bool) -> None:
    body = {"model": "asked", "max_tokens": 5, "messages": HELLO}
    assert prepared(deployment(**row), body=body, dialect=dialect, relay=wanted, timeouts=Timeouts()).relay is relayed
