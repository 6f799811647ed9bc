"""A key goes to the host it belongs to and nowhere else: every provider's request carries its own key, once, and no other.

Every variable that any row names is set to a value of its own, so that a key which strays can be told by what it says.
"""

from __future__ import annotations

import json

import pytest

from dragoman.core import errors as e
from dragoman.core.http import HttpResponse
from dragoman.engine import interpret
from dragoman.engine.call import Call
from dragoman.engine.prepare import prepare
from dragoman.providers.base import AUTH_HEADERS, Provider
from dragoman.providers.registry import resolve
from dragoman.providers.table import ROWS
from dragoman.router.deployment import Deployment


def secret(variable: str) -> str:
    return f"secret-of-{variable}-end"


KEYS = {variable for row in ROWS for variable in (*row.key_variables, *row.bearer_variables)}
PLACES = {variable for row in ROWS for names in row.url_variables.values() for variable in names}
ADDRESSES = {row.base_url_variables[0]: f"https://{row.name}.example" for row in ROWS if row.base_url_variables}
NOT_ASKED = {"local", "demo"}
MODELS = {("bedrock", "embedding"): "amazon.titan-embed-text-v2:0"}
ENV = {**{variable: secret(variable) for variable in KEYS}, **dict.fromkeys(PLACES - KEYS, "place")}

BODIES = {
    "chat": {"messages": [{"role": "user", "content": "hi"}]},
    "embedding": {"input": "hi"},
}
DIALECTS = {"chat": "openai_chat", "embedding": "openai_embeddings"}
ASKED = [
    pytest.param(row, operation, id=f"{row.name}-{operation}")
    for row in ROWS
    for operation in DIALECTS
    if operation in row.dialects and row.auth != "none" and row.name not in NOT_ASKED
]


def deployment(row: Provider, operation: str) -> Deployment:
    env = {**ENV, **{name: url for name, url in ADDRESSES.items() if name in row.base_url_variables and row.base_url is None}}
    return Deployment(resolve(f"{row.name}/{MODELS.get((row.name, operation), 'a-model')}", env=env))


def call(place: Deployment, operation: str) -> Call:
    body = json.dumps({"model": "m", **BODIES[operation]}).encode()
    return Call(operation=operation, dialect=DIALECTS[operation], model="m", body=body, deployments=(place,))


@pytest.mark.parametrize(("row", "operation"), ASKED)
def test_a_request_carries_its_own_key_in_its_own_header_and_no_other(row: Provider, operation: str) -> None:
    place = deployment(row, operation)
    request = prepare(call(place, operation), place).request
    own = {secret(variable) for variable in (*row.key_variables, *row.bearer_variables)}
    seen = [(name, value) for name, value in request.headers if "secret-of-" in value]
    assert all(any(mine in value for mine in own) for _, value in seen), "another provider's key"
    assert all(value.count("secret-of-") == 1 for _, value in seen)
    assert {name for name, _ in seen} <= {form[0] for form in AUTH_HEADERS.values() if form}
    assert len(seen) == 1
    assert "secret-of-" not in request.url
    assert b"secret-of-" not in request.body


@pytest.mark.parametrize(("row", "operation"), ASKED)
def test_no_key_is_in_a_repr_or_in_an_error(row: Provider, operation: str) -> None:
    place = deployment(row, operation)
    prepared = prepare(call(place, operation), place)
    key = place.target.api_key or ""
    said = [repr(place), repr(place.target), repr(prepared.request), repr(prepared)]
    for status in (400, 401, 429, 500):
        body = json.dumps({"error": {"message": f"your key {key} is bad"}}).encode()
        error = interpret.status_error(prepared, HttpResponse(status=status, body=body), attempts=1, now=0.0)
        said += [str(error), repr(error), error.message, str(getattr(error, "body", ""))]
    assert [text for text in said if "secret-of-" in text] == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.base_url and row.auth != "none" and row.name not in NOT_ASKED])
def test_a_key_from_the_environment_does_not_go_to_another_host(row: Provider) -> None:
    elsewhere = {"env": ENV, "base_url": "https://elsewhere.example/v1"}
    if row.key_optional:
        target = resolve(f"{row.name}/a-model", **elsewhere)
        assert target.api_key is None
        assert not [value for _, value in target.headers if "secret-of-" in value]
        return
    with pytest.raises(e.AuthenticationError) as caught:
        resolve(f"{row.name}/a-model", **elsewhere)
    assert "secret-of-" not in str(caught.value)
